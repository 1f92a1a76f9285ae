"""The compiled reader of plain numbers, held against the exact one: wherever it answers, to the bit."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest

from predictions import quick_rows
from predictions.columns import Columns
from predictions.csv_reading import Block, read_block

THREE = Columns(",", 3, (0, 1, 2))
NAMES = ("a", "b", "c")
PLAIN = ["0", "-0", "7", "-7", "+7", "12.5", ".5", "5.", "-.25", "0.1", "1e3", "1E-3", "1.5e+2", "9999999", "16777217"]
LONG = [
    "0.1234567890123456",
    "3.141592653589793",
    "123456789.123456789",
    "1e-40",
    "3.4028233e38",
    "9007199791611905",
    "1" * 19,
    "0" * 19,
]
FOR_THE_EXACT_READER = [
    "1" * 20,
    "1e-320",
    "7.038531e-26",
    "3.4028236e38",
    "1e99",
    "1e999",
    "0x1",
    "1_0",
    "１",
    "",
    "-",
    ".",
]


@pytest.fixture
def without_it(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    return lambda: monkeypatch.setattr(quick_rows, "read_rows", lambda *_: None)


def bits(block: Block) -> list[list[int]]:
    return block.x.view(np.uint32).tolist()


def told(data: bytes, columns: Columns = THREE) -> tuple[object, ...]:
    block = read_block(data, columns, NAMES, 10, 100)
    return bits(block), block.rows.tolist(), block.ids, list(block.bad)


def test_it_is_there_where_the_tests_run() -> None:
    assert quick_rows.is_there()


@pytest.mark.parametrize("text", PLAIN + LONG)
def test_a_number_it_is_sure_of_is_the_nearest_float32(text: str) -> None:
    found = quick_rows.read_rows(f"{text},1,2\n".encode(), THREE)
    assert found is not None
    assert not len(found.doubts)
    value = found.x[0, 0]
    around = [np.nextafter(value, np.float32(side * np.inf), dtype=np.float32) for side in (-1, 1)]
    off = [abs(Fraction(float(each)) - Fraction(text)) for each in (value, *around)]
    assert off[0] == min(off)


@pytest.mark.parametrize("text", FOR_THE_EXACT_READER)
def test_what_it_is_not_sure_of_it_leaves_to_the_exact_reader(text: str) -> None:
    found = quick_rows.read_rows(f"1,{text},2\n".encode(), THREE)
    assert found is not None
    assert [(row, feature) for row, feature, *_ in found.doubts.tolist()] == [(0, 1)]


@pytest.mark.parametrize(
    "data",
    [
        b"1,2,3\n4,5,6\n",
        b"1,2,3\n\n   \n4,5,6\n\n",
        b"1,2,3\n4,x,6\n7,8,9\n",
        b"1,2\n4,5,6,7\n7,8,9\n,,\n",
        b'"1","2.5"," 3 "\n"4,5",6,7\n"8""",9,10\n"11,12,13\n',
        b" 1 , 2 ,3 \n\xc2\xa04,5,6\n",
        b"1,2,3\n4,nan,1e39\n5,inf,6",
        b"16777217,2,3\n7.038531e-26,5,6\n",
        "1,2,3\nü,5,6\n".encode(),
    ],
)
def test_with_it_and_without_the_same_is_told(data: bytes, without_it: Callable[[], None]) -> None:
    by_it = told(data)
    without_it()
    assert by_it == told(data)


@pytest.mark.parametrize(
    ("data", "columns"),
    [
        (b"3;1,5;x;2\n6;4,25;;5\n", Columns(";", 4, (1, 3, 0), None, (), ",")),
        (b"a,1,2,3\n\xc3\xa9 b,4,5,6\n,7,8,9\n", Columns(",", 4, (1, 2, 3), 0)),
        (b'1,2,"x, y",3\n4,5,z,6\n7,bad,z,8\n', Columns(",", 4, (0, 1, 3), 2)),
        (b"1\t2\t3\n\t5\t6\n", Columns("\t", 3, (2, 1, 0))),
    ],
)
def test_any_order_of_columns_and_ids_and_delimiters_too(
    data: bytes, columns: Columns, without_it: Callable[[], None]
) -> None:
    by_it = told(data, columns)
    without_it()
    assert by_it == told(data, columns)


def test_a_block_with_too_many_doubts_is_given_up() -> None:
    assert quick_rows.read_rows(b"x,y,z\n" * 10, THREE) is None


def test_a_short_cell_at_the_very_end_is_read() -> None:
    found = quick_rows.read_rows(b"1,2,3", THREE)
    assert found is not None
    assert found.x.tolist() == [[1.0, 2.0, 3.0]]
