"""Passkeys."""

import sqlalchemy as sa
from alembic import op

revision = '0015_passkeys'
down_revision = '0014_messages'
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward. Nobody has a passkey yet."""
    op.create_table('passkeys',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('account_id', sa.Integer(), nullable=False),
    sa.Column('credential_id', sa.String(length=1400), nullable=False),
    sa.Column('public_key', sa.LargeBinary(), nullable=False),
    sa.Column('sign_count', sa.BigInteger(), nullable=False),
    sa.Column('name', sa.String(length=60), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('used_at', sa.DateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['account_id'], ['accounts.id'], name=op.f('fk_passkeys_account_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_passkeys')),
    sa.UniqueConstraint('credential_id', name=op.f('uq_passkeys_credential_id'))
    )
    op.create_index('ix_passkeys_account_id', 'passkeys', ['account_id'])
    op.create_table('passkey_challenges',
    sa.Column('challenge_hash', sa.String(length=64), nullable=False),
    sa.Column('account_id', sa.Integer(), nullable=True),
    sa.Column('expires_at', sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['account_id'], ['accounts.id'], name=op.f('fk_passkey_challenges_account_id')),
    sa.PrimaryKeyConstraint('challenge_hash', name=op.f('pk_passkey_challenges'))
    )
    op.create_index('ix_passkey_challenges_expires_at', 'passkey_challenges', ['expires_at'])
    op.add_column('accounts', sa.Column('passkey_handle', sa.String(length=88), nullable=True))


def downgrade() -> None:
    """Back. Passkeys open nothing any more; passwords do."""
    op.drop_column('accounts', 'passkey_handle')
    op.drop_table('passkey_challenges')
    op.drop_table('passkeys')
