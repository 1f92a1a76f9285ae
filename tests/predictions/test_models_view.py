"""The Models page and the API guide, and the numbers and pictures on them."""

from __future__ import annotations

import ast
import shlex
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from predictions import model_figures, samples, workers
from predictions.model_cards import ModelCard
from predictions.models import Job, Kind, State, utc_now
from predictions.templatetags import pictures, quantities


@pytest.fixture
def ana(client: Client, user: Any, digits: ModelCard) -> Client:
    client.force_login(user)
    return client


def a_run(owner: Any, took_s: float, ended_ago: timedelta = timedelta(minutes=1)) -> None:
    ended = utc_now() - ended_ago
    started = ended - timedelta(seconds=took_s)
    times = {"created": started, "started": started, "finished": ended}
    Job.objects.create(
        owner=owner, kind=Kind.REALTIME, model="digits@1", queue="realtime", priority=9, state=State.SUCCEEDED, **times
    )


def test_a_model_s_card_names_its_version_hash_and_examples(ana: Client, digits: ModelCard) -> None:
    text = ana.get("/models/").content.decode()
    wanted = ("digits@1", digits.sha256, "pixel_7_7", "?model=digits%401&amp;example=9", "the default model")
    assert [part for part in wanted if part not in text] == []


def test_a_model_s_card_names_the_workers_that_hold_it(ana: Client) -> None:
    facts = {
        "queues": ["realtime"],
        "state": "idle",
        "model": "digits@1",
        "model_state": "ready",
        "started": "2026-01-01T00:00:00Z",
    }
    workers.report("gpu1@here", 1, "here", facts)
    assert b"gpu1@here" in ana.get("/models/").content


def test_the_median_is_of_the_last_24_hours(user: Any) -> None:
    for took_s in (0.010, 0.020, 0.090):
        a_run(user, took_s)
    a_run(user, 50.0, timedelta(hours=25))
    vectors = model_figures.figures("digits@1")[0]
    assert (vectors.jobs, round(vectors.median_s or 0, 3)) == (3, 0.020)


def test_a_model_that_did_nothing_has_no_median(db: None) -> None:
    assert [(each.jobs, each.median_s) for each in model_figures.figures("digits@1")] == [(0, None), (0, None)]


@pytest.fixture
def broken_model(settings: Any, tmp_path: Any) -> None:
    settings.MODEL_DIR = tmp_path
    (tmp_path / "torn" / "1").mkdir(parents=True)
    (tmp_path / "torn" / "1" / "card.json").write_text("{")


def test_staff_see_what_is_wrong_with_a_card(client: Client, staff: Any, broken_model: None) -> None:
    client.force_login(staff)
    assert b"torn/1/card.json cannot be read" in client.get("/models/").content


def test_others_do_not_see_paths(client: Client, user: Any, broken_model: None) -> None:
    client.force_login(user)
    assert b"card.json" not in client.get("/models/").content


def test_the_guide_s_python_is_python(ana: Client, digits: ModelCard) -> None:
    of_vector, of_file = (
        samples.of_example("http://site", digits),
        samples.of_file("http://site", 'it\'s; "a".csv', digits.ref, 1, "skip"),
    )
    for code in (of_vector.httpx, of_vector.urllib, of_file.httpx, of_file.urllib):
        ast.parse(code)


def test_the_guide_s_curl_is_read_by_a_shell_as_meant(digits: ModelCard) -> None:
    words = shlex.split(samples.of_file("http://site", "it's; a.csv", digits.ref, 1, "skip").curl)
    assert words[-1] == 'file=@"it\'s; a.csv"'


def test_the_guide_names_this_host(ana: Client) -> None:
    text = ana.get("/api/", headers={"Host": "localhost"}).content.decode()
    assert "curl http://localhost/api/v1/predict" in text
    assert "ws://localhost/ws/jobs/$ID/" in text


def test_a_numbers_sample_is_short(digits: ModelCard) -> None:
    assert '"input": [5, 0.5]' in samples.of_vector("http://site", [5.0, 0.5], "digits@1", 9).curl


def test_an_image_is_drawn_cell_by_cell(digits: ModelCard) -> None:
    drawn = pictures.vector_picture([16.0, 8.0] + [0.0] * 62, digits)
    assert drawn.count("<rect") == 2
    assert 'fill-opacity="0.5"' in drawn


def test_a_vector_without_an_image_is_a_strip_of_at_most_512_bars() -> None:
    drawn = pictures.vector_picture([float(value) for value in range(2000)], None)
    assert 'class="strip"' in drawn
    assert drawn.count("<rect") <= 512


def test_a_vector_of_one_value_everywhere_is_a_blank_strip() -> None:
    assert "<rect" not in pictures.vector_picture([3.0] * 5, None)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, ""),
        (-0.001, "0 ms"),
        (0.0042, "4 ms"),
        (0.9999, "1.0 s"),
        (1.25, "1.2 s"),
        (9.97, "10 s"),
        (75, "1 min 15 s"),
        (120, "2 min"),
        (7200, "2 h"),
        (7300, "2 h 1 min"),
    ],
)
def test_durations_are_words(seconds: float | None, words: str) -> None:
    assert quantities.duration(seconds) == words
