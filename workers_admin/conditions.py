"""What is wrong now, and what to do about it: pure functions over the facts."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from django.template.defaultfilters import filesizeformat

from predictions.queues import start_command
from predictions.templatetags.job_words import counted, duration, percent
from predictions.ticks import SILENT_AFTER_S
from predictions.workers import Node
from workers_admin import trends
from workers_admin.depths import QueueDepth
from workers_admin.redis_look import RedisLook
from workers_admin.surroundings import Disk
from workers_admin.trends import Point
from workers_admin.worker_cards import anchor

MISSING = "missing-"
MISSING_AFTER_S = 5.0
SAFE_POLICY = "noeviction"
NEARLY_FULL = 0.8
SLOW_COMMIT_S = 0.25
SLOW_READ_S = 0.1
GROWN_TO = 20
FAILURES = 0.05
FAILURES_OF = 20


@dataclass(frozen=True)
class Facts:
    """steward_age_s: None, it never ran. missing_for_s: by queue, where any is missing. redis_error: it does not answer.

    commit_s, read_s: what a commit of the steward and a look of this process take at least. wait_targets_s: by queue.
    """

    depths: Sequence[QueueDepth]
    nodes: Sequence[Node]
    steward_age_s: float | None
    redis_address: str = ""
    redis_error: str = ""
    redis: RedisLook = field(default_factory=RedisLook)
    missing_for_s: dict[str, float] = field(default_factory=dict)
    trends: Mapping[str, Sequence[Point]] = field(default_factory=dict)
    wait_targets_s: Mapping[str, float] = field(default_factory=dict)
    disks: Sequence[Disk] = ()
    disk_free_share: float = 0.0
    commit_s: float | None = None
    read_s: float | None = None
    database: str = ""


@dataclass(frozen=True)
class Condition:
    """One line of the strip. command: what to type; href and step: where to go; key tells lines apart."""

    key: str
    words: str
    command: str = ""
    href: str = ""
    step: str = ""
    is_bad: bool = True

    @property
    def anchor(self) -> str:
        return anchor(self.key)


def conditions(facts: Facts) -> list[Condition]:
    """The worst first; empty when all is well."""
    return [
        *_redis_silent(facts),
        *_redis_may_evict(facts),
        *_redis_nearly_full(facts),
        *_disk_nearly_full(facts),
        *_database_slow(facts),
        *_steward_silent(facts),
        *_without_consumer(facts),
        *_workers_gone(facts),
        *_models_failed(facts),
        *_failing(facts),
        *_missing(facts),
        *_waiting_long(facts),
        *_growing(facts),
    ]


def _redis_silent(facts: Facts) -> Iterator[Condition]:
    if facts.redis_error:
        words = (
            f"{facts.redis_error} Jobs are accepted and wait in the database; nothing is delivered until it is back."
        )
        key = f"redis-{facts.redis.fault}" if facts.redis.fault else "redis"
        yield Condition(key, words, command=_redis_command(facts))


def _redis_command(facts: Facts) -> str:
    """Of one that is frozen on this machine: its state "T" says that somebody stopped it, "D" that it waits for its disk."""
    is_here = any(name in facts.redis_address for name in ("//127.0.0.1", "//localhost", "unix:"))
    if facts.redis.fault == "frozen" and is_here:
        return "ps -o pid,stat,etime,args -C redis-server,valkey-server"
    return f"redis-cli -u {facts.redis_address} ping"


def _redis_may_evict(facts: Facts) -> Iterator[Condition]:
    policy = facts.redis.policy
    if policy not in {None, SAFE_POLICY}:
        words = f"Redis may throw queues away when it is full: its maxmemory-policy is {policy}, not {SAFE_POLICY}."
        yield Condition("eviction", words, command=_config(facts, f"maxmemory-policy {SAFE_POLICY}"))


def _redis_nearly_full(facts: Facts) -> Iterator[Condition]:
    used, limit = facts.redis.used_bytes, facts.redis.limit_bytes
    if limit and used > NEARLY_FULL * limit:
        holds = f"Redis holds {_size(used)} of its maxmemory of {_size(limit)}"
        words = f"{holds}: past it no job is delivered until there is room. Give it more:"
        yield Condition("redis-memory", words, command=_config(facts, f"maxmemory {2 * max(used, limit)}"))


def _config(facts: Facts, what: str) -> str:
    return f"redis-cli -u {facts.redis_address} config set {what}"


def _disk_nearly_full(facts: Facts) -> Iterator[Condition]:
    for disk in facts.disks:
        if disk.free_share < facts.disk_free_share:
            free = f"{_size(disk.free_bytes)} of {_size(disk.size_bytes)} ({percent(disk.free_share)})"
            words = (
                f"The disk of {disk.path} is nearly full: {free} free. Full, it refuses jobs. See what takes the room:"
            )
            yield Condition(f"disk-{disk.path}", words, command=_du(disk.path))


def _du(path: str) -> str:
    return f"du -xh --max-depth=2 {shlex.quote(path)} | sort -h | tail"


def _size(size_bytes: int) -> str:
    return filesizeformat(size_bytes).replace("\xa0", " ")


def _database_slow(facts: Facts) -> Iterator[Condition]:
    commit_s, read_s = facts.commit_s or 0.0, facts.read_s or 0.0
    slow = [
        *([f"the steward's commits take {duration(commit_s)} or more"] if commit_s > SLOW_COMMIT_S else []),
        *([f"looking up one row takes {duration(read_s)} or more"] if read_s > SLOW_READ_S else []),
    ]
    if slow:
        words = f"The database is slow: {' and '.join(slow)}. See who is at it:"
        yield Condition("database", words, command=_database_command(facts.database))


def _database_command(database: str) -> str:
    """database: the file of SQLite, or the name of one on a server."""
    if database.startswith("/"):
        return f"lsof {shlex.quote(database)} {shlex.quote(database + '-turn')}"
    asked = "pid, state, wait_event, now() - xact_start AS since, left(query, 60) FROM pg_stat_activity"
    return f'psql -d {database} -c "SELECT {asked} WHERE xact_start IS NOT NULL ORDER BY since DESC"'


def _steward_silent(facts: Facts) -> Iterator[Condition]:
    age_s = facts.steward_age_s
    if age_s is None or age_s > SILENT_AFTER_S:
        since = "has never run" if age_s is None else f"has been silent for {duration(age_s)}"
        words = f"The steward {since}: nothing is rescued, published again or expired. Start one:"
        yield Condition("steward", words, command=".venv/bin/python manage.py steward")


def _without_consumer(facts: Facts) -> Iterator[Condition]:
    """A worker that only now starts has not said yet which queues it serves."""
    if any(node.state == "starting" and not node.queues for node in facts.nodes):
        return
    for depth in facts.depths:
        if depth.database_queued and not depth.consumers and not depth.paused:
            words = f"{depth.name}: {depth.database_queued:,} waiting, no worker. Start one:"
            yield Condition(f"idle-{depth.name}", words, command=start_command(depth.name))


def _workers_gone(facts: Facts) -> Iterator[Condition]:
    for node in facts.nodes:
        age = duration(node.heartbeat_age_s)
        if node.state == "lost":
            words = f"{node.name} is lost: no heartbeat for {age}. What it held is queued again."
            yield Condition(f"worker-{node.name}", words, href=_card_of(node), step="See the worker")
        elif node.state == "silent":
            words = f"{node.name} is silent: no heartbeat for {age}. It may be frozen, or cannot reach the database."
            yield Condition(f"worker-{node.name}", words, href=_card_of(node), step="See the worker", is_bad=False)


def _card_of(node: Node) -> str:
    return f"/console/workers/#{anchor(node.name)}"


def _models_failed(facts: Facts) -> Iterator[Condition]:
    for node in facts.nodes:
        faults = {process.model_error for process in node.processes if process.model_state == "failed"}
        for fault in sorted(faults) if node.is_alive else ():
            yield Condition(
                f"model-{node.name}", f"{node.name} has no model. {fault}", href="/models/", step="See the models"
            )


def _missing(facts: Facts) -> Iterator[Condition]:
    for depth in facts.depths:
        for_s = facts.missing_for_s.get(depth.name, 0.0)
        if depth.missing and for_s > MISSING_AFTER_S:
            lost = f"{counted(depth.missing, 'message')} missing for {duration(for_s)}"
            words = f"{depth.name}: {lost}: the database published them, and they are nowhere in Redis."
            yield Condition(f"{MISSING}{depth.name}", words, href="/console/queues/", step="See the queues")


def _failing(facts: Facts) -> Iterator[Condition]:
    for queue, points in facts.trends.items():
        failed, ended = trends.failures(points)
        if ended >= FAILURES_OF and failed > FAILURES * ended:
            words = f"{queue}: {failed:,} of {ended:,} jobs failed in 5 min ({percent(failed / ended)})."
            href = f"/jobs/?status=failed&queue={queue}"
            yield Condition(f"failures-{queue}", words, href=href, step="See those that failed")


def _waiting_long(facts: Facts) -> Iterator[Condition]:
    for depth in facts.depths:
        target_s, oldest_s = facts.wait_targets_s.get(depth.name), depth.oldest_wait_s
        if target_s and oldest_s and oldest_s > target_s and not depth.paused:
            words = f"{depth.name}: a job has waited for {duration(oldest_s)}, longer than the target of {duration(target_s)}."
            yield Condition(f"wait-{depth.name}", words, href="/console/queues/", step="See the queues", is_bad=False)


def _growing(facts: Facts) -> Iterator[Condition]:
    for depth in facts.depths:
        grown = trends.growth(facts.trends.get(depth.name, ()))
        if grown and grown[1] >= GROWN_TO and not depth.paused:
            words = (
                f"{depth.name} has grown for 5 min: {grown[0]:,} waited, now {grown[1]:,} do. Start one more worker:"
            )
            yield Condition(f"growing-{depth.name}", words, command=start_command(depth.name), is_bad=False)
