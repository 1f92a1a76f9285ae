"""Jobs that arrive together are written together, and none of them spoils it for another."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db import connection, transaction

from predictions import group_commit, job_rows, submission
from predictions.errors import KeyReused, Unavailable
from predictions.fresh import FreshJob
from predictions.group_commit import Accepted
from predictions.model_cards import ModelCard
from predictions.models import Job, State, new_id
from predictions.row_locks import db_id
from predictions.submission import Wishes
from predictions.unavailable import unavailable_for
from tests.predictions.jobs import now, submit_digit
from tests.predictions.test_full_disk import no_room_for_files

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis_server")]
ZEROS = [0.0] * 64


def together(*acts: Callable[[], Awaitable[Accepted]]) -> list[Any]:
    """What comes of each, all begun before the first has ended."""

    async def run() -> list[Any]:
        return await asyncio.gather(*(act() for act in acts), return_exceptions=True)

    return async_to_sync(run)()


def submits(owner: Any, card: ModelCard, vector: list[float] = ZEROS, **wishes: Any) -> Callable[[], Any]:
    return lambda: submission.submit_vector_soon(owner, vector, card, Wishes(**wishes), new_id())


def test_what_is_stored_is_what_was_asked(user: Any, digits: ModelCard) -> None:
    wishes = {"priority": 3, "store": False, "on_bad_row": "skip", "source": "web", "idempotency": ("once", "hash")}
    first = submit_digit(user, digits, **wishes)
    Job.objects.filter(pk=first.pk).update(state=State.REVOKED)
    for job in (first, submission.retry(now(first), user, source="web")):
        stored = now(job)
        fields = [field.attname for field in Job._meta.concrete_fields if field.name not in {"publish_at", "state"}]
        assert {name: getattr(stored, name) for name in fields} == {name: getattr(job, name) for name in fields}


@pytest.mark.parametrize("has_all", [True, False])
def test_a_row_in_plain_sql_is_the_row_that_the_orm_writes(user: Any, digits: ModelCard, has_all: bool) -> None:
    job = FreshJob(user.pk, digits.ref, [0.1, -1e-7, 1e38, 0.0], 9, "api", True, "reject")
    if has_all:
        job.retry_of_id = submit_digit(user, digits).pk
        job.priority, job.source, job.store, job.on_bad_row, job.lane = 0, "web", False, "skip", 1
        job.idempotency_key, job.request_hash = "'é\"%s", "abc"
    job_rows.insert([job_rows.row_of(job)])
    ours = raw_row(job)
    Job.objects.filter(pk=job.id).delete()
    job.as_job().save(force_insert=True)
    assert ours.pop("publish_at") and raw_row(job) == ours | {"publish_at": "None"}


def raw_row(job: FreshJob) -> dict[str, str]:
    """As the database keeps it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM predictions_job WHERE id = %s", [db_id(job.id)])
        (row,) = cursor.fetchall()
        values = dict(zip([column[0] for column in cursor.description], row, strict=True))
    values["vector"] = json.loads(values["vector"])
    return {name: repr(value) for name, value in values.items()}


def test_those_that_arrive_while_one_is_written_are_written_in_one_transaction(
    user: Any, digits: ModelCard, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = list[int]()
    insert = job_rows.insert

    def counted(rows: list[job_rows.Row]) -> None:
        sizes.append(len(rows))
        insert(rows)

    monkeypatch.setattr(job_rows, "insert", counted)
    together(*[submits(user, digits) for _ in range(50)])
    assert sum(sizes) == Job.objects.count() == 50 and len(sizes) < 25


def test_twins_in_one_group_are_one_job(user: Any, digits: ModelCard) -> None:
    outcomes = together(*[submits(user, digits, idempotency=("once", "hash")) for _ in range(10)])
    assert {outcome.job.id for outcome in outcomes} == {Job.objects.get().pk}
    assert sorted(outcome.is_replayed for outcome in outcomes) == [False] + [True] * 9


def test_a_reused_key_fails_alone(user: Any, other_user: Any, digits: ModelCard) -> None:
    submission.submit_vector(user, ZEROS, digits, Wishes(idempotency=("once", "hash")))
    *_, reused, theirs = together(
        *[submits(user, digits) for _ in range(5)],
        submits(user, digits, idempotency=("once", "other")),
        submits(other_user, digits, idempotency=("once", "other")),
    )
    assert isinstance(reused, KeyReused) and not theirs.is_replayed and Job.objects.count() == 7


def test_a_row_that_the_database_refuses_fails_alone(user: Any, digits: ModelCard) -> None:
    """Its owner was deleted a moment ago: what SQLite and PostgreSQL judge at the commit."""
    gone = type(user)(pk=10_000)
    outcomes = together(*[submits(user, digits) for _ in range(5)], submits(gone, digits), submits(user, digits))
    assert [isinstance(outcome, Exception) for outcome in outcomes] == [False] * 5 + [True, False]
    assert Job.objects.filter(owner=user).count() == 6


def test_the_next_is_accepted_after_one_was_refused(user: Any, digits: ModelCard) -> None:
    together(submits(type(user)(pk=10_000), digits))
    assert not together(submits(user, digits))[0].is_replayed


@contextmanager
def a_locked_database() -> Iterator[None]:
    """Nobody else can write a job."""
    is_held, is_over = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            if connection.vendor == "postgresql":
                cursor.execute("LOCK TABLE predictions_job IN EXCLUSIVE MODE")
            is_held.set()
            is_over.wait(20)
        connection.close()

    holder = threading.Thread(target=hold)
    holder.start()
    assert is_held.wait(20)
    try:
        yield
    finally:
        is_over.set()
        holder.join()


async def begun(act: Callable[[], Awaitable[Accepted]]) -> asyncio.Task[Accepted]:
    task = asyncio.ensure_future(act())
    await asyncio.sleep(0.05)
    return task


def test_whoever_left_before_the_group_began_leaves_nothing(user: Any, digits: ModelCard) -> None:
    async def run() -> None:
        with a_locked_database():
            staying, leaving = [await begun(submits(user, digits)) for _ in range(2)]
            leaving.cancel()
        await staying
        await submits(user, digits)()  # its group comes after

    async_to_sync(run)()
    assert Job.objects.count() == 2


def test_who_comes_when_too_many_wait_is_told_to_try_again_and_leaves_nothing(
    user: Any, digits: ModelCard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_commit, "MOST_WAITING", 3)

    async def run() -> None:
        with a_locked_database():
            accepted = [await begun(submits(user, digits)) for _ in range(4)]
            with pytest.raises(Unavailable, match="3 submissions wait"):
                await submits(user, digits)()
        await asyncio.gather(*accepted)

    async_to_sync(run)()
    assert Job.objects.count() == 4


def test_a_database_that_takes_nothing_fails_the_group_and_stores_nothing(user: Any, digits: ModelCard) -> None:
    if connection.vendor != "sqlite":
        pytest.skip("the disk of a database server is not this process's")
    with no_room_for_files():
        outcomes = together(*[submits(user, digits) for _ in range(3)])
    assert all(unavailable_for(error) for error in outcomes) and not Job.objects.exists()
    assert not together(submits(user, digits))[0].is_replayed
