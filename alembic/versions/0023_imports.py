"""Imports of patients from a file."""

import sqlalchemy as sa
from alembic import op

revision = '0023_imports'
down_revision = '0022_merges'
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward."""
    op.create_table('patient_imports',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('started_by_id', sa.Integer(), nullable=True),
    sa.Column('name', sa.String(length=200), nullable=False),
    sa.Column('token', sa.String(length=32), nullable=True),
    sa.Column('size', sa.BigInteger(), nullable=False),
    sa.Column('digest', sa.String(length=64), nullable=True),
    sa.Column('state', sa.String(length=10), nullable=False),
    sa.Column('reason', sa.String(length=300), nullable=True),
    sa.Column('left_out_columns', sa.JSON(), nullable=False),
    sa.Column('allow_duplicates', sa.Boolean(), nullable=False),
    sa.Column('position', sa.BigInteger(), nullable=False),
    sa.Column('next_row', sa.Integer(), nullable=False),
    sa.Column('next_line', sa.Integer(), nullable=False),
    sa.Column('done_through', sa.Integer(), nullable=False),
    sa.Column('rows', sa.Integer(), nullable=False),
    sa.Column('new', sa.Integer(), nullable=False),
    sa.Column('duplicates', sa.Integer(), nullable=False),
    sa.Column('invalid', sa.Integer(), nullable=False),
    sa.Column('imported', sa.Integer(), nullable=False),
    sa.Column('same', sa.Integer(), nullable=False),
    sa.Column('first_patient_id', sa.String(length=20), nullable=True),
    sa.Column('last_patient_id', sa.String(length=20), nullable=True),
    sa.Column('started_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('import_started_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('ended_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('changed_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('lease', sa.String(length=120), nullable=True),
    sa.Column('leased_until', sa.DateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['started_by_id'], ['accounts.id'], name=op.f('fk_patient_imports_started_by_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_patient_imports')),
    sqlite_autoincrement=True,
    )
    busy = sa.text("state IN ('CHECKING', 'IMPORTING')")
    op.create_index('uq_patient_imports_state', 'patient_imports', ['state'], unique=True, sqlite_where=busy, postgresql_where=busy)
    op.create_index('ix_patient_imports_digest', 'patient_imports', ['digest'])
    op.create_index('ix_patient_imports_changed_at', 'patient_imports', ['changed_at'])
    op.create_table('patient_import_rows',
    sa.Column('import_id', sa.Integer(), nullable=False),
    sa.Column('row', sa.Integer(), nullable=False),
    sa.Column('line', sa.Integer(), nullable=False),
    sa.Column('outcome', sa.String(length=20), nullable=False),
    sa.Column('errors', sa.JSON(), nullable=False),
    sa.Column('candidates', sa.JSON(), nullable=False),
    sa.Column('typed', sa.JSON(), nullable=False),
    sa.Column('decision', sa.String(length=20), nullable=True),
    sa.Column('same_id', sa.Integer(), nullable=True),
    sa.Column('settled', sa.Boolean(), nullable=False),
    sa.ForeignKeyConstraint(['import_id'], ['patient_imports.id'], name=op.f('fk_patient_import_rows_import_id'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['same_id'], ['patients.id'], name=op.f('fk_patient_import_rows_same_id')),
    sa.PrimaryKeyConstraint('import_id', 'row', name=op.f('pk_patient_import_rows'))
    )
    op.create_index('ix_patient_import_rows_outcome', 'patient_import_rows', ['import_id', 'outcome', 'row'])


def downgrade() -> None:
    """Back. The patients stay; what became of which row is lost, and a file may be taken in a second time."""
    op.drop_table('patient_import_rows')
    op.drop_table('patient_imports')
