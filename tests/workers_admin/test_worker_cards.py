from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from predictions import workers
from predictions.clock import Clock
from predictions.model_cards import ModelCard
from tests.predictions.jobs import submit_digit
from tests.workers_admin.facts import process
from workers_admin.worker_cards import WorkerCard, cards

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clean_redis")]


def the_card() -> WorkerCard:
    (card,) = cards(workers.nodes(), {})
    return card


@pytest.fixture
def workers_page(client: Client, staff: Any) -> Any:
    client.force_login(staff)
    return lambda: client.get(reverse("console_workers")).content.decode()


def test_a_card_shows_the_gpu_the_versions_and_the_last_jobs(workers_page: Any, user: Any, digits: ModelCard) -> None:
    job = submit_digit(user, digits)
    facts = {"gpu_memory_bytes": 2**30, "gpu_percent": 37.0, "versions": {"torch": "2.13.0+cpu"}}
    process(**facts, last_jobs=[str(job.pk)])
    shown = workers_page()
    assert "<dd>1.0\xa0GB</dd>" in shown and "<dd>37 %</dd>" in shown and "torch 2.13.0+cpu" in shown
    assert "Its last jobs" in shown and f"/jobs/{job.pk}/" in shown


def test_what_a_card_does_not_know_of_a_gpu_it_does_not_show(workers_page: Any) -> None:
    process()
    assert "GPU" not in workers_page()


def test_the_last_jobs_stand_latest_first_and_those_of_several_processes_by_the_time_of_submission(
    user: Any, digits: ModelCard
) -> None:
    jobs = [submit_digit(user, digits) for _ in range(3)]
    ids = [str(job.pk) for job in jobs]
    process(pid=1, last_jobs=[ids[2], ids[0]])
    assert [job.pk for job in the_card().last_jobs] == [jobs[0].pk, jobs[2].pk]
    process(pid=2, last_jobs=[ids[1]])
    assert [job.pk for job in the_card().last_jobs] == [jobs[2].pk, jobs[1].pk, jobs[0].pk]


def test_the_page_costs_as_many_statements_for_ten_workers_as_for_one(
    user: Any, digits: ModelCard, django_assert_num_queries: Any
) -> None:
    job = submit_digit(user, digits)
    for number in range(10):
        process(name=f"realtime{number}@here", last_jobs=[str(job.pk)])
    with django_assert_num_queries(2):
        known = cards(workers.nodes(), {})
        assert [card.last_jobs[0].owner.get_username() for card in known] == ["ana"] * 10


def test_two_workers_of_one_name_are_told_and_another_name_is_offered(workers_page: Any) -> None:
    process("realtime2@here", pid=1)
    assert "workers have this name" not in workers_page() and "-n realtime3@%h" in workers_page()
    process("realtime2@here", pid=2)
    assert "2 workers have this name, the processes 1 and 2" in workers_page()


def test_several_processes_of_prefork_are_one_worker_and_so_is_one_that_makes_room_for_the_next() -> None:
    process(pid=1, pool="prefork")
    process(pid=2, pool="prefork")
    assert not the_card().namesakes
    workers.Worker.objects.update(pool="custom")
    workers.Worker.objects.filter(pid=1).update(state="stopping")
    assert not the_card().namesakes


def test_a_queue_shows_what_was_asked_until_it_is_done(workers_page: Any) -> None:
    process(queues_asked=["batch"])
    shown = workers_page()
    assert "asked to drop it" in shown and "asked to serve it" in shown


def test_only_prefork_without_the_autoscaler_shows_buttons_for_its_size(workers_page: Any) -> None:
    process(pool="custom")
    assert reverse("console_grow_pool") not in workers_page()
    process(pool="prefork", may_resize=True, pool_size=1)
    shown = workers_page()
    assert reverse("console_grow_pool") in shown and reverse("console_shrink_pool") not in shown


def test_a_worker_that_is_stopping_or_gone_has_no_buttons_for_its_queues(workers_page: Any) -> None:
    process(stop_asked=True)
    assert reverse("console_drop_queue") not in workers_page() and reverse("console_add_queue") not in workers_page()


@pytest.mark.parametrize(
    ("act", "given", "said"),
    [
        (
            "console_add_queue",
            {"served": "batch realtime@here"},
            "realtime@here was asked to serve batch; its card tells when it does.",
        ),
        (
            "console_drop_queue",
            {"served": "realtime realtime@here"},
            "realtime@here was asked to take no more from realtime;",
        ),
        ("console_grow_pool", {"worker": "realtime@here"}, "realtime@here grows to 2 processes."),
        ("console_ping_worker", {"worker": "realtime@here"}, "realtime@here did not answer within 1 s."),
        ("console_add_queue", {"served": "batch"}, "There is no worker called ''."),
    ],
)
def test_an_act_says_what_it_does(client: Client, staff: Any, act: str, given: dict[str, str], said: str) -> None:
    process(pool="prefork", may_resize=True)
    client.force_login(staff)
    answer = client.post(reverse(act), {**given, "view": "workers"}, follow=True)
    assert str(next(iter(answer.context["messages"]))).startswith(said)


@pytest.mark.django_db(transaction=True)
def test_the_api_tells_the_ages_of_the_lamps(client: Client, staff: Any) -> None:
    process(state="busy", job="some job", celery_at=Clock() - 3.0, progress_at=Clock() - 5.0, versions={"celery": "5"})
    client.force_login(staff)
    (worker,) = client.get("/api/v1/workers").json()["items"]
    assert 3 <= worker["celery_age_s"] < 5 <= worker["progress_age_s"] < 7
    assert worker["versions"] == {"celery": "5"} and worker["started"].endswith("Z") and worker["pool_size"] == 1
