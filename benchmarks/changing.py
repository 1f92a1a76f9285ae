"""A process that changes jobs at a steady pace and tells when each change was committed (see `benchmarks.sockets`).

It writes the sessions of the owners and of the staff as one line of JSON, waits for a line, and writes what it said.
"""

from __future__ import annotations

import json
import os
import sys
import time
from functools import partial
from itertools import count
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "inference_site.settings")
django.setup()

from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY, get_user_model
from django.contrib.sessions.backends.db import SessionStore
from django.db import transaction

from predictions.live import say
from predictions.models import Job, Kind, State, new_id, utc_now

STATES = (State.QUEUED, State.RUNNING, State.SUCCEEDED)
IN_FLIGHT = 10


def main() -> None:
    owners_wanted, staff_wanted, seconds, a_second, together = (float(given) for given in sys.argv[1:])
    owners = [user(f"owner{number}") for number in range(int(owners_wanted))]
    staff = [user(f"staff{number}", is_staff=True) for number in range(int(staff_wanted))]
    print(json.dumps([list(map(session_of, owners)), list(map(session_of, staff))]), flush=True)
    sys.stdin.readline()
    print(json.dumps(change(owners, seconds, a_second, int(together))), flush=True)
    sys.stdin.readline()


def user(name: str, **more: Any) -> Any:
    found, _ = get_user_model().objects.get_or_create(username=name, defaults=more)
    return found


def session_of(one: Any) -> str:
    store = SessionStore()
    store[SESSION_KEY] = str(one.pk)
    store[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    store[HASH_SESSION_KEY] = one.get_session_auth_hash()
    store.create()
    return str(store.session_key)


def change(owners: list[Any], seconds: float, a_second: float, together: int) -> list[tuple[float, str, int, int]]:
    """Groups of jobs are queued, started and ended, several groups in flight, so that a job rests between its states."""
    said: list[tuple[float, str, int, int]] = []
    groups: list[tuple[list[Job], int, int]] = []
    begun, numbers = time.monotonic(), count()
    for turn in range(int(seconds * a_second / together)):
        time.sleep(max(0.0, begun + turn * together / a_second - time.monotonic()))
        if len(groups) < IN_FLIGHT or turn % len(STATES) == 0:
            number = next(numbers) % len(owners)
            jobs, rank, owner = [new_job(owners[number]) for _ in range(together)], 0, number
        else:
            jobs, rank, owner = groups.pop(0)
        with transaction.atomic():
            step(jobs, rank)
            transaction.on_commit(partial(mark, said, jobs, rank, owner))
            say.jobs_changed([job.pk for job in jobs])
        if rank + 1 < len(STATES):
            groups.append((jobs, rank + 1, owner))
    return said


def new_job(owner: Any) -> Job:
    wishes = {"model": "digits@1", "queue": "realtime", "priority": 5, "vector": [0.0] * 64}
    return Job(id=new_id(), owner=owner, kind=Kind.REALTIME, created=utc_now(), **wishes)


def step(jobs: list[Job], rank: int) -> None:
    now, ids = utc_now(), [job.pk for job in jobs]
    if rank == 0:
        Job.objects.bulk_create(jobs)
    elif rank == 1:
        Job.objects.filter(pk__in=ids).change(state=STATES[rank], started=now, worker="realtime@bench")
    else:
        Job.objects.filter(pk__in=ids).change(state=STATES[rank], finished=now, done=1)


def mark(said: list[tuple[float, str, int, int]], jobs: list[Job], rank: int, owner: int) -> None:
    at = time.monotonic()
    said += [(at, str(job.pk), rank, owner) for job in jobs]


if __name__ == "__main__":
    main()
