from __future__ import annotations

import pytest

from predictions.queues import PRIORITIES, TRANSPORT_BANDS, band_key, start_command, transport_priority


def test_the_most_urgent_is_told_as_the_lowest_number() -> None:
    assert [transport_priority(priority) for priority in (9, 5, 0)] == [0, 4, 9]


def test_every_priority_has_a_band_of_its_own() -> None:
    assert len({band_key("realtime", priority) for priority in PRIORITIES}) == len(TRANSPORT_BANDS) == 10


SERVED = [("realtime", "-Q realtime "), ("batch", "-Q batch,default "), ("default", "-Q batch,default ")]


@pytest.mark.parametrize(("queue", "served"), SERVED)
def test_the_command_to_start_a_worker_names_the_queue(queue: str, served: str) -> None:
    assert served in start_command(queue)
