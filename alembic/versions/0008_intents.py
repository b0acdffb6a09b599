"""Presses that count once."""

import sqlalchemy as sa
from alembic import op

revision = '0008_intents'
down_revision = '0007_former_usernames'
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward."""
    op.create_table('intents',
    sa.Column('key', sa.String(length=64), nullable=False),
    sa.Column('action', sa.String(length=40), nullable=False),
    sa.Column('resource_type', sa.String(length=20), nullable=True),
    sa.Column('resource_id', sa.Integer(), nullable=True),
    sa.Column('done_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('seen_at', sa.DateTime(timezone=True), nullable=True),
    sa.PrimaryKeyConstraint('key', name=op.f('pk_intents'))
    )
    op.create_index('ix_intents_done_at', 'intents', ['done_at'])


def downgrade() -> None:
    """Back."""
    op.drop_index('ix_intents_done_at', table_name='intents')
    op.drop_table('intents')
