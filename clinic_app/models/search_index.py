"""The index of what patients are found by, kept by the database itself with every row that is written.

SQLite: an FTS5 table of words, which holds no text of its own, and one of trigrams of the parts of names. PostgreSQL: a
GIN index of the same words, and one of trigrams (``pg_trgm``) of those parts. Triggers also keep ``patient_counts``.
"""

from __future__ import annotations

# ruff: noqa: S608  names of tables alone are put together here, nothing that anybody typed

INDEX, WORDS, PARTS = "patients_search", "patients_search_words", "patients_search_parts"
#: The words of a record as PostgreSQL has them in its index: a statement that asks for this expression uses it.
VECTOR = "array_to_tsvector(string_to_array(search_words, ' '))"
#: Whether SQLite's index knows of one record the words that are wanted.
FOUND = f"SELECT count(*) FROM {WORDS} WHERE {WORDS} MATCH :wanted AND rowid = :id"
#: Whatever stands between blanks is one word.
_SIGNS = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~".replace("'", "''")
_TOKENS = f"ascii tokenchars '{_SIGNS}'".replace("'", "''")
_ADD = f"INSERT INTO {WORDS} (rowid, search_words) VALUES (new.id, new.search_words)"
_REMOVE = f"INSERT INTO {WORDS} ({WORDS}, rowid, search_words) VALUES ('delete', old.id, old.search_words)"
_SQLITE_TABLE = (
    f"CREATE VIRTUAL TABLE {WORDS} USING fts5(search_words, content='patients', content_rowid='id', "
    f"tokenize='{_TOKENS}', detail=none, columnsize=0)"
)
_SQLITE_TRIGGERS = (
    f"CREATE TRIGGER patients_search_added AFTER INSERT ON patients BEGIN {_ADD}; END",
    f"CREATE TRIGGER patients_search_removed AFTER DELETE ON patients BEGIN {_REMOVE}; END",
    "CREATE TRIGGER patients_search_changed AFTER UPDATE OF search_words ON patients "
    f"WHEN old.search_words <> new.search_words BEGIN {_REMOVE}; {_ADD}; END",
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
#: What is too short for trigrams is not in it, and found by reading.
_PARTS_TABLE = f"CREATE VIRTUAL TABLE {PARTS} USING fts5(part, tokenize='trigram case_sensitive 1', columnsize=0)"
_QUOTED = "'\"' || replace(old.part, '\"', '\"\"') || '\"'"
_PARTS_TRIGGERS = (
    f"CREATE TRIGGER patients_search_part_added AFTER INSERT ON name_parts WHEN length(new.part) > 2 BEGIN "
    f"INSERT INTO {PARTS} (part) VALUES (new.part); END",
    f"CREATE TRIGGER patients_search_part_removed AFTER DELETE ON name_parts WHEN length(old.part) > 2 BEGIN "
    f"DELETE FROM {PARTS} WHERE rowid IN (SELECT rowid FROM {PARTS} WHERE {PARTS} MATCH {_QUOTED} "
    "AND part = old.part); END",
)
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
    f"CREATE INDEX {WORDS} ON patients USING gin ({VECTOR})",
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
        filled = f"INSERT INTO {WORDS} ({WORDS}) VALUES ('rebuild')"
        parts = f"INSERT INTO {PARTS} (part) SELECT part FROM name_parts WHERE length(part) > 2"
        return (_SQLITE_TABLE, filled, *_SQLITE_TRIGGERS, _PARTS_TABLE, parts, *_PARTS_TRIGGERS, *COUNTS)
    extension = "CREATE EXTENSION IF NOT EXISTS pg_trgm"
    return (extension, *_POSTGRES_INDEXES, _POSTGRES_FUNCTION, *_POSTGRES_TRIGGERS, *COUNTS)


def drop(dialect: str) -> tuple[str, ...]:
    """The statements that take it away. The extension of PostgreSQL stays: others may use it."""
    if dialect == "sqlite":
        names = [statement.split()[2] for statement in (*_SQLITE_TRIGGERS, *_PARTS_TRIGGERS)]
        return (
            *[f"DROP TRIGGER IF EXISTS {name}" for name in names],
            f"DROP TABLE IF EXISTS {WORDS}",
            f"DROP TABLE IF EXISTS {PARTS}",
            f"DROP TABLE IF EXISTS {INDEX}_names",  # these two are of older versions
            f"DROP TABLE IF EXISTS {INDEX}",
        )
    return (
        "DROP TRIGGER IF EXISTS patients_counted ON patients",
        "DROP FUNCTION IF EXISTS patients_count()",
        f"DROP INDEX IF EXISTS {INDEX}_trigrams",  # of an older version
        f"DROP INDEX IF EXISTS {WORDS}",
        f"DROP INDEX IF EXISTS {INDEX}_parts",
    )
