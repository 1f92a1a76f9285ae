"""The execution log: what the workers of a test claimed, and which of their writes the database accepted."""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID


@dataclass(frozen=True)
class Execution:
    """at: seconds since 1970. event: claimed, accepted, refused, or nothing (a message found no claim). chunk: None for a vector."""

    event: str
    job: str
    chunk: int | None
    attempt: int
    worker_pid: int
    at: float


def write(event: str, job_id: UUID, chunk: int | None, attempt: int) -> None:
    """One line by one write, so that processes do not mix theirs."""
    line = json.dumps(Execution(event, str(job_id), chunk, attempt, os.getpid(), time.time()).__dict__)
    log = os.open(os.environ["EXECUTION_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(log, line.encode() + b"\n")
    finally:
        os.close(log)


def read(log: Path) -> list[Execution]:
    if not log.exists():
        return []
    lines = log.read_text().splitlines()
    return [Execution(**json.loads(line)) for line in lines if line.endswith("}")]


def recorded_twice(log: list[Execution]) -> int:
    """How many jobs, or chunks, had more than one write accepted."""
    accepted = Counter((entry.job, entry.chunk) for entry in log if entry.event == "accepted")
    return sum(1 for times in accepted.values() if times > 1)
