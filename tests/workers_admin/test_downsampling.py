from __future__ import annotations

import pytest

from workers_admin import downsampling, samples
from workers_admin.downsampling import DAY_S, KEPT_S
from workers_admin.histograms import bucket_of
from workers_admin.models import Sample
from workers_admin.stretches import Stretch

pytestmark = pytest.mark.django_db
AT = 1_750_003_200  # a whole hour
NOW = AT + 7200


@pytest.fixture(autouse=True)
def now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downsampling, "now_s", lambda: NOW)


def write(at: int, every_s: int = 10, wait_s: float = 1.0, model: str = "", **gauges: float | None) -> None:
    stretch = Stretch(gauges=dict(gauges))
    stretch.counts["succeeded"] = 1
    stretch.count("waits", bucket_of(wait_s))
    samples.write(every_s, at, {("realtime", model): stretch})


def found(every_s: int) -> list[Sample]:
    return list(Sample.objects.filter(every_s=every_s).order_by("at", "model"))


def test_six_times_ten_seconds_make_a_minute() -> None:
    for n, wait_s in enumerate((1.0, 1.0, 2.0, 4.0, 8.0, 8.0)):
        write(AT + 10 * n, wait_s=wait_s)
    downsampling.merge()
    (minute,) = found(60)
    assert (minute.at, minute.succeeded) == (AT, 6)
    assert minute.waits == {str(bucket_of(s)): n for s, n in ((1.0, 2), (2.0, 1), (4.0, 1), (8.0, 2))}


def test_a_minute_that_goes_on_is_not_made_yet() -> None:
    write(AT)
    write(AT + 40)
    downsampling.merge()
    assert found(60) == []


def test_a_minute_is_made_once_though_two_stewards_come_to_it() -> None:
    write(AT)
    write(AT + 50)
    downsampling.merge()
    write(AT, every_s=60)
    downsampling.merge()
    assert [minute.succeeded for minute in found(60)] == [2]


def test_a_short_peak_of_the_depth_is_kept() -> None:
    for at, waiting in ((0, 3), (10, 812), (20, None), (50, 2)):
        write(AT + at, waiting=waiting)
    downsampling.merge()
    assert found(60)[0].waiting == 812


def test_where_nobody_knew_the_depth_nobody_knows_it_later() -> None:
    write(AT, waiting=None)
    write(AT + 50, waiting=None)
    downsampling.merge()
    assert found(60)[0].waiting is None


def test_each_model_keeps_its_own() -> None:
    for at in (AT, AT + 50):
        write(at)
        write(at, model="digits@1")
    downsampling.merge()
    assert [(minute.model, minute.succeeded) for minute in found(60)] == [("", 2), ("digits@1", 2)]


def test_minutes_without_samples_are_passed_over() -> None:
    for minute in (0, 30):
        write(AT + 60 * minute)
        write(AT + 60 * minute + 50)
    downsampling.merge()
    assert [each.at for each in found(60)] == [AT, AT + 1800]


def test_half_an_hour_is_made_of_stretches_of_five_minutes() -> None:
    for at in range(AT, AT + 1800, 10):
        write(at)
    for _ in range(3):
        downsampling.merge()
    assert [(len(found(every_s)), sum(each.succeeded for each in found(every_s))) for every_s in KEPT_S] == [
        (180, 180), (30, 180), (6, 180), (1, 180),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("every_s", "kept_s"), [(10, DAY_S // 4), (60, 2 * DAY_S), (300, 8 * DAY_S), (1800, 30 * DAY_S)]
)
def test_each_is_kept_for_its_time_and_then_forgotten(every_s: int, kept_s: int) -> None:
    for at in (NOW - kept_s - every_s, NOW - kept_s + every_s):
        write(at, every_s)
    downsampling.forget()
    assert [each.at for each in found(every_s)] == [NOW - kept_s + every_s]


def test_samples_from_a_time_that_has_not_come_are_forgotten() -> None:
    write(NOW + DAY_S)
    downsampling.forget()
    assert found(10) == []
