from __future__ import annotations

from typing import Any

import pytest

from predictions import workers
from predictions.audit import Audit
from predictions.errors import NotFound, WrongState
from predictions.workers import Worker
from tests.workers_admin.facts import process
from workers_admin import stopping

pytestmark = pytest.mark.django_db


def test_a_worker_that_is_asked_to_stop_shows_so_at_once(staff: Any) -> None:
    process(state="busy", job="some job")
    assert stopping.finish_and_stop("realtime@here", staff) == "realtime@here finishes the job in hand, then stops."
    assert workers.nodes()[0].state == "stopping"


def test_every_process_of_the_node_is_asked(staff: Any) -> None:
    process(pid=11)
    process(pid=12)
    stopping.finish_and_stop("realtime@here", staff)
    assert Worker.objects.filter(stop_asked=True).count() == 2


def test_the_request_is_audited_with_who_and_from_where(staff: Any) -> None:
    process()
    stopping.finish_and_stop("realtime@here", staff, "127.0.0.1")
    row = Audit.objects.get()
    assert (row.who_name, row.action, row.subject, row.outcome, row.address) == (
        "olga",
        "stop worker",
        "worker realtime@here",
        "stops now",
        "127.0.0.1",
    )


def test_a_lost_worker_cannot_be_asked_to_stop(staff: Any) -> None:
    process(age_s=20)
    with pytest.raises(WrongState, match="realtime@here is lost; only an idle or busy worker"):
        stopping.finish_and_stop("realtime@here", staff)
    assert not Audit.objects.exists()


def test_a_lost_worker_is_dismissed_and_audited(staff: Any) -> None:
    process(age_s=20)
    stopping.dismiss("realtime@here", staff)
    assert workers.nodes() == [] and Audit.objects.get().action == "dismiss worker"


def test_a_living_worker_cannot_be_dismissed(staff: Any) -> None:
    process()
    with pytest.raises(WrongState, match="realtime@here is idle; only a lost worker"):
        stopping.dismiss("realtime@here", staff)


def test_a_dismissed_worker_that_comes_back_is_listed_again(staff: Any) -> None:
    process(age_s=20)
    stopping.dismiss("realtime@here", staff)
    process()
    assert workers.nodes()[0].state == "idle"


def test_a_worker_that_is_not_known_is_not_found(staff: Any) -> None:
    with pytest.raises(NotFound, match="There is no worker called 'nobody'"):
        stopping.finish_and_stop("nobody", staff)
