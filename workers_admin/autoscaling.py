"""How many workers a queue is to have: a pure decision from what was seen and when; it looks at nothing itself and has no clock.

It grows when more than the threshold waits, by one worker or to as many as the depth holds thresholds. It shrinks by one at a time, when
for a while at most half the threshold waited and a worker had nothing to do. Between the two it holds, so it does not flap.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from predictions.limits import EXIT_CODE_TIME_LIMIT
from predictions.templatetags.job_words import counted, duration

STARTING, IDLE, BUSY, STOPPING, SILENT, LOST = "starting", "idle", "busy", "stopping", "silent", "lost"
NO_MODEL = "no model"
COUNTS = {STARTING, IDLE, BUSY, SILENT, NO_MODEL}
"""Takes work, or will soon. Whoever is stopping takes none, and whoever is lost does none; silence may be a slow database."""
HEALTHY_AFTER_S = 60.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 5.0, 300.0
KILLED_AFTER_S = 60.0
GAP_S = 6.0
"""Between two looks. After a longer one the database was shut: the living could not beat either, and nobody is replaced as long."""


@dataclass(frozen=True)
class Rules:
    """What was asked for on the command line."""

    least: int
    most: int
    threshold: int
    idle_s: float = 60.0
    cool_down_s: float = 30.0


@dataclass(frozen=True)
class Own:
    """A worker that we started and whose process is there. silent_for_s: since its last heartbeat, or its start."""

    name: str
    state: str
    age_s: float = math.inf
    silent_for_s: float = 0.0


@dataclass(frozen=True)
class Ended:
    """One of ours whose process has gone without our asking. exit_code: None, it was no child of ours."""

    name: str
    lived_s: float
    exit_code: int | None = None

    @property
    def is_failure(self) -> bool:
        """Of others, it is as well to start the next at once: they lived long, were asked to stop or ended at a time limit."""
        return self.exit_code not in {None, 0, EXIT_CODE_TIME_LIMIT} and self.lived_s < HEALTHY_AFTER_S


@dataclass(frozen=True)
class Seen:
    """depth: what waits in every state, None where nobody knows. others: states of those of the queue that we did not start."""

    depth: int | None
    own: Sequence[Own] = ()
    others: Sequence[str] = ()
    ended: Sequence[Ended] = ()
    free_gpus: int | None = None
    is_paused: bool = False

    @property
    def capacity(self) -> int:
        return sum(state in COUNTS for state in self._states)

    @property
    def coming(self) -> int:
        return sum(state == STARTING for state in self._states)

    @property
    def unoccupied(self) -> int:
        return sum(state == IDLE for state in self._states)

    @property
    def processes(self) -> int:
        """What holds memory and a GPU: ours until they are gone, and others as far as they are heard of."""
        return len(self.own) + sum(state != LOST for state in self.others)

    @property
    def _states(self) -> list[str]:
        return [worker.state for worker in self.own] + list(self.others)


@dataclass(frozen=True)
class Memory:
    """What one look leaves to the next; times on the caller's clock."""

    looked_at: float | None = None
    patient_until: float = -math.inf
    changed_at: float = -math.inf
    calm_since: float | None = None
    failures: int = 0
    may_start_at: float = -math.inf


@dataclass(frozen=True)
class Decision:
    """start: how many more. drain: who is asked to finish and stop. kill: who has long been lost."""

    words: str
    start: int = 0
    drain: tuple[str, ...] = ()
    kill: tuple[str, ...] = ()

    @property
    def is_change(self) -> bool:
        return bool(self.start or self.drain or self.kill)


def decide(rules: Rules, seen: Seen, memory: Memory, now: float) -> tuple[Decision, Memory]:
    memory = _remember(rules, seen, memory, now)
    decision = _decide(rules, seen, memory, now)
    if decision.start or decision.drain:
        memory = replace(memory, changed_at=now, calm_since=None)
    return decision, memory


def _remember(rules: Rules, seen: Seen, memory: Memory, now: float) -> Memory:
    memory = _with_failures(seen, memory, now)
    was_shut = memory.looked_at is not None and now - memory.looked_at > GAP_S
    since = memory.calm_since if memory.calm_since is not None else now
    return replace(
        memory,
        looked_at=now,
        patient_until=now + GAP_S if was_shut else memory.patient_until,
        calm_since=since if _is_calm(rules, seen) else None,
    )


def _with_failures(seen: Seen, memory: Memory, now: float) -> Memory:
    """Several that die at once are one failure: they had one cause."""
    if any(ended.is_failure for ended in seen.ended):
        pause_s = min(FIRST_PAUSE_S * 2.0 ** min(memory.failures, 10), LONGEST_PAUSE_S)
        return replace(memory, failures=memory.failures + 1, may_start_at=now + pause_s)
    if any(_has_thrived(worker, memory, now) for worker in seen.own):
        return replace(memory, failures=0)
    return memory


def _has_thrived(worker: Own, memory: Memory, now: float) -> bool:
    """Started since the last failure; how the elder ones do says nothing about a start."""
    return worker.state in {IDLE, BUSY} and HEALTHY_AFTER_S <= worker.age_s <= now - memory.may_start_at


