from __future__ import annotations

import pytest

from predictions.queues import BANDS, TRANSPORT_BANDS, band_key, start_command, transport_priority


def test_the_most_urgent_is_told_as_the_lowest_number() -> None:
    assert [transport_priority(priority, 0) for priority in (9, 5, 0)] == [0, 8, 18]


def test_the_lane_behind_still_goes_before_the_next_priority() -> None:
    assert [transport_priority(*band) for band in ((9, 0), (9, 1), (8, 0))] == [0, 1, 2]
    assert [transport_priority(*band) for band in BANDS] == TRANSPORT_BANDS


def test_every_priority_has_two_bands_of_its_own() -> None:
    assert len({band_key("realtime", *band) for band in BANDS}) == len(TRANSPORT_BANDS) == 20


def test_the_bands_of_the_release_before_are_still_read() -> None:
    before = ["realtime", *(f"realtime\x06\x16{band}" for band in range(1, 10))]
    assert set(before) <= {band_key("realtime", *band) for band in BANDS}


SERVED = [("realtime", "-Q realtime "), ("batch", "-Q batch,default "), ("default", "-Q batch,default ")]


@pytest.mark.parametrize(("queue", "served"), SERVED)
def test_the_command_to_start_a_worker_names_the_queue(queue: str, served: str) -> None:
    assert served in start_command(queue)


def test_the_command_to_start_a_worker_takes_a_name_that_none_has() -> None:
    assert "-n batch3@%h" in start_command("default", ["batch@here", "batch2@here", "batch4@here", "realtime3@here"])
