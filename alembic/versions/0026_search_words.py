"""The index of what patients are found by is one of words alone: made anew, and the words with it."""

import sqlalchemy as sa
from alembic import op

from clinic_app.models import search_index
from clinic_app.services.patients.search_keys import words, words_in

revision = '0026_search_words'
down_revision = '0025_search_index'
branch_labels = None
depends_on = None

PATIENTS = sa.table(
    'patients', *map(sa.column, ('id', 'first_name', 'last_name', 'search_names', 'search_keys', 'search_words'))
)
READ = [PATIENTS.c[name] for name in ('id', 'first_name', 'last_name', 'search_names', 'search_keys')]
BATCH = 5000


def _words(row) -> str:
    return words_in(row.search_names, row.search_keys, words(f'{row.first_name} {row.last_name}'))


def _fill(connection) -> None:
    change = sa.update(PATIENTS).where(PATIENTS.c.id == sa.bindparam('row'))
    change = change.values(search_words=sa.bindparam('words'))
    last = 0
    while True:
        some = sa.select(*READ).where(PATIENTS.c.id > last).order_by(PATIENTS.c.id).limit(BATCH)
        rows = connection.execute(some).all()
        if not rows:
            return
        connection.execute(change, [{'row': row.id, 'words': _words(row)} for row in rows])
        last = rows[-1].id


def upgrade() -> None:
    """Forward. The index is away while all its rows change: that is much quicker."""
    dialect = op.get_bind().dialect.name
    for statement in search_index.drop(dialect):
        op.execute(statement)
    _fill(op.get_bind())
    for statement in search_index.create(dialect):
        op.execute(statement)


def downgrade() -> None:
    """Back: the program of before makes its own index with ``rebuild-search``."""
