"""Finding and listing a million: an index of trigrams, covering indexes for each order, kept counts."""

import sqlalchemy as sa
from alembic import op

from clinic_app.models import search_index

revision = '0025_search_index'
down_revision = '0024_self_registrations'
branch_labels = None
depends_on = None

#: Index → the columns of an order, behind whether the patient is listed.
ORDERS = {
    'ix_patients_listed_name': ['is_active', 'name_key', 'id'],
    'ix_patients_listed_id': ['is_active', 'id'],
    'ix_patients_listed_born': ['is_active', 'date_of_birth', 'id'],
    'ix_patients_listed_created': ['is_active', 'created_at', 'id'],
}

def upgrade() -> None:
    """Forward."""
    op.create_table('patient_counts',
    sa.Column('name', sa.String(length=20), nullable=False),
    sa.Column('value', sa.Integer(), nullable=False),
    sa.PrimaryKeyConstraint('name', name=op.f('pk_patient_counts'))
    )
    op.create_table('patient_count_changes',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('name', sa.String(length=20), nullable=False),
    sa.Column('change', sa.Integer(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_patient_count_changes'))
    )
    # a default only for the rows that are there, which the next step fills: the program always gives a value
    op.add_column('patients', sa.Column('search_words', sa.Text(), server_default='', nullable=False))
    for name, columns in ORDERS.items():
        op.create_index(name, 'patients', columns)
    less = sa.text("date_of_birth_precision <> 'DAY'")
    columns = ['date_of_birth', 'date_of_birth_precision', 'id']
    op.create_index('ix_patients_born_less_known', 'patients', columns, sqlite_where=less, postgresql_where=less)
    op.drop_index('ix_patients_name_key_id', table_name='patients')
    for statement in search_index.create(op.get_bind().dialect.name):
        op.execute(statement)


def downgrade() -> None:
    """Back. Nothing is lost: all of it is made of the patients."""
    for statement in search_index.drop(op.get_bind().dialect.name):
        op.execute(statement)
    op.create_index('ix_patients_name_key_id', 'patients', ['name_key', 'id'])
    for name in (*ORDERS, 'ix_patients_born_less_known'):
        op.drop_index(name, table_name='patients')
    op.drop_column('patients', 'search_words')
    op.drop_table('patient_count_changes')
    op.drop_table('patient_counts')
