"""Both ways of reading rows agree, and every fault is reported where it is."""

from __future__ import annotations

import os
import re
import signal
import threading
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from predictions.bad_cells import BadCell
from predictions.columns import Columns
from predictions.csv_reading import _read_exactly, _read_quickly, blocks, read_block
from predictions.line_ends import rows_in
from predictions.number_shapes import shapes_of
from predictions.numbers_in_text import PATTERN

FEATURES = ("a", "b", "c")
PLAIN = Columns(",", 3, (0, 1, 2))
NAMED = Columns(";", 5, (4, 0, 2), 1, ("b", "id", "c", "z", "a"))
FAULTS = {
    "": "empty",
    "  ": "empty",
    "abc": "'abc' is not a number",
    "1_0": "'1_0' is not a number",
    "0x1": "'0x1' is not a number",
    "--1": "'--1' is not a number",
    "1e": "'1e' is not a number",
    "١": "'١' is not a number",
    "true": "'true' is not a number",
    "nan": "not finite",
    "-Infinity": "not finite",
    "1e400": "larger than a float32 can hold",
    "-1e39": "larger than a float32 can hold",
}
NUMBERS = st.one_of(
    st.floats(width=32, allow_nan=False, allow_infinity=False).map(repr),
    st.integers(-(10**9), 10**9).map(str),
    st.sampled_from(["+1", ".5", "1.", "1E+5", " 7 ", '"8"', "1e-400", "007", "-0", "\u00a03", "3.4028234e38"]),
)


def read(
    text: str, columns: Columns = PLAIN, first_line: int = 1, first_row: int = 1
) -> list[tuple[int, int, str | None, str]]:
    block = read_block(text.encode(), columns, FEATURES, first_line, first_row)
    return [(cell.row, cell.line, cell.column, cell.reason) for cell in block.bad]


@settings(deadline=None)
@given(st.data())
def test_every_planted_fault_is_reported_at_its_place_and_no_other(data: st.DataObject) -> None:
    table = data.draw(st.lists(st.lists(NUMBERS, min_size=3, max_size=3), min_size=1, max_size=12))
    cells = st.tuples(st.integers(0, len(table) - 1), st.integers(0, 2))
    planted = data.draw(st.dictionaries(cells, st.sampled_from(sorted(FAULTS)), max_size=5))
    blank_before = data.draw(st.sets(st.integers(0, len(table))))
    for (row, column), text in planted.items():
        table[row][column] = text
    lines, line_of = [], {}
    for row, row_cells in enumerate(table):
        lines += [" " * (row % 2)] * (row in blank_before)
        line_of[row] = len(lines) + 10
        lines.append(",".join(row_cells))
    text = "\n".join(lines) + "\n"
    expected = [(row + 5, line_of[row], FEATURES[at], FAULTS[planted[row, at]]) for row, at in sorted(planted)]
    assert read(text, first_line=10, first_row=5) == expected
    assert rows_in(text.encode()) == len(table)


@settings(deadline=None)
@given(st.lists(st.lists(NUMBERS, min_size=3, max_size=3), min_size=1, max_size=12))
def test_both_ways_read_the_same_numbers_to_the_bit(table: list[list[str]]) -> None:
    data = "".join(",".join(row) + "\n" for row in table).encode()
    exact = _read_exactly(data, PLAIN, FEATURES, 1, 1)
    quick = _read_quickly(data, PLAIN, 1)
    assert len(exact.x) == len(table)
    assert quick is None or (
        quick.x.tobytes("C") == exact.x.tobytes("C") and quick.rows.tolist() == exact.rows.tolist()
    )


@settings(deadline=None)
@given(st.text(alphabet='1.,e"\n -+xn', max_size=40))
def test_the_quick_way_never_takes_what_the_exact_way_refuses(text: str) -> None:
    columns = Columns(",", 2, (0,), 1)
    quick = _read_quickly(text.encode(), columns, 1)
    exact = _read_exactly(text.encode(), columns, FEATURES, 1, 1)
    if quick is not None:
        assert not exact.bad
        assert (quick.x.tolist(), quick.ids, quick.rows.tolist()) == (exact.x.tolist(), exact.ids, exact.rows.tolist())


def test_columns_are_taken_by_their_positions_and_ids_kept() -> None:
    block = read_block(b"2;x1;3;junk;1\nq;x2;3;junk;1\n5;x3;6;;4\n", NAMED, FEATURES, 2, 1)
    assert block.x.tolist() == [[1, 2, 3], [4, 5, 6]]
    assert block.ids == ["x1", "x3"]
    assert block.rows.tolist() == [1, 3]
    assert block.bad[0].as_place() == {
        "row": 2,
        "line": 3,
        "column": "b",
        "value": "q",
        "message": "'q' is not a number",
    }


def test_an_id_is_kept_whatever_keeps_its_line_from_being_read_quickly() -> None:
    data = '"é;1";x1;3;junk;1\n"2";x2;3;"5 "" 6";1\n;"x;3";;;\n5;x4;6;a b;4\n'.encode() + b"2;n;3;;1\n" * 46
    memory = [
        np.full((50, 2), 2, np.int64) - [2, 0] for _ in range(9)
    ]  # given back: what is left in it must not matter
    memory.clear()
    block = read_block(data, NAMED, FEATURES, 2, 1)
    assert block.ids == ["x2", "x4", *["n"] * 46] and block.rows.tolist()[:2] == [2, 4]


