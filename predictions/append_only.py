"""Keeps the audit as it was written, in the database itself: triggers of SQLite and of PostgreSQL.

Only `who` may still become null, when that person's account is deleted.
"""

from __future__ import annotations

from typing import Any

TABLE = "predictions_audit"
REFUSAL = "The audit is append-only: an entry can neither be changed nor deleted."
COLUMNS = ("id", "at", "who_name", "action", "subject", "outcome", "before", "after", "address")

_columns = ", ".join(f'"{name}"' for name in COLUMNS)
_refuse = f"BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END"
SQLITE = {
    "audit_stays": f"BEFORE DELETE ON {TABLE} {_refuse}",
    "audit_as_written": f"BEFORE UPDATE OF {_columns} ON {TABLE} {_refuse}",
    "audit_keeps_who": f"BEFORE UPDATE OF who_id ON {TABLE} WHEN new.who_id IS NOT NULL {_refuse}",
    # INSERT OR REPLACE deletes without a word to the first.
    "audit_replaces_none": f"BEFORE INSERT ON {TABLE} WHEN EXISTS (SELECT 1 FROM {TABLE} WHERE id = new.id) {_refuse}",  # noqa: S608
}
POSTGRESQL_FUNCTION = f"""
CREATE OR REPLACE FUNCTION {TABLE}_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF new.who_id IS NULL AND to_jsonb(new) - 'who_id' = to_jsonb(old) - 'who_id' THEN
            RETURN new;
        END IF;
    END IF;
    RAISE EXCEPTION USING ERRCODE = 'restrict_violation', MESSAGE = '{REFUSAL}';
END $$
"""
POSTGRESQL = {
    "audit_as_written": f"BEFORE UPDATE OR DELETE ON {TABLE} FOR EACH ROW EXECUTE FUNCTION {TABLE}_refuse()",
    "audit_stays": f"BEFORE TRUNCATE ON {TABLE} FOR EACH STATEMENT EXECUTE FUNCTION {TABLE}_refuse()",
}


def protect(connection: Any) -> None:
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(POSTGRESQL_FUNCTION)
        for name, words in _triggers(connection).items():
            cursor.execute(f"CREATE TRIGGER {name} {words}")


def unprotect(connection: Any) -> None:
    """For a migration that goes back, and for a database that is emptied as a whole."""
    with connection.cursor() as cursor:
        for name in _triggers(connection):
            cursor.execute(
                f"DROP TRIGGER IF EXISTS {name}" + (f" ON {TABLE}" if connection.vendor == "postgresql" else "")
            )


def _triggers(connection: Any) -> dict[str, str]:
    return POSTGRESQL if connection.vendor == "postgresql" else SQLITE
