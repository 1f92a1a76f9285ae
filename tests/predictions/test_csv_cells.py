from __future__ import annotations

import csv
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from predictions.csv_cells import harmless
from predictions.worker.scoring import Scores, format_lines


@pytest.mark.parametrize(
    ("given_", "written"),
    [
        ("plain", "plain"),
        ("-1.5", "-1.5"),
        ("+1e-3", "+1e-3"),
        ("-1e400", "-1e400"),
        ("-1.5\n", "'-1.5\n"),
        ("=cmd()", "'=cmd()"),
        ("-1+1", "'-1+1"),
        ("@x", "'@x"),
        ("\t=x", "'\t'=x"),
        ("\n=x", "'\n=x"),
        ("＝1+1", "'＝1+1"),
        ("a;=1+1", "a;'=1+1"),
        ("a; @x", "a; '@x"),
        ("a=b", "a=b"),
    ],
)
def test_what_a_spreadsheet_would_run_gets_an_apostrophe(given_: str, written: str) -> None:
    assert harmless(given_) == written


@given(st.text("=+-@;\t\r\n \"',.1ae＝", min_size=1))
def test_ids_and_labels_are_written_by_the_same_rule(text: str) -> None:
    scores = Scores(np.array([0]), np.array([0.5], dtype=np.float32))
    line = format_lines(np.array([1]), [text], scores, (text,)).decode()
    assert next(csv.reader(io.StringIO(line, newline="")))[1:4:2] == [harmless(text)] * 2
