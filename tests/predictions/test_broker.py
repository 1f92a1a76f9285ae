from __future__ import annotations

import pytest
from celery import current_app

from predictions import broker
from predictions.queues import BANDS, band_key, transport_priority


def publish(queue: str, priority: int, task_id: str, lane: int = 0) -> None:
    band = transport_priority(priority, lane)
    current_app.send_task("predictions.predict", args=([], "m@1"), task_id=task_id, queue=queue, priority=band)


@pytest.mark.usefixtures("clean_redis")
def test_the_depth_counts_every_band() -> None:
    for priority in (9, 9, 5, 1, 0):
        publish("realtime", priority, f"{priority}")
    depth = broker.depths()["realtime"]
    assert (depth.waiting, depth.waiting_by_priority) == (5, {9: 2, 5: 1, 1: 1, 0: 1})


@pytest.mark.usefixtures("clean_redis")
def test_the_waiting_are_told_lane_by_lane_the_most_urgent_first() -> None:
    for priority, lane in ((5, 0), (9, 1), (0, 1), (9, 0)):
        publish("realtime", priority, f"{priority}/{lane}", lane)
    assert broker.waiting_ids("realtime") == ["9/0", "9/1", "5/0", "0/1"]
    assert broker.depths()["realtime"].waiting_by_priority == {9: 2, 5: 1, 0: 1}


@pytest.mark.usefixtures("clean_redis")
def test_what_celery_gives_back_returns_to_its_own_band() -> None:
    for number, band in enumerate(BANDS):
        publish("realtime", band[0], str(number), band[1])
    with current_app.connection_for_read() as connection:
        channel = connection.default_channel
        messages = [channel.basic_get("realtime") for _ in BANDS]
        assert [message.headers["id"] for message in messages] == [str(number) for number in range(len(BANDS))]
        for message in messages:
            channel.basic_reject(message.delivery_tag, requeue=True)
    lengths = [broker.client().llen(band_key("realtime", *band)) for band in BANDS]
    assert lengths == [1] * len(BANDS)


@pytest.mark.usefixtures("clean_redis")
def test_nine_is_the_band_that_redis_is_asked_for_first() -> None:
    assert (band_key("realtime", 9, 0), band_key("realtime", 0, 1)) == ("realtime", "realtime\x06\x1619")


@pytest.mark.usefixtures("clean_redis")
def test_an_idle_queue_has_depth_zero() -> None:
    assert broker.depths()["batch"].waiting == 0


@pytest.mark.usefixtures("clean_redis")
def test_what_was_delivered_and_not_acknowledged_is_counted_by_queue() -> None:
    publish("batch", 1, "held")
    with current_app.connection_for_read() as connection:
        channel = connection.default_channel
        assert channel.basic_get("batch") is not None
        assert (broker.depths()["batch"].waiting, broker.depths()["batch"].unacked) == (0, 1)


@pytest.mark.usefixtures("clean_redis")
def test_the_mark_is_gone_when_redis_has_forgotten() -> None:
    broker.mark("one")
    assert broker.is_marked()
    broker.client().flushall()
    assert not broker.is_marked()
