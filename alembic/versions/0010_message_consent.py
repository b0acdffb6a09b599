"""Whether messages may go to a patient's email and phone."""

import sqlalchemy as sa
from alembic import op

revision = '0010_message_consent'
down_revision = '0009_draft_instances'
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward. Who is registered already has not refused. Adding a column needs no copy of the table, on SQLite either."""
    # defaults only for the rows that are there: the program always gives a value
    op.add_column('patients', sa.Column('email_allowed', sa.Boolean(), server_default=sa.true(), nullable=False))
    op.add_column('patients', sa.Column('sms_allowed', sa.Boolean(), server_default=sa.true(), nullable=False))


def downgrade() -> None:
    """Back. Who has refused messages is forgotten."""
    op.drop_column('patients', 'sms_allowed')
    op.drop_column('patients', 'email_allowed')