def test_clean_rows_take_the_quick_way() -> None:
    block = _read_quickly(b"1,2,3\n\n4,5,6\n", PLAIN, 7)
    assert block is not None
    assert block.rows.tolist() == [7, 8]
    assert block.x.dtype == np.float32


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("1,2\n", "the row has 2 values; the model takes 3"),
        ("1,2,3,4\n", "the row has 4 values; the model takes 3"),
        ("1\n", "the row has 1 value; the model takes 3"),
    ],
)
def test_a_row_of_another_width_is_refused_as_a_whole(text: str, reason: str) -> None:
    assert read(text) == [(1, 1, None, reason)]


def test_faults_of_cells_and_of_rows_stand_in_the_order_of_the_file() -> None:
    assert [line for _, line, _, _ in read("1,x,3\n1,2\n4,5,y\n1\n")] == [1, 2, 3, 4]


def test_a_quoted_line_end_shifts_no_line() -> None:
    bad = read('1,2,"3\n4"\n7,8,x\n')
    assert [(row, line) for row, line, _, _ in bad] == [(1, 1), (2, 2), (3, 3)]
    assert "unclosed quote" in bad[0][3]


def test_a_quoted_line_end_in_an_ignored_column_is_seen() -> None:
    bad = read('1,"x\ny"\n2,z\n', Columns(",", 2, (0,)))
    assert [(row, line) for row, line, _, _ in bad] == [(1, 1), (2, 2)]


def test_an_unclosed_quote_in_an_ignored_column_of_the_last_line_is_seen() -> None:
    assert "unclosed quote" in read('1,"x\n\n', Columns(",", 2, (0,)))[0][3]


def test_a_decimal_comma_is_read_where_the_columns_say_so() -> None:
    columns = Columns(";", 3, (0, 1, 2), decimal=",")
    assert read_block(b"1,5;+2;-,5\n", columns, FEATURES, 1, 1).x.tolist() == [[1.5, 2, -0.5]]
    assert read("1.5;2;x\n", columns) == [(1, 1, "a", "'1.5' is not a number"), (1, 1, "c", "'x' is not a number")]


def test_large_finite_numbers_whose_sum_overflows_are_taken() -> None:
    assert read_block(b"3e38,3e38,3e38\n", PLAIN, FEATURES, 1, 1).x.shape == (1, 3)


def test_a_long_value_is_cut() -> None:
    assert len(read_block(b"1,2," + b"x" * 500 + b"\n", PLAIN, FEATURES, 1, 1).bad[0].value) == 40


@given(st.lists(st.sampled_from(["1,2,3", "", " ", "4,5,6"]), max_size=20), st.integers(1, 20))
def test_blocks_cut_at_line_ends_and_count_true(lines: list[str], size: int) -> None:
    data = "".join(line + "\n" for line in lines).encode()
    cut = list(blocks(data, size))
    assert b"".join(block for block, _, _ in cut) == data
    assert [
        (block.count(b"\n"), len([line for line in block.split(b"\n") if line.strip()])) for block, _, _ in cut
    ] == [(in_block, rows) for _, in_block, rows in cut]


def test_a_million_bad_cells_take_little_room_until_they_are_asked_for() -> None:
    data = b"x,y,z\n" * 170_000
    tracemalloc.start()
    try:
        bad = read_block(data, PLAIN, FEATURES, 1, 1).bad
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(bad) == 510_000 and held < 16_000_000
    assert bad[-1] == BadCell(170_000, 170_000, "c", "z", "'z' is not a number") == list(bad[-2:])[1]


@given(st.lists(st.text(alphabet="01.,eE+-x é", max_size=7), min_size=1), st.sampled_from(",."))
def test_numbers_are_told_from_other_texts_as_the_pattern_tells_them(texts: list[str], decimal: str) -> None:
    shapes = shapes_of(np.frombuffer(("\n".join(texts) + "\n").encode(), np.uint8), "\n", decimal)
    plain = [text.replace(".", "?").replace(decimal, ".") if decimal == "," else text for text in texts]
    assert shapes.is_number.tolist() == [re.fullmatch(PATTERN, text) is not None for text in plain]


def test_a_signal_to_end_does_not_break_off_a_read() -> None:
    """A worker that is told to end finishes what it has in hand."""
    heard, block, whole = list[int](), b"1,2,3\n" * 200_000, threading.Event()
    before = signal.signal(signal.SIGTERM, lambda number, _: heard.append(number))

    def keep_telling() -> None:
        while not whole.wait(0.001):
            os.kill(os.getpid(), signal.SIGTERM)

    teller = threading.Thread(target=keep_telling)
    teller.start()
    try:
        rows = {len(read_block(block, PLAIN, FEATURES, 1, 1).rows) for _ in range(10)}
    finally:
        whole.set()
        teller.join()
        signal.signal(signal.SIGTERM, before)
    assert rows == {200_000} and heard
