"""How exact a birth date is, and people with one name."""

import sqlalchemy as sa
from alembic import op

revision = '0006_partial_dates_single_names'
down_revision = '0005_search_keys'
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward. Dates that are there are known to the day. Adding a column needs no copy of the table, on SQLite either."""
    # defaults only for the rows that are there: the program always gives a value
    op.add_column('patients', sa.Column('date_of_birth_precision', sa.String(length=10), server_default='DAY', nullable=False))
    op.add_column('patients', sa.Column('single_name', sa.Boolean(), server_default=sa.false(), nullable=False))


def downgrade() -> None:
    """Back. How exact a date is is forgotten: a year becomes its first day. Nobody gets a last name by it."""
    op.drop_column('patients', 'single_name')
    op.drop_column('patients', 'date_of_birth_precision')
