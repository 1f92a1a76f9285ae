from __future__ import annotations

import signal
from typing import Any

import pytest
from celery import current_app

from predictions import broker, pausing, recovery, revocation, workers
from predictions.audit import Audit
from predictions.dispatch import Sender
from predictions.errors import InvalidInput, NotFound, WrongState
from predictions.model_cards import ModelCard
from predictions.models import Job, State
from predictions.workers import Worker
from tests.conftest import StartWorker
from tests.predictions.jobs import now, submit_digit, submit_endless
from tests.processes import end, eventually
from tests.workers_admin.facts import process
from workers_admin import serving, worker_cards


def served() -> list[str]:
    """By the one worker, as it reports."""
    (node,) = workers.nodes()
    return sorted(node.queues)


def has_ended(job: Job) -> bool:
    return now(job).has_ended


def the_one() -> str:
    """Once Celery has begun in it."""
    assert eventually(lambda: [node.celery_age_s is not None for node in workers.nodes()] == [True])
    return workers.nodes()[0].name


@pytest.mark.django_db
def test_a_worker_is_asked_to_serve_another_queue_and_it_is_audited(staff: Any) -> None:
    process()
    assert (
        serving.add_queue("realtime@here", "batch", staff)
        == "realtime@here was asked to serve batch; its card tells when it does."
    )
    assert Worker.objects.get().queues_asked == ["realtime", "batch"]
    row = Audit.objects.get()
    assert (row.action, row.outcome) == ("add queue", "batch: serves it")
    assert (row.before, row.after) == ({"queues": ["realtime"]}, {"queues": ["realtime", "batch"]})


@pytest.mark.django_db
def test_what_was_asked_before_and_is_not_yet_done_is_not_forgotten(staff: Any) -> None:
    process()
    serving.add_queue("realtime@here", "batch", staff)
    serving.drop_queue("realtime@here", "realtime", staff)
    assert Worker.objects.get().queues_asked == ["batch"]


@pytest.mark.django_db
def test_what_it_serves_is_not_added_and_what_it_does_not_serve_is_not_dropped(staff: Any) -> None:
    process()
    with pytest.raises(WrongState, match="realtime@here serves realtime already"):
        serving.add_queue("realtime@here", "realtime", staff)
    with pytest.raises(WrongState, match="realtime@here does not serve batch"):
        serving.drop_queue("realtime@here", "batch", staff)
    assert not Audit.objects.exists()


@pytest.mark.django_db
def test_a_queue_a_worker_or_a_state_that_is_not_right_is_refused(staff: Any) -> None:
    process(age_s=20)
    with pytest.raises(InvalidInput, match="There is no queue 'nothing'; there are realtime, batch, default"):
        serving.add_queue("realtime@here", "nothing", staff)
    with pytest.raises(NotFound, match="There is no worker called 'nobody'"):
        serving.add_queue("nobody", "batch", staff)
    with pytest.raises(WrongState, match="realtime@here is lost"):
        serving.add_queue("realtime@here", "batch", staff)


@pytest.mark.django_db
def test_a_worker_in_which_celery_has_not_yet_begun_is_not_asked(staff: Any) -> None:
    process(celery_at=None)
    with pytest.raises(WrongState, match="realtime@here is starting"):
        serving.add_queue("realtime@here", "batch", staff)


@pytest.mark.django_db
@pytest.mark.parametrize(("others", "is_said"), [(0, True), (1, False)])
def test_dropping_the_last_consumer_of_a_queue_is_said(others: int, is_said: bool) -> None:
    process()
    for _ in range(others):
        process(name="realtime@there")
    (queue,) = worker_cards.cards(workers.nodes(), {})[0].queues
    assert ("No other worker serves realtime: its jobs will wait." in queue.drop_detail) is is_said


@pytest.mark.long
def test_a_worker_in_a_long_pass_changes_its_queues_at_once(
    a_worker: StartWorker, user: Any, staff: Any, digits: ModelCard
) -> None:
    child = a_worker("batch")
    job = submit_endless(user, digits)
    assert eventually(lambda: [node.state for node in workers.nodes()] == ["busy"])
    serving.add_queue(the_one(), "realtime", staff)
    assert eventually(lambda: served() == ["batch", "realtime"], 4)
    serving.drop_queue(the_one(), "batch", staff)
    assert eventually(lambda: served() == ["realtime"], 4)
    assert Worker.objects.get().queues_asked is None and not now(job).has_ended
    revocation.revoke(job, user)
    end(child, signal.SIGKILL)


@pytest.mark.parametrize("receive", ["many", pytest.param("one", marks=pytest.mark.long)])
def test_no_message_of_a_dropped_queue_is_lost(
    a_worker: StartWorker, user: Any, staff: Any, digits: ModelCard, receive: str
) -> None:
    a_worker("realtime,batch", env={"RECEIVE": receive})
    before = [submit_digit(user, digits) for _ in range(30)]
    serving.drop_queue(the_one(), "realtime", staff)
    meanwhile = [submit_digit(user, digits) for _ in range(30)]
    assert eventually(lambda: served() == ["batch"], 4)
    after = [submit_digit(user, digits) for _ in range(10)]
    recovery.publish_due(Sender())
    # What it had asked Redis for before comes once more, and goes back.
    assert eventually(lambda: broker.depths()["realtime"].waiting == 10 and broker.depths()["realtime"].unacked == 0)
    assert all(map(has_ended, [*before, *meanwhile])) and not any(map(has_ended, after))
    serving.add_queue(the_one(), "realtime", staff)
    assert eventually(lambda: all(map(has_ended, after)))
    assert set(Job.objects.values_list("state", "attempt")) == {(State.SUCCEEDED, 1)}


@pytest.mark.long
@pytest.mark.parametrize("pool", [("--pool=solo",), ("--pool=prefork", "--concurrency=1")])
def test_other_pools_change_their_queues_too_and_keep_that_over_a_new_connection(
    a_worker: StartWorker, user: Any, staff: Any, digits: ModelCard, pool: tuple[str, ...]
) -> None:
    a_worker("batch", *pool)
    serving.add_queue(the_one(), "realtime", staff)
    serving.drop_queue(the_one(), "batch", staff)
    assert eventually(lambda: served() == ["realtime"], 6)
    broker.client().client_kill_filter(_type="normal", skipme=True)
    job = submit_digit(user, digits)
    assert eventually(lambda: has_ended(job)) and served() == ["realtime"]


@pytest.mark.long
def test_a_queue_that_was_dropped_while_it_was_paused_is_not_taken_up_at_the_resume(
    a_worker: StartWorker, user: Any, staff: Any, digits: ModelCard
) -> None:
    a_worker("realtime,batch")
    name = the_one()
    pausing.pause("realtime", staff)
    assert eventually(lambda: not consumed_by_celery(name) & {"realtime"})
    assert served() == ["batch", "realtime"]
    serving.drop_queue(name, "realtime", staff)
    assert eventually(lambda: served() == ["batch"], 6)
    pausing.resume("realtime", staff)
    assert not eventually(lambda: "realtime" in consumed_by_celery(name), 5) and served() == ["batch"]


def consumed_by_celery(name: str) -> set[str]:
    return {queue["name"] for queue in current_app.control.inspect([name]).active_queues()[name]}
