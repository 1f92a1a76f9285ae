"""Which vectors a model takes, and what is said of the others."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest

from predictions.errors import InvalidInput, Unreadable
from predictions.vectors import matrix_of, parse_json, vector_of, vector_of_text


@dataclass(frozen=True)
class Model:
    ref: str = "iris@1"
    width: int = 3
    features: tuple[str, ...] = ("a", "b", "c")


MODEL = Model()


def test_numbers_become_floats() -> None:
    assert vector_of([1, 2.5, -0.0], MODEL) == [1.0, 2.5, 0.0]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (True, "true is not a number"),
        (None, "null is not a number"),
        ("1", "'1' is not a number"),
        ([1], "a list is not a number"),
        ({}, "an object is not a number"),
        (math.nan, "not finite"),
        (-math.inf, "not finite"),
        (1e39, "larger than a float32 can hold"),
        (-(10**400), "larger than a float32 can hold"),
        (3.4028235677973366e38, "larger than a float32 can hold"),
    ],
)
def test_what_is_no_finite_float32_is_named_at_its_place(value: object, message: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        vector_of([1.0, value, 2.0], MODEL)
    assert [(place["column"], place["message"]) for place in refused.value.errors] == [("b", message)]


def test_the_largest_float32_is_taken() -> None:
    assert vector_of([3.4028234663852886e38, 0, 0], MODEL)[0] == 3.4028234663852886e38


def test_a_wrong_width_is_said_in_a_sentence() -> None:
    with pytest.raises(InvalidInput, match=r"^The vector has 5 values; iris@1 takes 3\.$"):
        vector_of([1, 2, 3, 4, 5], MODEL)


@pytest.mark.parametrize("value", [None, "1,2,3", {"input": [1, 2, 3]}, 1, True])
def test_what_is_no_list_is_refused(value: object) -> None:
    with pytest.raises(InvalidInput, match="must be a list of 3 numbers"):
        vector_of(value, MODEL)


def test_a_ragged_row_is_named_by_its_number() -> None:
    with pytest.raises(InvalidInput, match=r"^Row 2 has 1 value; the model takes 3\.$") as refused:
        matrix_of([[1, 2, 3], [1]], MODEL)
    assert refused.value.errors == [{"row": 2, "message": "Row 2 has 1 value; the model takes 3."}]


def test_all_bad_cells_are_counted_and_the_first_hundred_named() -> None:
    with pytest.raises(InvalidInput) as refused:
        matrix_of([[None] * 3] * 50, MODEL)
    assert (refused.value.error_count, len(refused.value.errors)) == (150, 100)


@pytest.mark.parametrize("value", [[], None, {}, "x"])
def test_a_matrix_needs_rows(value: object) -> None:
    with pytest.raises(InvalidInput, match="inputs"):
        matrix_of(value, MODEL)


@pytest.mark.parametrize(
    "body", [b"", b" ", b"[1,", b"NaN", b"[Infinity]", b"[1e400]", b"[1]x", b'["\xff"]', b"[" * 100_000]
)
def test_json_that_is_not_strict_is_unreadable(body: bytes) -> None:
    with pytest.raises(Unreadable):
        parse_json(body)


def test_the_position_of_a_json_fault_is_said() -> None:
    with pytest.raises(Unreadable, match="line 2 column 1"):
        parse_json(b"[1,\n,2]")


def test_a_deeply_nested_value_is_refused_without_recursion() -> None:
    with pytest.raises(InvalidInput):
        vector_of(parse_json(b"[" * 1000 + b"]" * 1000), MODEL)


@pytest.mark.parametrize("text", ["1,2,3", "1 2 3", "1\t2\n3\n", "1; 2 ;3;", "[1, 2, 3]", " 1 , 2 , 3 "])
def test_pasted_numbers_are_split_at_any_separator(text: str) -> None:
    assert vector_of_text(text, MODEL) == [1.0, 2.0, 3.0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1,x,3", "value 2: 'x' is not a number"),
        ("1,,3", "value 2: empty"),
        ("1,1e39,3", "value 2: larger than a float32 can hold"),
    ],
)
def test_a_bad_token_is_named_by_its_position(text: str, message: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        vector_of_text(text, MODEL)
    assert [place["message"] for place in refused.value.errors] == [message]


@pytest.mark.parametrize("text", ["", " \n", "1,2", "1_0 2 ١ 4"])
def test_a_pasted_vector_of_another_width_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="takes 3"):
        vector_of_text(text, MODEL)
