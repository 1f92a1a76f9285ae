from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from predictions import broker, outcomes, pausing
from predictions.model_cards import ModelCard
from predictions.models import State
from predictions.pauses import paused_queues
from predictions.queues import QUEUES
from predictions.workers import Worker
from tests.predictions.jobs import SUCCESS, claimed, now, submit_digit, submit_rows
from tests.processes import eventually
from tests.workers_admin.facts import process

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("clean_redis")]


@pytest.fixture
def console(client: Client, staff: Any) -> Client:
    client.force_login(staff)
    return client


def said(client: Client, name: str, *args: str, **data: Any) -> str:
    """What the page says after an act."""
    answer = client.post(reverse(name, args=args), {"view": "queues", **data}, follow=True)
    return " ".join(str(message) for message in answer.context["messages"])


def shown(client: Client) -> str:
    return client.get(reverse("console_queues")).content.decode()


def test_a_pause_and_a_resume_are_said_and_shown(console: Client) -> None:
    assert said(console, "console_pause", queue="batch").startswith("batch is paused.")
    assert paused_queues() == {"batch"} and "Paused by olga" in shown(console)
    assert said(console, "console_pause", queue="batch") == "batch is paused already."
    assert said(console, "console_resume", queue="batch") == "batch is resumed."
    assert not paused_queues() and "Paused by" not in shown(console)


def test_a_paused_queue_tells_the_truth_in_the_api(console: Client, staff: Any) -> None:
    pausing.pause("realtime", staff)
    queues = {queue["name"]: queue["paused"] for queue in console.get("/api/v1/queues").json()["items"]}
    assert queues == {"realtime": True, "batch": False, "default": False}


def test_a_file_that_stands_still_in_a_paused_queue_is_seen_there(
    console: Client, staff: Any, digits: ModelCard
) -> None:
    submit_rows(staff, digits, rows=6, parts=3)
    pausing.pause("batch", staff)
    assert "1 queued, 0 running, 2 parts to follow" in shown(console)


@pytest.mark.parametrize("queue", QUEUES)
def test_each_queue_can_be_paused_and_purged_by_whoever_may(console: Client, queue: str) -> None:
    assert reverse("console_purge", args=[queue]) in shown(console)
    assert console.get(reverse("console_purge", args=[queue])).status_code == 200


def test_there_is_no_other_queue_to_purge(console: Client) -> None:
    assert console.get(reverse("console_purge", args=["fast"])).status_code == 404


def test_what_a_purge_will_do_is_said_before(console: Client, user: Any, digits: ModelCard) -> None:
    submit_digit(user, digits)
    claimed(submit_digit(user, digits))
    page = " ".join(console.get(reverse("console_purge", args=["realtime"])).content.decode().split())
    assert "<strong>1</strong> job waits and ends as revoked" in page and "<strong>1</strong> runs and is left" in page


def test_a_queue_whose_worker_is_gone_is_never_empty(console: Client, user: Any, digits: ModelCard) -> None:
    claim = claimed(submit_digit(user, digits))
    outcomes.finish(claim.job.pk, claim.attempt, SUCCESS)
    submit_digit(user, digits)
    worker = process()
    assert "nothing goes out" not in shown(console)
    Worker.objects.filter(pk=worker.pk).update(beat_at=worker.beat_at - 20)
    assert "nothing goes out" in shown(console)


def test_a_purge_wants_the_queues_name(console: Client, user: Any, digits: ModelCard) -> None:
    job = submit_digit(user, digits)
    answer = console.post(reverse("console_purge", args=["realtime"]), {"queue": "batch"})
    assert (
        answer.status_code == 422 and "&#x27;realtime&#x27; purges it. Nothing was changed." in answer.content.decode()
    )
    assert now(job).state == State.QUEUED


def test_a_purge_is_said_afterwards(console: Client, user: Any, digits: ModelCard) -> None:
    submit_digit(user, digits)
    assert eventually(lambda: broker.depths()["realtime"].waiting == 1)
    words = said(console, "console_purge", "realtime", queue="realtime")
    assert words == "realtime: 1 revoked. 1 message left Redis."


def test_the_flow_of_a_minute_and_the_time_to_drain_are_shown(console: Client, user: Any, digits: ModelCard) -> None:
    process()
    for digit in range(3):
        submit_digit(user, digits, digit=digit)
    claim = claimed(submit_digit(user, digits))
    outcomes.finish(claim.job_id, claim.attempt, SUCCESS)
    facts = " ".join(shown(console).split())
    assert "<dt>In a minute</dt><dd>4</dd>" in facts and "<dt>Out a minute</dt><dd>1</dd>" in facts
    assert "<dt>Empty in</dt><dd>3 min" in facts and "if no more comes" in facts


def test_the_priority_of_chosen_jobs_is_changed(console: Client, user: Any, digits: ModelCard) -> None:
    waits, runs = submit_digit(user, digits, priority=1), claimed(submit_digit(user, digits)).job
    words = said(console, "console_change_priority", job=[str(waits.pk), str(runs.pk)], priority="7")
    assert words.startswith("1 job has priority 7 now. Job ") and "is running; only a queued job's" in words
    assert now(waits).priority == 7
    assert said(console, "console_change_priority", job=[str(waits.pk)], priority="10").startswith(
        "'10' is no priority"
    )
    assert said(console, "console_change_priority", priority="3") == "No job was selected."
