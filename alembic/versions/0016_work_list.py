"""Who needs the desk is found and counted at once: accounts that wait for their owners, and messages that failed."""

import sqlalchemy as sa
from alembic import op

revision = '0016_work_list'
down_revision = '0015_passkeys'
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward."""
    failed = sa.text("state = 'FAILED'")
    op.create_index('ix_outbox_messages_failed', 'outbox_messages', ['account_id', 'id'], sqlite_where=failed, postgresql_where=failed)
    op.create_index(
        'ix_accounts_waiting',
        'accounts',
        ['password_expires_at', 'password_temporary', 'temporary_failures', 'last_sign_in_at', 'password_changed_at', 'patient_id', 'id'],
        sqlite_where=sa.text('is_active = 1 AND (password_temporary = 1 OR last_sign_in_at IS NULL)'),
        postgresql_where=sa.text('is_active AND (password_temporary OR last_sign_in_at IS NULL)'),
    )


def downgrade() -> None:
    """Back."""
    op.drop_index('ix_accounts_waiting', table_name='accounts')
    op.drop_index('ix_outbox_messages_failed', table_name='outbox_messages')
