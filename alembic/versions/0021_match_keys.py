"""What patients who may be the same are found by, for all patients that are there."""

import sqlalchemy as sa
from alembic import op

from clinic_app.models.patients import PATIENTS as TODAY
from clinic_app.services.patients.duplicates import index

revision = '0021_match_keys'
down_revision = '0020_name_parts'
branch_labels = None
depends_on = None

#: So many patients are read and written at a time.
BATCH = 1000
FIELDS = (
    'id', 'first_name', 'last_name', 'date_of_birth', 'date_of_birth_precision', 'gender', 'phone', 'email', 'national_id'
)
PATIENTS = sa.table('patients', *[sa.column(name, TODAY.c[name].type) for name in FIELDS])
MATCH_KEYS = sa.table('match_keys', sa.column('key'), sa.column('patient_id'))


def upgrade() -> None:
    """Forward."""
    op.create_table(
        'match_keys',
        sa.Column('key', sa.Integer(), autoincrement=False, nullable=False),
        sa.Column('patient_id', sa.Integer(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint('key', 'patient_id', name=op.f('pk_match_keys')),
        sqlite_with_rowid=False,
    )
    connection, last = op.get_bind(), 0
    while True:
        some = sa.select(PATIENTS).where(PATIENTS.c.id > last).order_by(PATIENTS.c.id).limit(BATCH)
        patients = connection.execute(some).all()
        if not patients:
            return
        connection.execute(sa.insert(MATCH_KEYS), [row for patient in patients for row in index.rows_of(patient)])
        last = patients[-1].id


def downgrade() -> None:
    """Back."""
    op.drop_table('match_keys')
