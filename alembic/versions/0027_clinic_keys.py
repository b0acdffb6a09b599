"""Which keys belong to this clinic, by their fingerprints."""

import sqlalchemy as sa
from alembic import op

revision = '0027_clinic_keys'
down_revision = '0026_search_words'
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward. The first start after it notes the keys, once it has seen that they are those of the trail."""
    op.create_table('clinic_keys',
    sa.Column('name', sa.String(length=20), nullable=False),
    sa.Column('version', sa.Integer(), autoincrement=False, nullable=False),
    sa.Column('fingerprint', sa.String(length=32), nullable=False),
    sa.Column('noted_at', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('name', 'version', name=op.f('pk_clinic_keys'))
    )


def downgrade() -> None:
    """Back."""
    op.drop_table('clinic_keys')
