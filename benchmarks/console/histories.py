"""Histories of any length that an operator would meet: failures of several kinds, several people, samples and an audit trail."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from benchmarks.history import fill
from benchmarks.product import Product, env_of, manage

FAILED_ONE_IN = 50
ENTRIES = 100_000
MONTH_S = 30 * 86_400
STRETCHES = ((10, 6 * 3_600), (60, 2 * 86_400), (300, 8 * 86_400), (1_800, MONTH_S))
"""(seconds a sample, for how long they are kept)."""

PEOPLE = """INSERT INTO auth_user (password, is_superuser, username, first_name, last_name, email, is_staff, is_active, date_joined)
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20)
    SELECT '!', 0, 'person' || i, '', '', '', 0, 1, datetime('now') FROM n"""
OWNERS = "UPDATE predictions_job SET owner_id = (SELECT min(id) FROM auth_user) + rowid % 20"
FAILURES = f"""UPDATE predictions_job SET state = 'failed', expires = NULL,
    error = '{{"code": "model_failed", "message": "The model failed."}}',
    error_text = CASE rowid % 3 WHEN 0 THEN 'CUDA error: an illegal memory access was encountered'
        WHEN 1 THEN '3 workers died on it' ELSE 'Stopped after 600.0 s of work' END
    WHERE rowid % {FAILED_ONE_IN} = 0"""
OUTCOMES = f"""UPDATE django_celery_results_taskresult SET status = 'FAILURE', traceback = 'Traceback'
    WHERE (id - 999) % {FAILED_ONE_IN} = 0"""
TRAIL = f"""INSERT INTO predictions_audit (at, who_id, who_name, action, subject, outcome)
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {ENTRIES})
    SELECT datetime('now', '-' || ({ENTRIES} - i) || ' seconds'), NULL, 'person' || (i % 20), 'revoke', 'job ' || i, 'revoked' FROM n"""


def made(beside: Product, folder: Path, jobs: int) -> str:
    """The address of a database with so many jobs; `beside` has run one. folder: where it is to lie."""
    url = f"sqlite:///{folder / 'dashboard.sqlite3'}"
    manage(env_of(folder, url, beside.folder / "models"), "migrate", "--verbosity=0")
    fill(beside.database_url, url, jobs)
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)) as database:
        database.execute("BEGIN")
        for statement in (PEOPLE, OWNERS, FAILURES, OUTCOMES, TRAIL, *map(_samples, STRETCHES)):
            database.execute(statement)
        database.execute("COMMIT")
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return url


def _samples(stretch: tuple[int, int]) -> str:
    every_s, kept_s = stretch
    return f"""INSERT INTO workers_admin_sample (at, every_s, queue, model, waiting, unacked, unpublished, missing, running,
        oldest_wait_s, workers, submitted, succeeded, failed, revoked, waits, runs, micro_batches)
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {kept_s // every_s})
        SELECT (strftime('%s', 'now') / {every_s} - i) * {every_s}, {every_s}, queue, model, i % 90, 2, 0, 0, 1, 0.5, 2,
            40, 38, 1, 1, '{{"20": 30, "24": 8}}', '{{"18": 38}}', '{{"1": 20, "2": 9}}'
        FROM n, (SELECT 'realtime' AS queue, '' AS model UNION ALL SELECT 'batch', '' UNION ALL SELECT 'default', ''
            UNION ALL SELECT 'realtime', 'digits@1' UNION ALL SELECT 'batch', 'digits@1')"""
