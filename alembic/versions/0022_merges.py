"""Possible duplicates, what is still to be compared, and merges."""

import sqlalchemy as sa
from alembic import op

revision = '0022_merges'
down_revision = '0021_match_keys'
branch_labels = None
depends_on = None

#: Whatever adds or changes a record has it compared: nothing that writes patients can forget to.
_COMPARE = (
    'INSERT INTO waiting_comparisons (patient_id, version) VALUES (NEW.id, NEW.version) '
    'ON CONFLICT (patient_id) DO UPDATE SET version = excluded.version'
)
SQLITE_TRIGGERS = (
    f'CREATE TRIGGER patients_compare_new AFTER INSERT ON patients BEGIN {_COMPARE}; END',
    'CREATE TRIGGER patients_compare_changed AFTER UPDATE OF version ON patients '
    f'WHEN NEW.version <> OLD.version BEGIN {_COMPARE}; END',
)
POSTGRES_TRIGGERS = (
    f'CREATE FUNCTION patients_compare() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {_COMPARE}; RETURN NULL; END $$',
    'CREATE TRIGGER patients_compare_new AFTER INSERT ON patients FOR EACH ROW EXECUTE FUNCTION patients_compare()',
    'CREATE TRIGGER patients_compare_changed AFTER UPDATE OF version ON patients FOR EACH ROW '
    'WHEN (NEW.version <> OLD.version) EXECUTE FUNCTION patients_compare()',
)


def upgrade() -> None:
    """Forward. Everybody who is on file is compared from now on, little by little."""
    # no foreign key: SQLite would copy the table for it, and patients are never removed
    op.add_column('patients', sa.Column('merged_into_id', sa.Integer(), nullable=True))
    merged = sa.text('merged_into_id IS NOT NULL')
    op.create_index('ix_patients_merged_into_id', 'patients', ['merged_into_id'], sqlite_where=merged, postgresql_where=merged)
    op.create_table('duplicate_pairs',
    sa.Column('low_id', sa.Integer(), nullable=False),
    sa.Column('high_id', sa.Integer(), nullable=False),
    sa.Column('rank', sa.Integer(), nullable=False),
    sa.Column('score', sa.Float(), nullable=False),
    sa.Column('reasons', sa.JSON(), nullable=False),
    sa.Column('low_version', sa.Integer(), nullable=False),
    sa.Column('high_version', sa.Integer(), nullable=False),
    sa.Column('found_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('set_aside_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('set_aside_by_id', sa.Integer(), nullable=True),
    sa.CheckConstraint('low_id < high_id', name=op.f('ck_duplicate_pairs_in_order')),
    sa.ForeignKeyConstraint(['low_id'], ['patients.id'], name=op.f('fk_duplicate_pairs_low_id')),
    sa.ForeignKeyConstraint(['high_id'], ['patients.id'], name=op.f('fk_duplicate_pairs_high_id')),
    sa.PrimaryKeyConstraint('low_id', 'high_id', name=op.f('pk_duplicate_pairs'))
    )
    open_, aside = sa.text('set_aside_at IS NULL'), sa.text('set_aside_at IS NOT NULL')
    op.create_index('ix_duplicate_pairs_high_id', 'duplicate_pairs', ['high_id'])
    op.create_index('ix_duplicate_pairs_open', 'duplicate_pairs', ['rank', 'score', 'low_id', 'high_id'], sqlite_where=open_, postgresql_where=open_)
    op.create_index('ix_duplicate_pairs_set_aside', 'duplicate_pairs', ['set_aside_at', 'low_id', 'high_id'], sqlite_where=aside, postgresql_where=aside)
    op.create_table('waiting_comparisons',
    sa.Column('patient_id', sa.Integer(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.ForeignKeyConstraint(['patient_id'], ['patients.id'], name=op.f('fk_waiting_comparisons_patient_id')),
    sa.PrimaryKeyConstraint('patient_id', name=op.f('pk_waiting_comparisons'))
    )
    op.create_table('patient_merges',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('survivor_id', sa.Integer(), nullable=False),
    sa.Column('other_id', sa.Integer(), nullable=False),
    sa.Column('merged_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('merged_by_id', sa.Integer(), nullable=True),
    sa.Column('kept', sa.Text(), nullable=False),
    sa.Column('undone_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('undone_by_id', sa.Integer(), nullable=True),
    sa.ForeignKeyConstraint(['survivor_id'], ['patients.id'], name=op.f('fk_patient_merges_survivor_id')),
    sa.ForeignKeyConstraint(['other_id'], ['patients.id'], name=op.f('fk_patient_merges_other_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_patient_merges'))
    )
    stands = sa.text('undone_at IS NULL')
    op.create_index('ix_patient_merges_survivor_id', 'patient_merges', ['survivor_id'])
    op.create_index('uq_patient_merges_other_id', 'patient_merges', ['other_id'], unique=True, sqlite_where=stands, postgresql_where=stands)
    postgres = op.get_bind().dialect.name == 'postgresql'
    for statement in POSTGRES_TRIGGERS if postgres else SQLITE_TRIGGERS:
        op.execute(statement)
    op.execute('INSERT INTO waiting_comparisons (patient_id, version) SELECT id, version FROM patients WHERE is_active')


def downgrade() -> None:
    """Back. Merged records stay inactive, and what undoing a merge needs is lost."""
    for name in ('patients_compare_new', 'patients_compare_changed'):
        op.execute(f'DROP TRIGGER {name} ON patients' if op.get_bind().dialect.name == 'postgresql' else f'DROP TRIGGER {name}')
    if op.get_bind().dialect.name == 'postgresql':
        op.execute('DROP FUNCTION patients_compare()')
    op.drop_table('patient_merges')
    op.drop_table('waiting_comparisons')
    op.drop_table('duplicate_pairs')
    op.drop_index('ix_patients_merged_into_id', table_name='patients')
    op.drop_column('patients', 'merged_into_id')
