"""Histories of any length that an operator would meet: failures of several kinds, several people, samples and an audit trail."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import psycopg

from benchmarks.history import fill
from benchmarks.product import Product, env_of, manage
from benchmarks.stage import beside

FAILED_ONE_IN = 50
ENTRIES = 100_000
MONTH_S = 30 * 86_400
STRETCHES = ((10, 6 * 3_600), (60, 2 * 86_400), (300, 8 * 86_400), (1_800, MONTH_S))
"""(seconds a sample, for how long they are kept)."""


@dataclass(frozen=True)
class Dialect:
    """ago: so many seconds, an expression, before now. now_s: seconds since 1970."""

    ago: str
    now_s: str


SQLITE = Dialect("datetime('now', '-' || ({}) || ' seconds')", "strftime('%s', 'now')")
POSTGRESQL = Dialect("(now() - ({}) * interval '1 second')", "floor(extract(epoch from now()))::bigint")


def _numbers(most: int) -> str:
    return f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {most})"


def _if_failed(then: str) -> Callable[[str], str]:
    return lambda otherwise: f"CASE WHEN i % {FAILED_ONE_IN} = 0 THEN {then} ELSE {otherwise} END"


OF_JOBS = {
    "owner_id": lambda _: "(SELECT min(id) FROM auth_user) + i % 20",
    "state": _if_failed("'failed'"),
    "expires": _if_failed("NULL"),
    "error": _if_failed("""'{"code": "model_failed", "message": "The model failed."}'"""),
    "error_text": _if_failed(
        """CASE i % 3 WHEN 0 THEN 'CUDA error: an illegal memory access was encountered'
        WHEN 1 THEN '3 workers died on it' ELSE 'Stopped after 600.0 s of work' END"""
    ),
}
OF_RESULTS = {"status": _if_failed("'FAILURE'"), "traceback": _if_failed("'Traceback'")}


def made(served: Product, folder: Path, jobs: int) -> str:
    """The address of a database with so many jobs; `served` has run one. folder: where it is to lie."""
    url = beside(served.database_url, folder, f"history_{jobs}")
    manage(env_of(folder, url, served.folder / "models"), "migrate", "--verbosity=0")
    dialect, run = (SQLITE, _on_sqlite) if url.startswith("sqlite") else (POSTGRESQL, _on_postgresql)
    run(url, [_people(dialect)])
    fill(served.database_url, url, jobs, OF_JOBS, OF_RESULTS)
    run(url, [_trail(dialect), *(_samples(dialect, *stretch) for stretch in STRETCHES)])
    return url


def _on_sqlite(url: str, statements: Iterable[str]) -> None:
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)) as database:
        database.execute("BEGIN")
        for statement in statements:
            database.execute(statement)
        database.execute("COMMIT")
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _on_postgresql(url: str, statements: Iterable[str]) -> None:
    """With the statistics that autovacuum would have gathered over the month."""
    with psycopg.connect(url, autocommit=True) as database:
        for statement in (*statements, "VACUUM ANALYZE"):
            database.execute(statement)


def _people(dialect: Dialect) -> str:
    return f"""INSERT INTO auth_user (password, is_superuser, username, first_name, last_name, email, is_staff, is_active, date_joined)
        {_numbers(20)} SELECT '!', false, 'person' || i, '', '', '', false, true, {dialect.ago.format(0)} FROM n"""


def _trail(dialect: Dialect) -> str:
    at = dialect.ago.format(f"{ENTRIES} - i")
    return f"""INSERT INTO predictions_audit (at, who_id, who_name, action, subject, outcome)
        {_numbers(ENTRIES)} SELECT {at}, NULL, 'person' || (i % 20), 'revoke', 'job ' || i, 'revoked' FROM n"""


def _samples(dialect: Dialect, every_s: int, kept_s: int) -> str:
    return f"""INSERT INTO workers_admin_sample (at, every_s, queue, model, waiting, unacked, unpublished, missing, running,
        oldest_wait_s, workers, submitted, succeeded, failed, revoked, waits, runs, micro_batches)
        {_numbers(kept_s // every_s)}
        SELECT ({dialect.now_s} / {every_s} - i) * {every_s}, {every_s}, queue, model, i % 90, 2, 0, 0, 1, 0.5, 2,
            40, 38, 1, 1, '{{"20": 30, "24": 8}}', '{{"18": 38}}', '{{"1": 20, "2": 9}}'
        FROM n, (SELECT 'realtime' AS queue, '' AS model UNION ALL SELECT 'batch', '' UNION ALL SELECT 'default', ''
            UNION ALL SELECT 'realtime', 'digits@1' UNION ALL SELECT 'batch', 'digits@1') kinds"""
