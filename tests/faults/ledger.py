"""The client's side: what was accepted, what must come of it, and the account when the faults are over."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
from django_celery_results.models import TaskResult

from predictions import files, outcomes, task_results
from predictions.models import ENDED, OPEN, Chunk, Job, Kind, State
from tests.faults import answers, executions
from tests.processes import eventually

SETTLES_WITHIN_S = 60.0
TIMEOUT_S = 30.0


@dataclass(frozen=True)
class Entry:
    """One 202. digit: the row of the digits that was sent, the first of them for a batch."""

    id: UUID
    kind: str
    digit: int
    rows: int
    took_s: float


@dataclass
class Account:
    """lost: accepted and not ended, or not there. twice: more than one write accepted, or more than one outcome."""

    accepted: int = 0
    succeeded: int = 0
    failed: int = 0
    revoked: int = 0
    lost: int = 0
    twice: int = 0
    wrong: int = 0
    executions: int = 0
    refused_writes: int = 0

    @property
    def faults(self) -> dict[str, int]:
        """What must not be: nothing of it, where the promise holds."""
        broken = {"lost": self.lost, "recorded twice": self.twice, "wrong": self.wrong}
        missing = self.accepted - self.succeeded - self.failed - self.revoked
        return {name: number for name, number in {**broken, "unaccounted for": missing}.items() if number}

    def __str__(self) -> str:
        return ", ".join(f"{name} {value}" for name, value in asdict(self).items())


class Ledger:
    """Submits over HTTP and remembers. Its methods may be called by several threads."""

    def __init__(self, address: str, key: str, log: Path) -> None:
        self.entries: list[Entry] = []
        self.unanswered = 0
        self.refused = Counter[int]()
        self.replayed = 0
        self.revoke_answers: dict[UUID, str] = {}
        self.revokes_asked: dict[UUID, float] = {}
        self.revokes_answered: dict[UUID, float] = {}
        self._log = log
        self._noted = set[UUID]()
        self._lock = threading.Lock()
        self._digits = count()
        self._digit_of_key: dict[str, int] = {}
        self._client = httpx.Client(
            base_url=f"{address}/api/v1", headers={"Authorization": f"Bearer {key}"}, timeout=TIMEOUT_S
        )

    def close(self) -> None:
        self._client.close()

    def submit_digit(self, idempotency_key: str = "", **body: Any) -> Entry | None:
        """The same key sends the same digit again."""
        digit = next(self._digits)
        headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
        if idempotency_key:
            digit = self._digit_of_key.setdefault(idempotency_key, digit)
        vector = answers.rows()[digit % len(answers.rows())]
        return self._note(Kind.REALTIME, digit, 1, "/predict", json={"input": vector, **body}, headers=headers)

    def submit_digit_until_accepted(self, within_s: float = SETTLES_WITHIN_S) -> Entry | None:
        """As a careful client does: again and again under one key, until there is a 202."""
        key, ends = str(uuid4()), time.monotonic() + within_s
        while (entry := self.submit_digit(key)) is None and time.monotonic() < ends:
            time.sleep(0.1)
        return entry

    def submit_digits(self, number: int, clients: int = 8, **body: Any) -> list[Entry]:
        """Returns those that were accepted."""
        with ThreadPoolExecutor(clients) as pool:
            found = list(pool.map(lambda _: self.submit_digit(**body), range(number)))
        return [entry for entry in found if entry]

    def submit_file(self, rows: int, **fields: Any) -> Entry | None:
        first = next(self._digits)
        table = {"file": ("digits.csv", answers.csv_of(rows, first), "text/csv")}
        return self._note(Kind.BATCH, first, rows, "/batch-predict", files=table, data=fields)

    def revoke(self, job_id: UUID) -> None:
        """Keeps what the user was told, and when; 409 where the job had ended."""
        self.revokes_asked.setdefault(job_id, time.time())
        with suppress(httpx.HTTPError):
            answer = self._client.post(f"/jobs/{job_id}/revoke")
            told = answer.json()["status"] if answer.is_success else str(answer.status_code)
            self.revoke_answers.setdefault(job_id, told)  # the first answer counts: asked again it is a 409
            self.revokes_answered[job_id] = time.time()

    def _note(self, kind: str, digit: int, rows: int, path: str, **request: Any) -> Entry | None:
        began = time.monotonic()
        try:
            answer = self._client.post(path, **request)
        except httpx.HTTPError:
            with self._lock:
                self.unanswered += 1
            return None
        took_s = time.monotonic() - began
        with self._lock:
            if answer.status_code != 202:
                self.refused[answer.status_code] += 1
                return None
            entry = Entry(UUID(answer.json()["id"]), kind, digit, rows, took_s)
            self.replayed += "Idempotent-Replayed" in answer.headers
            if entry.id not in self._noted:
                self._noted.add(entry.id)
                self.entries.append(entry)
        return entry

    # -- the account

    def settle(self, within_s: float = SETTLES_WITHIN_S) -> Account:
        """The faults are over: wait until no job is open, then compare."""
        eventually(lambda: not Job.objects.filter(state__in=OPEN).exists(), within_s, every_s=0.1)
        return self.account()

    def account(self) -> Account:
        jobs = Job.objects.in_bulk([entry.id for entry in self.entries])
        log = executions.read(self._log)
        states = Counter(job.state for job in jobs.values())
        outcomes_of = Counter(TaskResult.objects.values_list("task_id", flat=True))
        return Account(
            accepted=len(self.entries),
            succeeded=states[State.SUCCEEDED],
            failed=states[State.FAILED],
            revoked=states[State.REVOKED],
            lost=sum(1 for entry in self.entries if entry.id not in jobs or jobs[entry.id].state not in ENDED)
            + Job.objects.filter(state__in=OPEN).exclude(pk__in=jobs).count(),
            twice=executions.recorded_twice(log) + sum(1 for times in outcomes_of.values() if times > 1),
            wrong=self._wrong(jobs) + self._without_outcome() + self._untrue_answers(jobs),
            executions=sum(1 for entry in log if entry.event == "claimed"),
            refused_writes=sum(1 for entry in log if entry.event == "refused"),
        )

    def _wrong(self, jobs: dict[UUID, Job]) -> int:
        """Results that are not the direct model's, are missing, or belong to a vector that was revoked."""
        ended = [entry for entry in self.entries if entry.id in jobs and jobs[entry.id].has_ended]
        found = outcomes.results_of(entry.id for entry in ended)
        return sum(1 for entry in ended if not self._is_right(entry, jobs[entry.id], found.get(entry.id)))

    @staticmethod
    def _is_right(entry: Entry, job: Job, found: Any) -> bool:
        if entry.kind == Kind.BATCH:
            lines = result_lines(job)
            whole = len(lines) == entry.rows or job.state != State.SUCCEEDED
            return whole and (job.state != State.SUCCEEDED or answers.are_right(entry.digit, lines))
        return answers.is_right(entry.digit, found) if job.state == State.SUCCEEDED else found is None

    @staticmethod
    def _without_outcome() -> int:
        """Ended jobs without a TaskResult row of the same verdict, and rows without a job."""
        told = dict(TaskResult.objects.values_list("task_id", "status"))
        ended = {str(pk): state for pk, state in Job.objects.filter(state__in=ENDED).values_list("pk", "state")}
        differ = sum(1 for pk, state in ended.items() if told.get(pk) != task_results.CELERY_STATUS[State(state)])
        return differ + len(told.keys() - ended.keys())

    def _untrue_answers(self, jobs: dict[UUID, Job]) -> int:
        """`revoked` and `revoking` were promises; 409 said that the job had ended otherwise. Nothing is revoked unasked."""
        told = [(jobs[job_id].state, told) for job_id, told in self.revoke_answers.items() if job_id in jobs]
        untrue = sum(1 for state, answer in told if (state == State.REVOKED) != (answer in {"revoked", "revoking"}))
        revoked = {job_id for job_id, job in jobs.items() if job.state == State.REVOKED}
        return untrue + len(revoked - self.revokes_asked.keys())


def result_lines(job: Job) -> list[str]:
    """The scored lines of a batch, in the input's order."""
    done = Chunk.objects.filter(job=job, state=Chunk.State.DONE).order_by("number")
    keys = [files.result_key(job.pk, chunk.number, chunk.result_attempt or 0) for chunk in done]
    return b"".join(files.read(key) for key in keys).decode().splitlines()


def percentile(values: Iterable[float], of: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * of))]
