from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from workers_admin import samples, series, spans
from workers_admin.histograms import bucket_of
from workers_admin.spans import RANGES, asked
from workers_admin.stretches import Stretch

pytestmark = pytest.mark.django_db
NOW = 1_750_003_200 + 1805
NEWEST = NOW // 10 * 10 - 10


@pytest.fixture(autouse=True)
def now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(series, "now_s", lambda: float(NOW))
    monkeypatch.setattr(spans, "now_s", lambda: float(NOW))


def write(at: int, every_s: int = 10, queue: str = "realtime", model: str = "", **differs: Any) -> None:
    """A stretch in which a job succeeded; 3 wait and 1 is not sent."""
    stretch = Stretch(gauges={"waiting": differs.get("waiting", 3), "unpublished": 1})
    stretch.counts["succeeded"] = differs.get("succeeded", 1)
    for name in ("waits", "runs"):
        for seconds in differs.get(name, ()):
            stretch.count(name, bucket_of(seconds))
    stretch.histograms["micro_batches"] = differs.get("micro_batches", {})
    samples.write(every_s, at, {(queue, model): stretch})


def plots(since: int = 0, **given: str) -> dict[str, Any]:
    return series.plots(asked({"range": "15m", **given}), since)


def line(plot: str, label: str, **given: str) -> list[float | None]:
    found: list[float | None] = plots(**given)["plots"][plot][label]
    return found


def test_before_the_first_sample_there_is_nothing() -> None:
    assert (plots()["at"], line("depth", "realtime")) == ([], [])


def test_the_depth_is_what_waits_sent_or_not() -> None:
    write(NEWEST)
    assert line("depth", "realtime")[-1] == 4


def test_the_depth_is_unknown_where_redis_did_not_tell() -> None:
    write(NEWEST, waiting=None)
    assert line("depth", "realtime")[-1] is None


def test_where_nobody_sampled_there_is_a_gap_and_no_zero() -> None:
    write(NEWEST - 20)
    write(NEWEST, succeeded=0)
    assert line("throughput", "succeeded")[-3:] == [0.1, None, 0]
    assert line("depth", "realtime")[-3:] == [4, None, 4]


def test_throughput_is_in_jobs_a_second() -> None:
    write(NEWEST, succeeded=25)
    assert line("throughput", "succeeded")[-1] == 2.5


def test_percentiles_are_those_of_all_queues_together_or_of_one() -> None:
    write(NEWEST, waits=[0.1] * 99)
    write(NEWEST, queue="batch", waits=[100.0])
    assert line("wait", "p50")[-1] == pytest.approx(0.1, rel=0.05)
    assert line("wait", "p50", of="batch")[-1] == pytest.approx(100.0, rel=0.05)


def test_a_model_has_lines_of_its_own() -> None:
    write(NEWEST, runs=[1.0, 9.0], succeeded=2)
    write(NEWEST, model="digits@1", runs=[1.0])
    assert line("run", "p99", of="realtime:digits@1")[-1] == pytest.approx(1.0, rel=0.05)
    assert line("throughput", "succeeded", of="realtime:digits@1")[-1] == 0.1


def test_a_model_that_did_nothing_has_no_times_and_no_throughput() -> None:
    write(NEWEST)
    assert line("run", "p99", of="realtime:digits@1")[-1] is None
    assert line("throughput", "succeeded", of="realtime:digits@1")[-1] == 0


def test_a_pass_counts_once_however_many_were_in_it() -> None:
    write(NEWEST, micro_batches={1: 3, 64: 64})
    assert [line("micro-batch", name)[-1] for name in ("p50", "p95", "largest")] == [1, 64, 64]


def test_a_long_stretch_that_goes_on_is_told_by_the_shorter_ones() -> None:
    """The first five minutes are whole; of the next there are a minute and ten seconds."""
    begin = NOW // 300 * 300
    write(begin - 300, every_s=300, succeeded=300)
    write(begin - 300, every_s=60, succeeded=60)
    begin -= 0
    write(begin, every_s=10, succeeded=20)
    assert line("throughput", "succeeded", range="24h")[-2:] == [1, 2]


@pytest.mark.parametrize("name", RANGES)
def test_no_range_has_more_than_400_points(name: str) -> None:
    shown = RANGES[name]
    for at in (NOW - shown.lasts_s, NEWEST):
        write(at // shown.every_s * shown.every_s, every_s=shown.every_s)
    assert 80 <= len(plots(range=name)["at"]) <= 400


def test_a_page_that_has_the_rest_is_sent_the_newest() -> None:
    for at in (NEWEST - 20, NEWEST - 10, NEWEST):
        write(at)
    assert plots(since=NEWEST - 10)["at"] == [NEWEST - 10, NEWEST]


def test_what_cannot_be_read_is_left_out() -> None:
    found = asked({"range": "9y", "of": "nowhere:x"})
    assert (found.range.name, found.scope.value) == ("1h", "")


def test_the_models_of_each_queue_can_be_chosen() -> None:
    write(NEWEST, model="digits@1")
    words = [words for words, _, _ in asked({"range": "15m", "of": "realtime:digits@1"}).scopes]
    assert words == ["All queues", "realtime", "realtime · digits@1", "batch", "default"]


def test_the_samples_are_json_for_those_who_see_the_console(client: Client, staff: Any) -> None:
    client.force_login(staff)
    write(NEWEST)
    answer = client.get(reverse("console_samples"), {"range": "15m", "of": "", "since": "x"})
    assert (answer.status_code, answer.json()["plots"]["depth"]["realtime"][-1]) == (200, 4)


def test_nobody_else_is_told(client: Client, user: Any) -> None:
    client.force_login(user)
    assert client.get(reverse("console_samples")).status_code == 403


def test_the_page_holds_the_range_and_whose_jobs_in_its_address(client: Client, staff: Any) -> None:
    client.force_login(staff)
    page = client.get(reverse("console"), {"range": "6h", "of": "batch"}).content.decode()
    assert 'data-samples="/console/samples/?range=6h&amp;of=batch"' in page
    assert 'href="?range=7d&amp;of=batch#plots"' in page
