"""The index of what patients are found by, kept by the database itself with every row that is written.

SQLite: an FTS5 table of trigrams, which holds no text of its own. PostgreSQL: a GIN index of trigrams (``pg_trgm``).
Triggers also keep ``patient_counts``.
"""

# ruff: noqa: S608  only names of this module are put into these texts

from __future__ import annotations

# ruff: noqa: S608  names of tables alone are put together here, nothing that anybody typed

INDEX, NAMES, WORDS = "patients_search", "patients_search_names", "patients_search_words"
_COLUMNS = "search_names, search_keys"
_ADD_WORDS = (
    f"INSERT INTO {WORDS} (rowid, search_words) VALUES (new.id, new.search_words); "
    f"INSERT INTO {NAMES} (rowid, search_names) VALUES (new.id, new.search_names)"
)
_REMOVE_WORDS = (
    f"INSERT INTO {WORDS} ({WORDS}, rowid, search_words) VALUES ('delete', old.id, old.search_words); "
    f"INSERT INTO {NAMES} ({NAMES}, rowid, search_names) VALUES ('delete', old.id, old.search_names)"
)
_OLD = "'delete', old.id, old.search_names, old.search_keys"

_SQLITE_TABLE = (
    f"CREATE VIRTUAL TABLE {INDEX} USING fts5({_COLUMNS}, content='patients', content_rowid='id', "
    "tokenize='trigram case_sensitive 1', detail=column, columnsize=0)"
)
#: Of names alone: lists in which numbers and next of kin are not are much shorter.
_NAMES_TABLE = (
    f"CREATE VIRTUAL TABLE {NAMES} USING fts5(search_names, content='patients', content_rowid='id', "
    "tokenize='trigram case_sensitive 1', detail=none, columnsize=0)"
)
_WORDS_TABLE = (
    f"CREATE VIRTUAL TABLE {WORDS} USING fts5(search_words, content='patients', content_rowid='id', "
    "detail=none, columnsize=0)"
)
_SQLITE_TRIGGERS = (
    f"CREATE TRIGGER patients_search_added AFTER INSERT ON patients BEGIN INSERT INTO {INDEX} (rowid, {_COLUMNS}) "
    f"VALUES (new.id, new.search_names, new.search_keys); {_ADD_WORDS}; END",
    "CREATE TRIGGER patients_search_removed AFTER DELETE ON patients BEGIN "
    f"INSERT INTO {INDEX} ({INDEX}, rowid, {_COLUMNS}) VALUES ({_OLD}); {_REMOVE_WORDS}; END",
    "CREATE TRIGGER patients_search_changed AFTER UPDATE OF search_names, search_keys, search_words ON patients "
    "WHEN old.search_names <> new.search_names OR old.search_keys <> new.search_keys BEGIN "
    f"INSERT INTO {INDEX} ({INDEX}, rowid, {_COLUMNS}) VALUES ({_OLD}); "
    f"INSERT INTO {INDEX} (rowid, {_COLUMNS}) VALUES (new.id, new.search_names, new.search_keys); "
    f"{_REMOVE_WORDS}; {_ADD_WORDS}; END",
    "CREATE TRIGGER patients_counted_added AFTER INSERT ON patients WHEN new.is_active BEGIN "
    "INSERT INTO patient_count_changes (name, change) SELECT 'active', 1 "
    "UNION ALL SELECT 'portal', 1 WHERE new.portal_enabled; END",
    "CREATE TRIGGER patients_counted_removed AFTER DELETE ON patients WHEN old.is_active BEGIN "
    "INSERT INTO patient_count_changes (name, change) SELECT 'active', -1 "
    "UNION ALL SELECT 'portal', -1 WHERE old.portal_enabled; END",
    "CREATE TRIGGER patients_counted_changed AFTER UPDATE OF is_active, portal_enabled ON patients "
    "WHEN old.is_active <> new.is_active OR old.portal_enabled <> new.portal_enabled BEGIN "
    "INSERT INTO patient_count_changes (name, change) "
    "SELECT 'active', new.is_active - old.is_active WHERE new.is_active <> old.is_active UNION ALL "
    "SELECT 'portal', (new.is_active AND new.portal_enabled) - (old.is_active AND old.portal_enabled) "
    "WHERE (new.is_active AND new.portal_enabled) <> (old.is_active AND old.portal_enabled); END",
)
#: Triggers on the table of patients that SQLite needs.
TRIGGERS = len(_SQLITE_TRIGGERS)
_POSTGRES_FUNCTION = """
CREATE FUNCTION patients_count() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  was boolean := TG_OP <> 'INSERT' AND old.is_active;
  is_now boolean := TG_OP <> 'DELETE' AND new.is_active;
  had boolean := was AND old.portal_enabled;
  has_now boolean := is_now AND new.portal_enabled;
BEGIN
  IF was <> is_now THEN
    INSERT INTO patient_count_changes (name, change) VALUES ('active', is_now::int - was::int);
  END IF;
  IF had <> has_now THEN
    INSERT INTO patient_count_changes (name, change) VALUES ('portal', has_now::int - had::int);
  END IF;
  RETURN NULL;
END $$
"""
_POSTGRES_TRIGGERS = (
    "CREATE TRIGGER patients_counted AFTER INSERT OR DELETE OR UPDATE OF is_active, portal_enabled ON patients "
    "FOR EACH ROW EXECUTE FUNCTION patients_count()",
)
_POSTGRES_INDEXES = (
    f"CREATE INDEX {INDEX}_trigrams ON patients USING gin (search_names gin_trgm_ops, search_keys gin_trgm_ops)",
    f"CREATE INDEX {WORDS} ON patients USING gin (string_to_array(search_words, ' '))",
    f"CREATE INDEX {INDEX}_parts ON name_parts USING gin (part gin_trgm_ops)",
)
COUNTS = (
    "DELETE FROM patient_count_changes",
    "DELETE FROM patient_counts",
    "INSERT INTO patient_counts (name, value) SELECT 'active', count(*) FROM patients WHERE is_active",
    "INSERT INTO patient_counts (name, value) "
    "SELECT 'portal', count(*) FROM patients WHERE is_active AND portal_enabled",
)


