"""`python -m benchmarks.sqlite_writers [variant …]`: how long SQLite's writers wait for each other, with and without turns.

Four processes write to a database of 150,000 jobs for ten seconds: a web that submits at a fixed rate (what is due meanwhile
goes into the next group), a worker that claims and finishes, a beat every 50 ms, a steward that expires 200 rows every 0.5 s.
The variants alternate, A B A B; each run starts on a fresh copy. A submit is timed from when it was due until its commit.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

JOBS = int(os.environ.get("JOBS", "150000"))
RUN_S = float(os.environ.get("RUN_S", "10"))
ROUNDS = int(os.environ.get("ROUNDS", "2"))
RATES = [int(rate) for rate in os.environ.get("RATES", "300 600").split()]
AT_ONCE = 64
STOCK, IN_TURN = "django.db.backends.sqlite3", "inference_site.sqlite_in_turn"
# Name: the backend, and PRAGMAs laid over those of inference_site/environment.py.
VARIANTS = {
    "stock": (STOCK, ""),
    "in-turn": (IN_TURN, ""),
    "normal": (IN_TURN, "PRAGMA synchronous=NORMAL"),
    "checkpoint-250": (IN_TURN, "PRAGMA wal_autocheckpoint=250"),
    "checkpoint-4000": (IN_TURN, "PRAGMA wal_autocheckpoint=4000"),
    "mmap": (IN_TURN, "PRAGMA mmap_size=1073741824"),
    "temp-store": (IN_TURN, "PRAGMA temp_store=MEMORY"),
    "cache-64": (IN_TURN, "PRAGMA cache_size=-64000"),
}
ROLES = ("web", "worker", "beat", "steward")
Row = dict[str, float]


def main() -> None:
    chosen = sys.argv[1:] or ["stock", "in-turn"]
    with tempfile.TemporaryDirectory(prefix="sqlite-writers-") as folder:
        filled = Path(folder, "filled.sqlite3")
        run_role("fill", filled, "stock", 0).wait()
        for rate in RATES:
            rows: dict[str, list[Row]] = {variant: [] for variant in chosen}
            for number in range(ROUNDS * len(chosen)):
                variant = chosen[number % len(chosen)]
                rows[variant].append(one_run(filled, variant, rate))
            say(rate, rows)


def run_role(role: str, database: Path, variant: str, rate: int) -> subprocess.Popen[str]:
    env = {
        **os.environ,
        "DATA_DIR": str(database.parent),
        "DATABASE_URL": f"sqlite:///{database}",
        "SECRET_KEY": "a key for nobody but this benchmark",
        "DJANGO_SETTINGS_MODULE": "inference_site.settings",
    }
    command = [sys.executable, "-m", "benchmarks.sqlite_writers", "--role", role, variant, str(rate)]
    return subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def one_run(filled: Path, variant: str, rate: int) -> Row:
    database = filled.with_name("run.sqlite3")
    shutil.copy(filled, database)
    with database.open("rb") as copy:
        os.fsync(copy.fileno())  # or the runs pay for it in their first seconds
    children = {role: run_role(role, database, variant, rate) for role in ROLES}
    for child in children.values():
        child.stdout.readline()  # it is ready
    starts = str(time.time() + 0.2)
    said = {}
    for child in children.values():
        child.stdin.write(starts + "\n")
        child.stdin.flush()
    for role, child in children.items():
        said[role] = json.loads(child.communicate()[0])
    for left in filled.parent.glob("run.sqlite3*"):
        left.unlink()
    return figures(said)


def figures(said: dict[str, Any]) -> Row:
    """All in milliseconds but the rates."""
    waits = sorted(said["web"]["took_ms"])
    return {
        "submit_p50": statistics.median(waits),
        "submit_p99": waits[int(len(waits) * 0.99)],
        "submit_max": waits[-1],
        "beat_p50": statistics.median(said["beat"]["took_ms"]),
        "beat_max": max(said["beat"]["took_ms"]),
        "expiry_p50": statistics.median(said["steward"]["took_ms"]),
        "expiry_max": max(said["steward"]["took_ms"]),
        "submits_s": len(waits) / RUN_S,
        "finished_s": said["worker"]["count"] / RUN_S,
        "cpu_ms_s": sum(one["cpu_s"] for one in said.values()) * 1000 / RUN_S,
        "wal_mb": said["web"]["wal_bytes"] / 1e6,
    }


def say(rate: int, rows: dict[str, list[Row]]) -> None:
    names = list(next(iter(rows.values()))[0])
    print(f"\n{rate} submits/s, medians of {ROUNDS} runs of {RUN_S:g} s (each run in brackets), ms")
    for name in names:
        for variant, runs in rows.items():
            values = [run[name] for run in runs]
            listed = " ".join(f"{value:.1f}" for value in values)
            print(f"{name:11} {variant:16} {statistics.median(values):8.2f}  [{listed}]")


# -- in the children


def play(role: str, variant: str, rate: int) -> None:
    from django.conf import settings

    engine, pragmas = VARIANTS[variant]
    database = settings.DATABASES["default"]
    database["ENGINE"] = engine
    database["OPTIONS"]["init_command"] += pragmas
    import django

    django.setup()
    if role == "fill":
        fill()
        return
    from django.db import connection

    connection.ensure_connection()
    print("ready", flush=True)
    starts = float(sys.stdin.readline())
    time.sleep(max(0.0, starts - time.time()))
    cpu = time.process_time()
    said = {"web": web, "worker": worker, "beat": beat, "steward": steward}[role](time.perf_counter() + RUN_S, rate)
    print(json.dumps({**said, "cpu_s": time.process_time() - cpu}))


def fill() -> None:
    from django.contrib.auth import get_user_model
    from django.core.management import call_command
    from django.db import connection, transaction

    call_command("migrate", verbosity=0)
    get_user_model().objects.create(pk=1, username="ana")
    with transaction.atomic(), connection.cursor() as cursor:
        for number in range(JOBS):
            job = new_row("succeeded", f"2026-01-01 00:00:00.{number:06}")
            insert_job(cursor, [job])
            insert_result(cursor, [(job[0],)])


COLUMNS = (
    "id owner_id kind model queue priority source store on_bad_row vector file_name state revoke_requested version attempt "
    "crashes retries worker run_after total done rejected chunks chunks_done spent_s error_text notes created expires "
    "files_removed kept freed_bytes request_hash"
)


def new_row(state: str, expires: str | None) -> list[Any]:
    import uuid_utils

    return [
        *(uuid_utils.uuid7().hex, 1, "realtime", "digits@1", "realtime", 5, "api", True, "reject", VECTOR, "", state),
        *(False, 1, 0, 0, 0, "", 0, 1, 0, 0, 0, 0, 0, "", "[]", "2026-01-01", expires, False, False, 0, ""),
    ]


VECTOR = json.dumps([0.5] * 64)
RESULT = json.dumps({"class": 3, "probabilities": [0.1] * 10})


def insert_job(cursor: Any, rows: list[list[Any]]) -> None:
    marks = ",".join(["%s"] * len(COLUMNS.split()))
    cursor.executemany(f"INSERT INTO predictions_job ({COLUMNS.replace(' ', ',')}) VALUES ({marks})", rows)


def insert_result(cursor: Any, ids: list[tuple[str]]) -> None:
    cursor.executemany(
        "INSERT INTO django_celery_results_taskresult (task_id, status, content_type, content_encoding, result, date_done,"
        " date_created, meta) VALUES (%s, 'SUCCESS', 'application/json', 'utf-8', '"
        + RESULT
        + "', '2026-01-01', '2026-01-01', '{}')",
        ids,
    )


def web(ends: float, rate: int) -> dict[str, Any]:
    from django.db import connection, transaction

    took_ms: list[float] = []
    due = time.perf_counter()
    while (now := time.perf_counter()) < ends:
        if due > now:
            time.sleep(due - now)
            continue
        group = []
        while due <= now and len(group) < AT_ONCE:
            group.append(due)
            due += 1 / rate
        rows = [new_row("queued", None) for _ in group]
        with transaction.atomic(), connection.cursor() as cursor:
            insert_job(cursor, rows)
        done = time.perf_counter()
        took_ms += [(done - one) * 1000 for one in group]
    wal = Path(f"{connection.settings_dict['NAME']}-wal")
    return {"took_ms": took_ms, "wal_bytes": wal.stat().st_size}


def worker(ends: float, rate: int) -> dict[str, Any]:
    from django.db import connection, transaction

    count = 0
    while time.perf_counter() < ends:
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT id FROM predictions_job WHERE state='queued' ORDER BY id LIMIT {AT_ONCE}")
            ids = [row[0] for row in cursor.fetchall()]
        if not ids:
            time.sleep(0.001)
            continue
        marks = ",".join(["%s"] * len(ids))
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(
                "UPDATE predictions_job SET state='running', attempt=attempt+1, version=version+1, worker='w', lease_until=1e10"
                f" WHERE id IN ({marks}) AND state='queued' RETURNING id",
                ids,
            )
            mine = [row[0] for row in cursor.fetchall()]
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(
                "UPDATE predictions_job SET state='succeeded', version=version+1, lease_until=NULL, expires='2027-01-01'"
                f" WHERE id IN ({marks}) AND state='running' RETURNING id",
                mine,
            )
            insert_result(cursor, [(row[0],) for row in cursor.fetchall()])
        count += len(mine)
    return {"count": count}


def beat(ends: float, rate: int) -> dict[str, Any]:
    from django.db import connection

    def push() -> None:
        with connection.cursor() as cursor:
            cursor.execute("UPDATE predictions_job SET lease_until=lease_until+1 WHERE state='running' AND attempt=1")

    return {"took_ms": list(every(0.05, ends, push))}


def steward(ends: float, rate: int) -> dict[str, Any]:
    from django.db import connection, transaction

    def expire() -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT id FROM predictions_job WHERE expires < '2026-06-01' ORDER BY expires LIMIT 200")
            ids = [row[0] for row in cursor.fetchall()]
            marks = ",".join(["%s"] * len(ids))
            cursor.execute(f"UPDATE django_celery_results_taskresult SET result=NULL WHERE task_id IN ({marks})", ids)
            cursor.execute(
                f"UPDATE predictions_job SET state='expired', expires=NULL, version=version+1 WHERE id IN ({marks})",
                ids,
            )

    return {"took_ms": list(every(0.5, ends, expire))}


def every(pause_s: float, ends: float, act: Callable[[], None]) -> Iterator[float]:
    """Milliseconds that each took."""
    while time.perf_counter() < ends:
        begun = time.perf_counter()
        act()
        yield (time.perf_counter() - begun) * 1000
        time.sleep(pause_s)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--role"]:
        play(sys.argv[2], sys.argv[3], int(sys.argv[4]))
    else:
        main()
