"""Second factor, recovery codes, failed tries the owner is told of, fresh proof, pages to come back to, drafts."""

import sqlalchemy as sa
from alembic import op

revision = '0003_account_security'
down_revision = '0002_api'
branch_labels = None
depends_on = None

ACCOUNTS = ('failed_tries', 'last_failed_at', 'told_tries', 'told_failed_at', 'totp_secret', 'totp_enabled_at',
            'totp_counter')


def upgrade() -> None:
    """Forward. Adding a column needs no copy of the table, on SQLite either."""
    # a default only for the rows that are there: the program always gives a value
    op.add_column('accounts', sa.Column('failed_tries', sa.Integer(), server_default='0', nullable=False))
    op.add_column('accounts', sa.Column('last_failed_at', sa.DateTime(timezone=True), nullable=True))
    op.add_column('accounts', sa.Column('told_tries', sa.Integer(), server_default='0', nullable=False))
    op.add_column('accounts', sa.Column('told_failed_at', sa.DateTime(timezone=True), nullable=True))
    op.add_column('accounts', sa.Column('totp_secret', sa.String(length=200), nullable=True))
    op.add_column('accounts', sa.Column('totp_enabled_at', sa.DateTime(timezone=True), nullable=True))
    op.add_column('accounts', sa.Column('totp_counter', sa.BigInteger(), nullable=True))
    op.add_column('login_sessions', sa.Column('proved_at', sa.DateTime(timezone=True), nullable=True))
    op.add_column('login_sessions', sa.Column('path', sa.String(length=120), server_default='', nullable=False))
    op.create_table('pending_sign_ins',
    sa.Column('token_hash', sa.String(length=64), nullable=False),
    sa.Column('account_id', sa.Integer(), nullable=False),
    sa.Column('replaces', sa.String(length=64), nullable=False),
    sa.Column('password_changed_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('tries', sa.Integer(), nullable=False),
    sa.Column('expires_at', sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['account_id'], ['accounts.id'], name=op.f('fk_pending_sign_ins_account_id')),
    sa.PrimaryKeyConstraint('token_hash', name=op.f('pk_pending_sign_ins'))
    )
    op.create_table('recovery_codes',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('account_id', sa.Integer(), nullable=False),
    sa.Column('mark', sa.String(length=4), nullable=False),
    sa.Column('code_hash', sa.String(length=120), nullable=False),
    sa.Column('used_at', sa.DateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['account_id'], ['accounts.id'], name=op.f('fk_recovery_codes_account_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_recovery_codes')),
    sa.UniqueConstraint('account_id', 'mark', name=op.f('uq_recovery_codes_account_id_mark'))
    )
    op.create_table('drafts',
    sa.Column('account_id', sa.Integer(), nullable=False),
    sa.Column('form', sa.String(length=40), nullable=False),
    sa.Column('body', sa.Text(), nullable=False),
    sa.Column('expires_at', sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['account_id'], ['accounts.id'], name=op.f('fk_drafts_account_id')),
    sa.PrimaryKeyConstraint('account_id', 'form', name=op.f('pk_drafts'))
    )


def downgrade() -> None:
    """Back. Whoever has a second factor signs in without it from then on."""
    op.drop_table('drafts')
    op.drop_table('recovery_codes')
    op.drop_table('pending_sign_ins')
    for column in ('path', 'proved_at'):
        op.drop_column('login_sessions', column)
    for column in reversed(ACCOUNTS):
        op.drop_column('accounts', column)
