"""Where messages for an account go that its username does not say, and how often an invitation was sent again."""

import sqlalchemy as sa
from alembic import op

revision = '0018_where_messages_go'
down_revision = '0017_portal_runs'
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward. Messages go where they went before."""
    op.add_column('accounts', sa.Column('contact_email', sa.String(length=254), nullable=True))
    op.add_column('accounts', sa.Column('invited_again', sa.Integer(), nullable=False, server_default='0'))


def downgrade() -> None:
    """Back. Emails go to the usernames again, also where those reach nobody."""
    op.drop_column('accounts', 'invited_again')
    op.drop_column('accounts', 'contact_email')
