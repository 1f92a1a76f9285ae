"""What `up` does with children that end by themselves: real processes under a real supervisor."""

from __future__ import annotations

import re

import pytest

from inference_site.child import Child
from inference_site.supervising import Log, Supervisor


def pauses_of(exit_code: int, times: int, capsys: pytest.CaptureFixture[str]) -> list[float]:
    """The pauses before the starts of a program that always ends with this exit code, as they were said."""
    supervisor, said = Supervisor(Log()), ""
    supervisor.start([Child("worker", ["sh", "-c", f"exit {exit_code}"])])
    while said.count("starts again") < times:
        supervisor.turn(0.02)
        said += capsys.readouterr().out
    return [float(pause) for pause in re.findall(r"it starts again in ([\d.]+) s", said)]


def test_a_worker_that_ended_itself_at_a_time_limit_starts_again_at_once_every_time(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert pauses_of(75, 3, capsys) == [0.5, 0.5, 0.5]


def test_a_program_that_keeps_dying_waits_longer_each_time(capsys: pytest.CaptureFixture[str]) -> None:
    assert pauses_of(1, 3, capsys) == [0.5, 1, 2]
