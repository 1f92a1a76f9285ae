from __future__ import annotations

import os

import psutil
import pytest
from celery import __version__ as celery_version

from predictions import workers
from predictions.vitals import LAST_JOBS, Vitals
from predictions.workers import Node, Worker

THIS = psutil.Process()


def node_of(vitals: Vitals) -> Node:
    """As it is read back after one report."""
    workers.report("one@here", os.getpid(), "here", {**vitals.of_process(THIS), **vitals.of_node()})
    return workers.nodes()[0]


def test_a_batch_whose_parts_were_done_here_comes_once_among_the_last_jobs() -> None:
    vitals = Vitals()
    vitals.worked_on("a")
    vitals.worked_on("b")
    vitals.worked_on("a")
    assert vitals.of_process(THIS)["last_jobs"] == ["b", "a"]


def test_only_the_last_jobs_are_kept_also_of_a_larger_micro_batch() -> None:
    vitals = Vitals()
    vitals.worked_on(*map(str, range(64)))
    assert vitals.of_process(THIS)["last_jobs"] == [str(number) for number in range(64 - LAST_JOBS, 64)]


@pytest.mark.django_db
def test_progress_and_celerys_turns_are_told_by_the_databases_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    vitals = Vitals(name="one@here")
    assert node_of(vitals).celery_age_s is None
    vitals.turned()
    vitals.begin("a job")
    node = node_of(vitals)
    assert node.celery_age_s is not None and node.celery_age_s < 1
    assert node.progress_age_s is not None and node.progress_age_s < 1


@pytest.mark.django_db
def test_nothing_in_hand_stands_still() -> None:
    vitals = Vitals(name="one@here")
    vitals.begin("a job")
    vitals.end(1)
    assert node_of(vitals).progress_age_s is None and Worker.objects.get().progress_at is not None


def test_the_versions_are_those_that_run() -> None:
    versions = Vitals().of_process(THIS)["versions"]
    assert versions["celery"] == celery_version and set(versions) == {"python", "celery", "torch", "product"}


def test_a_worker_starts_until_it_has_a_model_and_is_busy_while_it_loads_one_more() -> None:
    vitals = Vitals()
    assert vitals.state == "starting"
    vitals.model, vitals.model_state = "digits@1", "ready"
    assert vitals.state == "idle"
    vitals.model_state = "loading"
    assert vitals.state == "busy"
