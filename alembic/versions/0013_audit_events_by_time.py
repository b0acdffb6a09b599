"""The audit trail is found by time."""

from alembic import op

revision = '0013_audit_events_by_time'
down_revision = '0012_refusal_counts'
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward."""
    op.create_index('ix_audit_events_at', 'audit_events', ['at'])


def downgrade() -> None:
    """Back."""
    op.drop_index('ix_audit_events_at', table_name='audit_events')
