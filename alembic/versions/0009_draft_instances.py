"""Drafts belong to one form in one tab."""

import datetime as dt
import secrets

import sqlalchemy as sa
from alembic import op

revision = '0009_draft_instances'
down_revision = '0008_intents'
branch_labels = None
depends_on = None

LIFE = dt.timedelta(hours=24)


def _rows(columns):
    return op.get_bind().execute(sa.text(f"SELECT {columns} FROM drafts").columns(
        typed_at=sa.DateTime(timezone=True), expires_at=sa.DateTime(timezone=True))).mappings().all()


def upgrade() -> None:
    """Forward. Drafts that are there become instances of their own, of windows that nobody types in."""
    old = _rows("account_id, form, body, expires_at")
    op.drop_table('drafts')
    drafts = op.create_table('drafts',
    sa.Column('account_id', sa.Integer(), nullable=False),
    sa.Column('instance', sa.String(length=32), nullable=False),
    sa.Column('form', sa.String(length=40), nullable=False),
    sa.Column('body', sa.Text(), nullable=False),
    sa.Column('typed_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('open_until', sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['account_id'], ['accounts.id'], name=op.f('fk_drafts_account_id')),
    sa.PrimaryKeyConstraint('account_id', 'instance', name=op.f('pk_drafts'))
    )
    op.create_index('ix_drafts_typed_at', 'drafts', ['typed_at'])
    for row in old:
        typed_at = row["expires_at"] - LIFE
        op.execute(drafts.insert().values(
            account_id=row["account_id"], instance=secrets.token_hex(16), form=row["form"], body=row["body"],
            typed_at=typed_at, open_until=typed_at))


def downgrade() -> None:
    """Back. Of several drafts of one form the newest stays."""
    old = sorted(_rows("account_id, form, body, typed_at"), key=lambda row: row["typed_at"])
    op.drop_index('ix_drafts_typed_at', table_name='drafts')
    op.drop_table('drafts')
    drafts = op.create_table('drafts',
    sa.Column('account_id', sa.Integer(), nullable=False),
    sa.Column('form', sa.String(length=40), nullable=False),
    sa.Column('body', sa.Text(), nullable=False),
    sa.Column('expires_at', sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['account_id'], ['accounts.id'], name=op.f('fk_drafts_account_id')),
    sa.PrimaryKeyConstraint('account_id', 'form', name=op.f('pk_drafts'))
    )
    newest = {(row["account_id"], row["form"]): row for row in old if row["body"]}
    for row in newest.values():
        op.execute(drafts.insert().values(
            account_id=row["account_id"], form=row["form"], body=row["body"], expires_at=row["typed_at"] + LIFE))
