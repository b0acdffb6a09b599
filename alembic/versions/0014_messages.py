"""Messages and one-time links; how credentials were handed over; why access was turned off."""

import sqlalchemy as sa
from alembic import op

revision = '0014_messages'
down_revision = '0013_audit_events_by_time'
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward. Nothing has been sent yet, and nobody has shown that an email is theirs."""
    op.create_table('one_time_links',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('account_id', sa.Integer(), nullable=False),
    sa.Column('purpose', sa.String(length=10), nullable=False),
    sa.Column('seed', sa.String(length=32), nullable=False),
    sa.Column('email', sa.String(length=254), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('expires_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('ended_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('end_reason', sa.String(length=20), nullable=True),
    sa.Column('code_digest', sa.String(length=64), nullable=True),
    sa.Column('code_hash', sa.String(length=120), nullable=True),
    sa.ForeignKeyConstraint(['account_id'], ['accounts.id'], name=op.f('fk_one_time_links_account_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_one_time_links')),
    sa.UniqueConstraint('code_digest', name=op.f('uq_one_time_links_code_digest'))
    )
    op.create_index('ix_one_time_links_account_id', 'one_time_links', ['account_id'])
    op.create_index('ix_one_time_links_expires_at', 'one_time_links', ['expires_at'])
    op.create_table('outbox_messages',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('kind', sa.String(length=30), nullable=False),
    sa.Column('channel', sa.String(length=10), nullable=False),
    sa.Column('account_id', sa.Integer(), nullable=False),
    sa.Column('link_id', sa.Integer(), nullable=True),
    sa.Column('address', sa.String(length=254), nullable=False),
    sa.Column('facts', sa.JSON(), nullable=False),
    sa.Column('message_id', sa.String(length=60), nullable=False),
    sa.Column('state', sa.String(length=10), nullable=False),
    sa.Column('reason', sa.String(length=30), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('expires_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('due_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('tries', sa.Integer(), nullable=False),
    sa.Column('lease', sa.String(length=32), nullable=True),
    sa.Column('leased_until', sa.DateTime(timezone=True), nullable=True),
    sa.Column('ended_at', sa.DateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['account_id'], ['accounts.id'], name=op.f('fk_outbox_messages_account_id')),
    sa.ForeignKeyConstraint(['link_id'], ['one_time_links.id'], name=op.f('fk_outbox_messages_link_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_outbox_messages'))
    )
    queued = sa.text("state = 'QUEUED'")
    op.create_index('ix_outbox_messages_due_at', 'outbox_messages', ['due_at'], sqlite_where=queued, postgresql_where=queued)
    op.create_index('ix_outbox_messages_account_id', 'outbox_messages', ['account_id', 'id'])
    op.create_index('ix_outbox_messages_ended_at', 'outbox_messages', ['ended_at'])
    op.create_index('uq_outbox_messages_link_id_kind_channel', 'outbox_messages', ['link_id', 'kind', 'channel'], unique=True)
    op.add_column('accounts', sa.Column('email_shown_at', sa.DateTime(timezone=True), nullable=True))
    op.add_column('accounts', sa.Column('handed_over', sa.String(length=10), nullable=True))
    op.add_column('accounts', sa.Column('handed_over_at', sa.DateTime(timezone=True), nullable=True))
    op.add_column('accounts', sa.Column('handed_over_by_id', sa.Integer(), nullable=True))
    op.add_column('accounts', sa.Column('turned_off_reason', sa.String(length=200), nullable=True))


def downgrade() -> None:
    """Back. What waits to be sent is lost, and links that were sent open nothing."""
    for name in ('turned_off_reason', 'handed_over_by_id', 'handed_over_at', 'handed_over', 'email_shown_at'):
        op.drop_column('accounts', name)
    op.drop_table('outbox_messages')
    op.drop_table('one_time_links')
