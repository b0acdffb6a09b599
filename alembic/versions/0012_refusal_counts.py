"""Refusals that are counted before they go into the trail."""

import sqlalchemy as sa
from alembic import op

revision = '0012_refusal_counts'
down_revision = '0011_known_devices'
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward."""
    op.create_table('refusal_counts',
    sa.Column('source', sa.String(length=80), nullable=False),
    sa.Column('minute', sa.DateTime(timezone=True), nullable=False),
    sa.Column('count', sa.BigInteger(), nullable=False),
    sa.Column('refused', sa.String(length=80), nullable=False),
    sa.Column('address', sa.String(length=64), nullable=False),
    sa.Column('actor_id', sa.Integer(), nullable=True),
    sa.Column('role', sa.String(length=20), nullable=False),
    sa.PrimaryKeyConstraint('source', 'minute', name=op.f('pk_refusal_counts'))
    )
    op.create_index('ix_refusal_counts_minute', 'refusal_counts', ['minute'])


def downgrade() -> None:
    """Back. What is counted and not yet in the trail goes."""
    op.drop_index('ix_refusal_counts_minute', table_name='refusal_counts')
    op.drop_table('refusal_counts')
