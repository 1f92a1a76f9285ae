"""A long history in one go: one job that really ran and its result, copied a million times over the last thirty days.

Every result is still there, as where RESULT_EXPIRES is a month. SQL, because through the product it would take an hour.
A change is said in SQL that both databases know: what a column's value becomes for copy number i.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from typing import Any

import psycopg
from psycopg.sql import Literal

JOBS, RESULTS = "predictions_job", "django_celery_results_taskresult"
MONTH_MS = 30 * 86400 * 1000
Changes = Mapping[str, Callable[[str], str]]
"""{column: from its value to another}."""
LATEST = f"SELECT * FROM {JOBS} WHERE state = 'succeeded' ORDER BY id DESC LIMIT 1"


def fill(
    source_url: str, target_url: str, jobs: int, of_jobs: Changes | None = None, of_results: Changes | None = None
) -> None:
    """source: where a job has succeeded. target: migrated, and nothing else uses it."""
    kind = _OnPostgreSQL if target_url.startswith("postgres") else _OnSQLite
    kind(source_url, target_url, {JOBS: of_jobs or {}, RESULTS: of_results or {}}).fill(jobs)


class _OnSQLite:
    def __init__(self, source_url: str, target_url: str, changes: Mapping[str, Changes]) -> None:
        self._source, self._target = (url.removeprefix("sqlite:///") for url in (source_url, target_url))
        self._changes = changes

    def fill(self, jobs: int) -> None:
        """Without its indexes, which are made anew at the end: that is several times as fast."""
        with closing(sqlite3.connect(self._target, isolation_level=None)) as target:
            target.executescript("PRAGMA synchronous = OFF; PRAGMA cache_size = -200000;")
            target.execute("ATTACH ? AS source", [self._source])
            indexes = target.execute(
                "SELECT name, sql FROM main.sqlite_master WHERE type = 'index' AND sql IS NOT NULL AND tbl_name IN (?, ?)",
                [JOBS, RESULTS],
            ).fetchall()
            target.execute("BEGIN")
            for name, _ in indexes:
                target.execute(f'DROP INDEX main."{name}"')
            self._copy(target, jobs)
            for _, sql in indexes:
                target.execute(sql)
            target.execute("COMMIT")
            target.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _copy(self, target: sqlite3.Connection, jobs: int) -> None:
        begins_ms = int(time.time() * 1000) - MONTH_MS
        row_id = f"printf('%012x7000800%013x', {begins_ms} + i * {MONTH_MS // jobs}, i)"
        moment = f"strftime('%Y-%m-%d %H:%M:%f', ({begins_ms} + i * {MONTH_MS // jobs}) / 1000.0, 'unixepoch')"
        dashed = "||'-'||".join(f"substr({row_id}, {at}, {length})" for at, length in _PIECES)
        numbers = f"WITH RECURSIVE numbers(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM numbers WHERE i < {jobs - 1})"
        later = "strftime('%Y-%m-%d %H:%M:%f', 'now', '+31 days')"
        target.execute("CREATE TEMP TABLE job AS " + LATEST.replace("FROM ", "FROM source."))
        target.execute(
            f"CREATE TEMP TABLE result AS SELECT * FROM source.{RESULTS} WHERE replace(task_id, '-', '') = (SELECT id FROM job)"
        )
        for table, kept, fresh in (
            (JOBS, "job", _fresh_job(row_id, moment, later)),
            (RESULTS, "result", _fresh_result(dashed, moment)),
        ):
            columns = [row[1] for row in target.execute(f"PRAGMA main.table_info({table})")]
            target.execute(
                f"INSERT INTO main.{table} {_columns(columns)} {numbers} "
                f"{_select(columns, fresh, kept, self._changes[table])} numbers"
            )


class _OnPostgreSQL:
    def __init__(self, source_url: str, target_url: str, changes: Mapping[str, Changes]) -> None:
        self._source, self._target, self._changes = source_url, target_url, changes

    def fill(self, jobs: int) -> None:
        with psycopg.connect(self._source) as source:
            job = source.execute(f"SELECT to_jsonb(found)::text, id::text FROM ({LATEST}) found").fetchone()
            assert job
            one = source.execute(
                f"SELECT to_jsonb(found)::text FROM {RESULTS} found WHERE task_id = %s", [job[1]]
            ).fetchone()
            assert one
        with psycopg.connect(self._target) as target:
            target.execute("SET session_replication_role = replica")  # the owner of a copy need not be looked up
            self._copy(target, jobs, {JOBS: json.loads(job[0]), RESULTS: json.loads(one[0])})
            target.commit()
            target.autocommit = True
            target.execute(f"VACUUM ANALYZE {JOBS}")
            target.execute(f"VACUUM ANALYZE {RESULTS}")

    def _copy(self, target: psycopg.Connection[Any], jobs: int, rows: dict[str, Any]) -> None:
        begins_ms = int(time.time() * 1000) - MONTH_MS
        ms = f"({begins_ms} + i * {MONTH_MS // jobs}::bigint)"
        row_id = f"(lpad(to_hex({ms}), 12, '0') || '7000800' || lpad(to_hex(i), 13, '0'))::uuid"
        moment = f"to_timestamp({ms} / 1000.0)"
        for table, fresh in (
            (JOBS, _fresh_job(row_id, moment, "now() + interval '31 days'")),
            (RESULTS, _fresh_result(f"{row_id}::text", moment)),
        ):
            indexes = target.execute(
                """SELECT format('DROP INDEX %%I', indexname), indexdef FROM pg_indexes
                WHERE tablename = %s AND indexname NOT IN (SELECT conname FROM pg_constraint)""",
                [table],
            ).fetchall()
            for drop, _ in indexes:
                target.execute(drop)
            kept = f"jsonb_populate_record(null::{table}, {Literal(json.dumps(rows[table])).as_string()}::jsonb) kept"
            columns = list(rows[table])
            selected = _select(columns, fresh, kept, self._changes[table])
            target.execute(f"INSERT INTO {table} {_columns(columns)} {selected} generate_series(0, {jobs - 1}) i")
            for _, made in indexes:
                target.execute(made)


_PIECES = ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))


def _fresh_job(row_id: str, moment: str, later: str) -> dict[str, str]:
    times = dict.fromkeys(("created", "published", "started", "finished"), moment)
    return {"id": row_id, "owner_id": "1", "expires": later, "idempotency_key": "NULL", **times}


def _fresh_result(task_id: str, moment: str) -> dict[str, str]:
    return {"id": "i + 1000", "task_id": task_id, "date_created": moment, "date_started": moment, "date_done": moment}


def _columns(columns: list[str]) -> str:
    return "(" + ", ".join(f'"{column}"' for column in columns) + ")"


def _select(columns: list[str], fresh: dict[str, str], kept: str, changes: Changes) -> str:
    """All columns, some of them made for number i; a list of tables follows."""
    name = kept.rsplit(" ", 1)[-1]
    values = {column: fresh.get(column, f'{name}."{column}"') for column in columns}
    values |= {column: change(values[column]) for column, change in changes.items()}
    return f"SELECT {', '.join(values.values())} FROM {kept},"