def _is_calm(rules: Rules, seen: Seen) -> bool:
    """One worker fewer would do. The last one goes only where nothing waits; what a paused queue holds waits on purpose."""
    if seen.depth is None or not seen.unoccupied:
        return False
    return seen.is_paused or seen.depth <= (rules.threshold // 2 if seen.capacity > 1 else 0)


def _decide(rules: Rules, seen: Seen, memory: Memory, now: float) -> Decision:
    if seen.depth is None:
        return Decision("Holds: how much waits is not known.")
    if now < memory.patient_until:
        return Decision("Holds: the database was shut for a while, so the workers could not report either.")
    if lost := tuple(worker.name for worker in seen.own if _is_past_help(worker)):
        return Decision(f"Kills {_names(lost)}: no heartbeat for {duration(KILLED_AFTER_S)}.", kill=lost)
    if seen.capacity > rules.most:
        return _drain_surplus(rules, seen)
    wanted, why = _wanted(rules, seen)
    if wanted > seen.capacity:
        return _start(rules, seen, memory, now, wanted, why)
    return _shrink(rules, seen, memory, now)


def _is_past_help(worker: Own) -> bool:
    """What it held has been queued again since; frozen, it would keep its memory and its GPU for ever."""
    return worker.state == LOST and worker.silent_for_s >= KILLED_AFTER_S


def _drain_surplus(rules: Rules, seen: Seen) -> Decision:
    leaving = tuple(worker.name for worker in _first_to_go(seen))[: seen.capacity - rules.most]
    if not leaving:
        return Decision(
            f"Holds: {counted(seen.capacity, 'worker')} that others started serve, more than --max {rules.most}."
        )
    return Decision(
        f"Drains {_names(leaving)}: {counted(seen.capacity, 'worker')} serve, more than --max {rules.most}.",
        drain=leaving,
    )


def _wanted(rules: Rules, seen: Seen) -> tuple[int, str]:
    """How many should serve, and why."""
    depth = seen.depth or 0
    if seen.capacity < rules.least:
        return rules.least, f"{_serving(seen)}, fewer than --min {rules.least}"
    if seen.is_paused or any(worker.state == NO_MODEL for worker in seen.own):
        return seen.capacity, ""
    if depth > rules.threshold:
        more = max(seen.capacity - seen.coming + 1, math.ceil(depth / rules.threshold))
        return min(more, rules.most), f"{depth:,} wait, more than {rules.threshold:,}; {_serving(seen)}"
    if depth and not seen.capacity:
        return min(1, rules.most), f"{depth:,} wait and no worker serves"
    return seen.capacity, ""


def _start(rules: Rules, seen: Seen, memory: Memory, now: float, wanted: int, why: str) -> Decision:
    """The places that --max, the GPUs and the pauses leave."""
    if now < memory.may_start_at:
        return Decision(_backing_off(memory, now))
    if seen.capacity >= max(1, rules.least) and (wait_s := _cools_for(rules, memory, now)):
        return Decision(f"Holds: {why}. It cools down for {duration(wait_s)}.")
    places = min(wanted - seen.capacity, rules.most - seen.processes)
    if places <= 0:
        return Decision(f"Holds: {why}. It waits for {_leaving(seen)} to be gone.")
    if seen.free_gpus is not None and (places := min(places, seen.free_gpus)) <= 0:
        return Decision(f"Holds: {why}. No GPU is free.")
    return Decision(f"Starts {counted(places, 'worker')}: {why}.", start=places)


def _shrink(rules: Rules, seen: Seen, memory: Memory, now: float) -> Decision:
    calm_s = now - (now if memory.calm_since is None else memory.calm_since)
    leaving = next((worker.name for worker in _first_to_go(seen)), None)
    is_due = seen.capacity > rules.least and calm_s >= rules.idle_s and not _cools_for(rules, memory, now)
    if leaving is None or memory.calm_since is None or not is_due:
        return Decision(_holds(rules, seen, memory, now))
    calm = f"for {duration(calm_s)} at most {rules.threshold // 2:,} waited and a worker was idle"
    return Decision(f"Drains {leaving}: {calm}; {_serving(seen)}.", drain=(leaving,))


def _first_to_go(seen: Seen) -> list[Own]:
    """Who has no model or still starts, then the idle; of equals the youngest."""
    order = [NO_MODEL, STARTING, IDLE, BUSY, SILENT]
    counted_ones = [worker for worker in seen.own if worker.state in COUNTS]
    return sorted(counted_ones, key=lambda worker: (order.index(worker.state), worker.age_s))


def _cools_for(rules: Rules, memory: Memory, now: float) -> float:
    return max(0.0, memory.changed_at + rules.cool_down_s - now)


def _holds(rules: Rules, seen: Seen, memory: Memory, now: float) -> str:
    waits = f"{seen.depth:,} wait, {_serving(seen)}."
    if now < memory.may_start_at:
        return _backing_off(memory, now)
    if seen.is_paused:
        return f"Holds: the queue is paused; {waits}"
    if any(worker.state == NO_MODEL for worker in seen.own):
        return f"Holds: a worker cannot load its model, so more would not help; {waits}"
    at_most = seen.capacity >= rules.most and (seen.depth or 0) > rules.threshold
    return f"Holds at --max {rules.most}: {waits}" if at_most else f"Holds: {waits}"


def _backing_off(memory: Memory, now: float) -> str:
    times = f"{memory.failures} times in a row" if memory.failures > 1 else "once"
    return f"Waits {duration(memory.may_start_at - now)} before it starts another: a worker died at its start, {times}."


def _serving(seen: Seen) -> str:
    workers, is_one = counted(seen.capacity, "worker"), seen.capacity == 1
    if seen.coming and seen.coming == seen.capacity:
        return f"{workers} {'starts' if is_one else 'start'}"
    serve = f"{workers} {'serves' if is_one else 'serve'}"
    return f"{serve}, {seen.coming} of them starting" if seen.coming else serve


def _leaving(seen: Seen) -> str:
    return _names([worker.name for worker in seen.own if worker.state not in COUNTS]) or "others"


def _names(names: Sequence[str]) -> str:
    return " and ".join(names)
