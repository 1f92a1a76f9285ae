"""What is wrong with what the jobs need: Redis, the disks, the database, the steward."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from django.template.defaultfilters import filesizeformat

from predictions.templatetags.job_words import duration, percent
from predictions.ticks import SILENT_AFTER_S
from workers_admin.condition import Condition, Facts

SAFE_POLICY = "noeviction"
NEARLY_FULL = 0.8
SLOW_COMMIT_S = 0.25
SLOW_READ_S = 0.1


def redis_silent(facts: Facts) -> Iterator[Condition]:
    if facts.redis_error:
        words = (
            f"{facts.redis_error} Jobs are accepted and wait in the database; nothing is delivered until it is back."
        )
        key = f"redis-{facts.redis.fault}" if facts.redis.fault else "redis"
        yield Condition(key, words, command=_redis_command(facts), step="Look:")


def _redis_command(facts: Facts) -> str:
    """Of one that is frozen on this machine: its state "T" says that somebody stopped it, "D" that it waits for its disk."""
    is_here = any(name in facts.redis_address for name in ("//127.0.0.1", "//localhost", "unix:"))
    if facts.redis.fault == "frozen" and is_here:
        return "ps -o pid,stat,etime,args -C redis-server,valkey-server"
    return f"redis-cli -u {facts.redis_address} ping"


def redis_may_evict(facts: Facts) -> Iterator[Condition]:
    policy = facts.redis.policy
    if policy not in {None, SAFE_POLICY}:
        words = f"Redis may throw queues away when it is full: its maxmemory-policy is {policy}, not {SAFE_POLICY}."
        yield Condition("eviction", words, command=_config(facts, f"maxmemory-policy {SAFE_POLICY}"), step="Forbid it:")


def redis_nearly_full(facts: Facts) -> Iterator[Condition]:
    used, limit = facts.redis.used_bytes, facts.redis.limit_bytes
    if limit and used > NEARLY_FULL * limit:
        holds = f"Redis holds {_size(used)} of its maxmemory of {_size(limit)}"
        words = f"{holds}: past it no job is delivered until there is room."
        yield Condition(
            "redis-memory", words, command=_config(facts, f"maxmemory {2 * max(used, limit)}"), step="Give it more:"
        )


def _config(facts: Facts, what: str) -> str:
    return f"redis-cli -u {facts.redis_address} config set {what}"


def disk_nearly_full(facts: Facts) -> Iterator[Condition]:
    for disk in facts.disks:
        if disk.free_share < facts.disk_free_share:
            free = f"{_size(disk.free_bytes)} of {_size(disk.size_bytes)} ({percent(disk.free_share)})"
            words = f"The disk of {disk.path} is nearly full: {free} free. Full, it refuses jobs."
            yield Condition(f"disk-{disk.path}", words, command=_du(disk.path), step="See what takes the room:")


def _du(path: str) -> str:
    return f"du -xh --max-depth=2 {shlex.quote(path)} | sort -h | tail"


def _size(size_bytes: int) -> str:
    return filesizeformat(size_bytes).replace("\xa0", " ")


def database_slow(facts: Facts) -> Iterator[Condition]:
    commit_s, read_s = facts.commit_s or 0.0, facts.read_s or 0.0
    slow = [
        *([f"the steward's commits take {duration(commit_s)} or more"] if commit_s > SLOW_COMMIT_S else []),
        *([f"looking up one row takes {duration(read_s)} or more"] if read_s > SLOW_READ_S else []),
    ]
    if slow:
        words = f"The database is slow: {' and '.join(slow)}."
        yield Condition("database", words, command=_database_command(facts.database), step="See who is at it:")


def _database_command(database: str) -> str:
    """database: the file of SQLite, or the name of one on a server."""
    if database.startswith("/"):
        return f"lsof {shlex.quote(database)} {shlex.quote(database + '-turn')}"
    asked = "pid, state, wait_event, now() - xact_start AS since, left(query, 60) FROM pg_stat_activity"
    return f'psql -d {database} -c "SELECT {asked} WHERE xact_start IS NOT NULL ORDER BY since DESC"'


def steward_silent(facts: Facts) -> Iterator[Condition]:
    age_s = facts.steward_age_s
    if age_s is None or age_s > SILENT_AFTER_S:
        since = "has never run" if age_s is None else f"has been silent for {duration(age_s)}"
        words = f"The steward {since}: nothing is rescued, published again or expired."
        yield Condition("steward", words, command=".venv/bin/python manage.py steward", step="Start one:")
