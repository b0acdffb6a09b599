"""The language a patient prefers."""

import sqlalchemy as sa
from alembic import op

revision = '0004_preferred_language'
down_revision = '0003_account_security'
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward. Adding a column needs no copy of the table, on SQLite either."""
    op.add_column('patients', sa.Column('preferred_language', sa.String(length=35), nullable=True))


def downgrade() -> None:
    """Back. What patients prefer is forgotten."""
    op.drop_column('patients', 'preferred_language')
