"""One folding for finding and comparing, national IDs by letters and digits alone, and external IDs.

What is stored is folded anew. Nothing that somebody typed is changed. Where two national IDs are one by the new
comparing, the oldest record keeps the key; the others, and those that mean "none", keep their text without a key:
``doctor`` counts them and the profile marks them.
"""

import re
import unicodedata
from types import SimpleNamespace

import phonenumbers
import sqlalchemy as sa
from alembic import op

from clinic_app.services.patients import national_ids, search_keys

revision = '0005_search_keys'
down_revision = '0004_preferred_language'
branch_labels = None
depends_on = None

#: So many rows are read and written at a time.
BATCH = 1000
FIELDS = ('patient_id', 'first_name', 'last_name', 'phone', 'email', 'national_id', 'next_of_kin_name', 'next_of_kin_phone')

PATIENTS = sa.table(
    'patients',
    sa.column('id'),
    *[sa.column(name) for name in FIELDS],
    *[sa.column(name) for name in ('external_id', 'national_id_key', 'name_key', 'search_names', 'search_keys')],
    sa.column('search_text'),
)
ACCOUNTS = sa.table('accounts', sa.column('patient_id'), sa.column('username'))


def _batches(connection, *columns):
    """All patients, oldest first, so that the oldest keeps what only one can have."""
    last = 0
    while True:
        rows = connection.execute(
            sa.select(PATIENTS.c.id, *columns).where(PATIENTS.c.id > last).order_by(PATIENTS.c.id).limit(BATCH)
        ).all()
        if not rows:
            return
        yield rows
        last = rows[-1].id


def _write(connection, rows) -> None:
    if rows:
        names = [name for name in rows[0] if name != 'row']
        connection.execute(
            sa.update(PATIENTS).where(PATIENTS.c.id == sa.bindparam('row')).values(
                {name: sa.bindparam(name) for name in names}
            ),
            rows,
        )


def _fold(connection, key_of, keys_of) -> None:
    # free first: the new key of one record may be the old one of another
    connection.execute(sa.update(PATIENTS).values(national_id_key=None))
    taken = set()
    for rows in _batches(connection, *[PATIENTS.c[name] for name in FIELDS]):
        changed = []
        for row in rows:
            key = key_of(row.national_id)
            key = None if key in taken else key
            taken.add(key)
            changed.append({'row': row.id, 'national_id_key': key, **keys_of(row, key)})
        _write(connection, changed)


def upgrade() -> None:
    """Forward. Adding and dropping a column needs no copy of the table, on SQLite either."""
    op.add_column('patients', sa.Column('external_id', sa.String(length=100), nullable=True))
    op.create_index('uq_patients_external_id', 'patients', ['external_id'], unique=True)
    # a default only for the rows that are there: the program always gives a value
    op.add_column('patients', sa.Column('search_names', sa.Text(), server_default='', nullable=False))
    op.add_column('patients', sa.Column('search_keys', sa.Text(), server_default='', nullable=False))
    connection = op.get_bind()
    usernames: dict[int, list[str]] = {}
    for patient, username in connection.execute(
        sa.select(ACCOUNTS.c.patient_id, ACCOUNTS.c.username).where(ACCOUNTS.c.patient_id.is_not(None))
    ):
        usernames.setdefault(patient, []).append(username)

    def keys_of(row, _):
        keys = search_keys.keys_of(SimpleNamespace(**row._mapping, external_id=None), usernames.get(row.id, ()))
        return {name: getattr(keys, name) for name in ('name_key', 'search_names', 'search_keys')}

    _fold(connection, national_ids.key, keys_of)
    op.drop_column('patients', 'search_text')


# --- back: as it was compared before ------------------------------------------------------------


def _old_key(value):
    plain = unicodedata.normalize('NFKC', value or '').casefold()
    kept = ''.join(c for c in plain if not (c.isspace() or c == '\u2212' or unicodedata.category(c) in {'Pd', 'Cf'}))
    return kept[:50] if any(c.isalnum() for c in kept) else None


def _old_folded(text):
    plain = unicodedata.normalize('NFKD', unicodedata.normalize('NFKD', text).casefold())
    return ' '.join(''.join(c for c in plain if not unicodedata.combining(c)).split())


def _old_phone(number):
    """The digits people dial within the country."""
    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return ''
    return re.sub(r'\D', '', phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.NATIONAL))


def _old_keys(row, key):
    name = _old_folded(f'{row.first_name} {row.last_name}')[:210]
    phone = row.phone or ''
    parts = (name, row.patient_id.lower(), phone.lstrip('+'), _old_phone(phone), key or '', _old_folded(row.email or ''))
    return {'name_key': name, 'search_text': ' '.join(part for part in parts if part)[:600]}


def downgrade() -> None:
    """Back. External IDs are forgotten; two national IDs that are one by the old comparing keep one key."""
    op.add_column('patients', sa.Column('search_text', sa.String(length=600), server_default='', nullable=False))
    _fold(op.get_bind(), _old_key, _old_keys)
    op.drop_column('patients', 'search_keys')
    op.drop_column('patients', 'search_names')
    op.drop_index('uq_patients_external_id', table_name='patients')
    op.drop_column('patients', 'external_id')