def create(dialect: str) -> tuple[str, ...]:
    """The statements that make it, and fill it with who is there already."""
    if dialect == "sqlite":
        filled = [f"INSERT INTO {name} ({name}) VALUES ('rebuild')" for name in (INDEX, NAMES, WORDS)]
        return (_SQLITE_TABLE, _NAMES_TABLE, _WORDS_TABLE, *filled, *_SQLITE_TRIGGERS, *COUNTS)
    extension = "CREATE EXTENSION IF NOT EXISTS pg_trgm"
    return (extension, *_POSTGRES_INDEXES, _POSTGRES_FUNCTION, *_POSTGRES_TRIGGERS, *COUNTS)


def drop(dialect: str) -> tuple[str, ...]:
    """The statements that take it away. The extension of PostgreSQL stays: others may use it."""
    if dialect == "sqlite":
        names = [statement.split()[2] for statement in _SQLITE_TRIGGERS]
        return (
            *[f"DROP TRIGGER IF EXISTS {name}" for name in names],
            f"DROP TABLE IF EXISTS {WORDS}",
            f"DROP TABLE IF EXISTS {NAMES}",
            f"DROP TABLE IF EXISTS {INDEX}",
        )
    return (
        "DROP TRIGGER IF EXISTS patients_counted ON patients",
        "DROP FUNCTION IF EXISTS patients_count()",
        f"DROP INDEX IF EXISTS {INDEX}_trigrams",
        f"DROP INDEX IF EXISTS {WORDS}",
        f"DROP INDEX IF EXISTS {INDEX}_parts",
    )
