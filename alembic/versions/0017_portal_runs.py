"""Runs that give portal accounts to many patients."""

import sqlalchemy as sa
from alembic import op

revision = '0017_portal_runs'
down_revision = '0016_work_list'
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward."""
    op.create_table('portal_runs',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('started_by_id', sa.Integer(), nullable=True),
    sa.Column('chosen', sa.JSON(), nullable=False),
    sa.Column('state', sa.String(length=10), nullable=False),
    sa.Column('started_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('ended_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('lease', sa.String(length=32), nullable=True),
    sa.Column('leased_until', sa.DateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['started_by_id'], ['accounts.id'], name=op.f('fk_portal_runs_started_by_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_portal_runs'))
    )
    running = sa.text("state = 'RUNNING'")
    op.create_index('uq_portal_runs_state', 'portal_runs', ['state'], unique=True, sqlite_where=running, postgresql_where=running)
    op.create_index('ix_portal_runs_ended_at', 'portal_runs', ['ended_at'])
    op.create_table('portal_run_items',
    sa.Column('run_id', sa.Integer(), nullable=False),
    sa.Column('patient_id', sa.Integer(), nullable=False),
    sa.Column('state', sa.String(length=10), nullable=False),
    sa.Column('reason', sa.String(length=40), nullable=True),
    sa.Column('account_id', sa.Integer(), nullable=True),
    sa.Column('done_at', sa.DateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['run_id'], ['portal_runs.id'], name=op.f('fk_portal_run_items_run_id'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['patient_id'], ['patients.id'], name=op.f('fk_portal_run_items_patient_id')),
    sa.ForeignKeyConstraint(['account_id'], ['accounts.id'], name=op.f('fk_portal_run_items_account_id')),
    sa.PrimaryKeyConstraint('run_id', 'patient_id', name=op.f('pk_portal_run_items'))
    )
    op.create_index('ix_portal_run_items_state', 'portal_run_items', ['run_id', 'state', 'patient_id'])


def downgrade() -> None:
    """Back. The accounts stay; what became of whom in which run is lost."""
    op.drop_table('portal_run_items')
    op.drop_table('portal_runs')
