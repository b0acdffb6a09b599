"""How many patients have each part of a name."""

import sqlalchemy as sa
from alembic import op

from clinic_app.services.patients.name_parts import parts_of

revision = '0020_name_parts'
down_revision = '0018_where_messages_go'
branch_labels = None
depends_on = None

BATCH = 5000
PART = sa.String(length=210).with_variant(sa.String(length=210, collation='C'), 'postgresql')


def upgrade() -> None:
    """Forward. The names of those who are there are counted."""
    parts = op.create_table('name_parts',
    sa.Column('part', PART, nullable=False),
    sa.Column('backwards', PART, nullable=False),
    sa.Column('patients', sa.Integer(), nullable=False),
    sa.PrimaryKeyConstraint('part', name=op.f('pk_name_parts'))
    )
    op.create_index('ix_name_parts_backwards', 'name_parts', ['backwards'])
    op.create_table('name_part_changes',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('part', PART, nullable=False),
    sa.Column('change', sa.Integer(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_name_part_changes'))
    )
    op.create_index('ix_name_part_changes_part', 'name_part_changes', ['part'])
    counts: dict[str, int] = {}
    names = sa.text('SELECT first_name, last_name, count(*) FROM patients GROUP BY first_name, last_name')
    for first, last, count in op.get_bind().execute(names):
        for part in parts_of(first, last):
            counts[part] = counts.get(part, 0) + count
    rows = [{'part': part, 'backwards': part[::-1], 'patients': count} for part, count in sorted(counts.items())]
    for start in range(0, len(rows), BATCH):
        op.bulk_insert(parts, rows[start : start + BATCH])


def downgrade() -> None:
    """Back. Nothing is lost: the counts are made of the names."""
    op.drop_table('name_part_changes')
    op.drop_table('name_parts')
