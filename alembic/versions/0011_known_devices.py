"""Browsers in which somebody signed in before; tries to sign in of which it is not known yet how they end."""

import sqlalchemy as sa
from alembic import op

revision = '0011_known_devices'
down_revision = '0010_message_consent'
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward. No browser is known yet."""
    op.create_table('known_devices',
    sa.Column('device_hash', sa.String(length=64), nullable=False),
    sa.Column('account_id', sa.Integer(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('used_at', sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['account_id'], ['accounts.id'], name=op.f('fk_known_devices_account_id')),
    sa.PrimaryKeyConstraint('device_hash', 'account_id', name=op.f('pk_known_devices'))
    )
    op.create_index('ix_known_devices_account_id', 'known_devices', ['account_id'])
    op.create_index('ix_known_devices_used_at', 'known_devices', ['used_at'])
    op.add_column('sign_in_limits', sa.Column('account_id', sa.Integer(), nullable=True))
    op.add_column('sign_in_limits', sa.Column('pending', sa.Integer(), server_default='0', nullable=False))
    op.add_column('sign_in_limits', sa.Column('pending_since', sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    """Back. Strangers can shut people out again."""
    op.drop_column('sign_in_limits', 'pending_since')
    op.drop_column('sign_in_limits', 'pending')
    op.drop_column('sign_in_limits', 'account_id')
    op.drop_index('ix_known_devices_used_at', table_name='known_devices')
    op.drop_index('ix_known_devices_account_id', table_name='known_devices')
    op.drop_table('known_devices')
