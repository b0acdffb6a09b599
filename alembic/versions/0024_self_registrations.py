"""Self-registrations, the messages to those who register, and challenges that were used up."""

import sqlalchemy as sa
from alembic import op

revision = '0024_self_registrations'
down_revision = '0023_imports'
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward. Whoever was waiting as a patient goes on waiting as one."""
    op.create_table('self_registrations',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('state', sa.String(length=12), nullable=False),
    sa.Column('seed', sa.String(length=32), nullable=False),
    sa.Column('details', sa.Text(), nullable=False),
    sa.Column('email_digest', sa.String(length=64), nullable=True),
    sa.Column('browser_digest', sa.String(length=64), nullable=True),
    sa.Column('code_digest', sa.String(length=64), nullable=True),
    sa.Column('code_hash', sa.String(length=120), nullable=True),
    sa.Column('email_confirmed_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('waiting_since', sa.DateTime(timezone=True), nullable=True),
    sa.Column('expires_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('decided_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('decided_by_id', sa.Integer(), nullable=True),
    sa.Column('reason', sa.String(length=20), nullable=True),
    sa.Column('patient_id', sa.Integer(), nullable=True),
    sa.Column('added', sa.JSON(), nullable=True),
    sa.ForeignKeyConstraint(['decided_by_id'], ['accounts.id'], name=op.f('fk_self_registrations_decided_by_id')),
    sa.ForeignKeyConstraint(['patient_id'], ['patients.id'], name=op.f('fk_self_registrations_patient_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_self_registrations')),
    sa.UniqueConstraint('browser_digest', name=op.f('uq_self_registrations_browser_digest')),
    sa.UniqueConstraint('code_digest', name=op.f('uq_self_registrations_code_digest')),
    sqlite_autoincrement=True
    )
    op.create_index('ix_self_registrations_state', 'self_registrations', ['state', 'waiting_since', 'id'])
    op.create_index('ix_self_registrations_email_digest', 'self_registrations', ['email_digest', 'created_at'])
    op.create_index('ix_self_registrations_expires_at', 'self_registrations', ['expires_at'])
    op.create_index('ix_self_registrations_decided_at', 'self_registrations', ['decided_at'])
    op.create_table('used_challenges',
    sa.Column('digest', sa.String(length=64), nullable=False),
    sa.Column('expires_at', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('digest', name=op.f('pk_used_challenges'))
    )
    op.create_index('ix_used_challenges_expires_at', 'used_challenges', ['expires_at'])
    with op.batch_alter_table('outbox_messages') as messages:
        messages.alter_column('account_id', existing_type=sa.Integer(), nullable=True)
        messages.add_column(sa.Column('registration_id', sa.Integer(), nullable=True))
        messages.create_foreign_key(op.f('fk_outbox_messages_registration_id'), 'self_registrations', ['registration_id'], ['id'], ondelete='CASCADE')
    op.create_index('ix_outbox_messages_registration_id', 'outbox_messages', ['registration_id'])


def downgrade() -> None:
    """Back. Whoever registered and was not verified yet is forgotten, and so is every message to them."""
    op.execute('DELETE FROM outbox_messages WHERE account_id IS NULL')
    op.drop_index('ix_outbox_messages_registration_id', 'outbox_messages')
    with op.batch_alter_table('outbox_messages') as messages:
        messages.drop_constraint(op.f('fk_outbox_messages_registration_id'), type_='foreignkey')
        messages.drop_column('registration_id')
        messages.alter_column('account_id', existing_type=sa.Integer(), nullable=False)
    op.drop_table('used_challenges')
    op.drop_table('self_registrations')
