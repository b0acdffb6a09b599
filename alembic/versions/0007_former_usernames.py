"""Usernames that portal accounts had before."""

import sqlalchemy as sa
from alembic import op

revision = '0007_former_usernames'
down_revision = '0006_partial_dates_single_names'
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward."""
    op.create_table('former_usernames',
    sa.Column('account_id', sa.Integer(), nullable=False),
    sa.Column('username', sa.String(length=254), nullable=False),
    sa.Column('ended_at', sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['account_id'], ['accounts.id'], name=op.f('fk_former_usernames_account_id')),
    sa.PrimaryKeyConstraint('account_id', 'username', name=op.f('pk_former_usernames'))
    )
    op.create_index('ix_former_usernames_username', 'former_usernames', ['username'])


def downgrade() -> None:
    """Back. Nobody is found by a former username any more."""
    op.drop_table('former_usernames')
