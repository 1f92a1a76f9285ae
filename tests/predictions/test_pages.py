"""What views and websockets render from, and the words and numbers in it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.template.loader import render_to_string

from predictions import pages, progress, timeline
from predictions.job_list import JobList
from predictions.models import Job, State, note, utc_now
from predictions.templatetags import job_words
from tests.predictions.jobs import claimed, now, submit_digit


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        (job_words.ordinal(0), "1st"),
        (job_words.ordinal(10), "11th"),
        (job_words.ordinal(21), "22nd"),
        (job_words.between((6.2, 12.4)), "6 to 12 s"),
        (job_words.between((0.02, 0.31)), "20 to 310 ms"),
        (job_words.between((300.0, 900.0)), "5 to 15 min"),
        (job_words.urgency(9), "urgent (9)"),
        (job_words.urgency(5), "normal (5)"),
        (job_words.urgency(1), "low (1)"),
        (job_words.percent(0.98714), "98.7 %"),
        (job_words.percent(0.9999), "99.9 %"),
        (job_words.percent(1.0), "100.0 %"),
        (job_words.counted(1, "row"), "1 row"),
        (job_words.counted(8400, "row"), "8,400 rows"),
    ],
)
def test_numbers_are_said_as_people_read_them(word: str, expected: str) -> None:
    assert word == expected


def running(done: int, total: int, for_s: float, **more: Any) -> Job:
    return Job(state=State.RUNNING, done=done, total=total, started=utc_now() - timedelta(seconds=for_s), **more)


def test_progress_tells_the_pace_and_what_is_left() -> None:
    seen = progress.progress(running(8_000, 12_000, for_s=2))
    assert (
        seen.percent == 66
        and seen.rows_per_s == pytest.approx(4_000, rel=0.05)
        and seen.left_s == pytest.approx(1, rel=0.05)
    )


def seen_before(job: Job, ago_s: float, done: int) -> Job:
    job.summary = {"lately": [[utc_now().timestamp() - ago_s, done], [utc_now().timestamp(), job.done]]}
    return job


def test_the_pace_is_that_of_the_last_seconds() -> None:
    job = seen_before(running(8_000, 12_000, for_s=100), ago_s=2, done=4_000)
    assert progress.progress(job).rows_per_s == pytest.approx(2_000, rel=0.05)


def test_the_pace_of_a_batch_that_waited_long_for_its_turn_is_that_of_all_its_time() -> None:
    job = seen_before(running(8_000, 12_000, for_s=100), ago_s=60, done=7_990)
    assert progress.progress(job).rows_per_s == pytest.approx(80, rel=0.05)


def test_nothing_is_left_of_a_batch_that_is_being_stopped() -> None:
    assert progress.progress(running(8_000, 12_000, for_s=2, revoke_requested=True)).left_s is None


def test_classes_stand_in_the_models_order() -> None:
    shares = progress.shares({"classes": {"b": 1, "a": 3, "new": 4}}, ["a", "b", "c"])
    assert [share.label for share in shares] == ["a", "b", "new"] and shares[0].share == 3 / 8


def test_a_long_files_strip_shows_the_least_finished_of_each_cell() -> None:
    cells = progress.cells(["done"] * 239 + ["running"])
    assert (len(cells), cells[0].title, cells[-1].title) == (120, "Parts 1 to 2: done", "Parts 239 to 240: running")


def test_the_histogram_says_how_many_are_sure() -> None:
    bins = progress.histogram({"confidence_histogram": [0] * 17 + [5, 10, 5]})
    assert bins[18].height == 1 and bins[17].y == 0.5 and progress.sure_share(bins) == 0.75


@pytest.mark.django_db
def test_an_event_hangs_on_the_last_moment_before_it(user: Any, digits: Any) -> None:
    job = claimed(submit_digit(user, digits)).job
    note(job, "gpu1 stopped answering; queued again")
    started = next(moment for moment in timeline.timeline(now(job)) if moment.words.startswith("Started"))
    assert [(branch.words, branch.detail) for branch in started.branches] == [
        ("gpu1 stopped answering; queued again", "Attempt 1")
    ]


@pytest.mark.django_db
def test_a_live_job_is_one_partial_for_its_own_target(user: Any, digits: Any) -> None:
    frame = render_to_string("predictions/_job_live.html", pages.job_context(submit_digit(user, digits), user))
    assert frame.startswith(
        '<hx-partial hx-target="#job" hx-swap="outerMorph"><div id="job"'
    ) and frame.strip().endswith("</hx-partial>")


@pytest.mark.django_db
def test_live_rows_gather_on_top_the_newest_last(user: Any, digits: Any) -> None:
    jobs = [submit_digit(user, digits) for _ in range(2)]
    frame = render_to_string("predictions/_job_rows_live.html", pages.rows_context(reversed(jobs), user))
    assert frame.count('<hx-partial hx-target="#new-jobs" hx-swap="afterbegin"><tr id="job-') == 2
    assert frame.index(str(jobs[0].pk)) < frame.index(str(jobs[1].pk))


@pytest.mark.django_db
def test_live_counts_meet_only_the_chips_of_the_same_filters(user: Any, digits: Any) -> None:
    submit_digit(user, digits)
    of_all, of_batches, same = (
        pages.counts_of(JobList(user, query)) for query in ({}, {"kind": "batch"}, {"status": "failed", "view": "list"})
    )
    assert of_all["counts_of"] == same["counts_of"] != of_batches["counts_of"]
    frame = render_to_string("predictions/_job_counts.html", of_all)
    assert f'<hx-partial hx-target="#count-{of_all["counts_of"]}-queued" hx-swap="textContent">1</hx-partial>' in frame
