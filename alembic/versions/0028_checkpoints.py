"""Signed checkpoints of the audit trail, and the tree over it."""

import sqlalchemy as sa
from alembic import op

revision = '0028_checkpoints'
down_revision = '0027_clinic_keys'
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward. The server, or the first command that needs it, makes the tree of the events that are there."""
    op.create_table('audit_checkpoints',
    sa.Column('size', sa.BigInteger(), autoincrement=False, nullable=False),
    sa.Column('root', sa.String(length=64), nullable=False),
    sa.Column('made_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('public_key', sa.String(length=200), nullable=False),
    sa.Column('note', sa.String(length=1000), nullable=False),
    sa.PrimaryKeyConstraint('size', name=op.f('pk_audit_checkpoints'))
    )
    op.create_table('audit_tree_nodes',
    sa.Column('level', sa.Integer(), autoincrement=False, nullable=False),
    sa.Column('number', sa.BigInteger(), autoincrement=False, nullable=False),
    sa.Column('hash', sa.String(length=64), nullable=False),
    sa.PrimaryKeyConstraint('level', 'number', name=op.f('pk_audit_tree_nodes'))
    )


def downgrade() -> None:
    """Back."""
    op.drop_table('audit_tree_nodes')
    op.drop_table('audit_checkpoints')
