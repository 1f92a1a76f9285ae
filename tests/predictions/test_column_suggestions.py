"""Which column is suggested for which feature."""

from __future__ import annotations

import pytest

from predictions.column_suggestions import found_by_name, names_speak_against_position, suggested

PIXELS = [f"pixel_{row}_{column}" for row in range(2) for column in range(2)]


def suggestion(names: list[str], features: list[str]) -> list[str | None]:
    """The name of the column for each feature."""
    found = found_by_name(names, features)
    every = suggested(names, features, found) | found
    return [names[every[number]] if number in every else None for number in range(len(features))]


@pytest.mark.parametrize(
    ("names", "features", "found"),
    [
        (["b", "x", "a"], ["a", "b"], {0: 2, 1: 0}),
        (["Sepal Length", "SEPAL-WIDTH"], ["sepal_length", "sepal.width"], {0: 0, 1: 1}),
        (["sepallength"], ["Sepal Length"], {0: 0}),
        (["a", "A"], ["a"], {0: 0}),
        (["A ", "A_"], ["a"], {}),
        (["p 1 11", "p 11 1"], ["p_1_11", "p_11_1"], {0: 0, 1: 1}),
        (["p111"], ["p_1_11", "p_11_1"], {}),
        (["--"], ["-"], {}),
    ],
)
def test_a_name_is_found_where_it_can_mean_one_column_only(
    names: list[str], features: list[str], found: dict[int, int]
) -> None:
    assert found_by_name(names, features) == found


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["label", "px1", "px2", "px3", "px4"], ["px1", "px2", "px3", "px4"]),
        (["q[1][1]", "q[0][0]", "q[1][0]", "q[0][1]"], ["q[0][0]", "q[0][1]", "q[1][0]", "q[1][1]"]),
        (["x01_01", "x01_00", "x00_01", "x00_00", "who"], ["x00_00", "x00_01", "x01_00", "x01_01"]),
        (["id", "w", "x", "y", "z"], ["w", "x", "y", "z"]),
        (["pixel_0_0", "pixel_0_1", "pixel_1_0", "last"], ["pixel_0_0", "pixel_0_1", "pixel_1_0", "last"]),
        (["pixel_0_0", "w", "x", "y", "z"], ["pixel_0_0", None, None, None]),
    ],
)
def test_the_rest_is_suggested_by_numbers_or_by_the_order_of_the_file(
    names: list[str], expected: list[str | None]
) -> None:
    assert suggestion(names, PIXELS) == expected


def test_a_number_of_any_length_may_stand_in_a_name() -> None:
    assert suggestion(["a" + "9" * 5_000], ["b1"]) == ["a" + "9" * 5_000]


@pytest.mark.parametrize(("names", "speak"), [(["A", "B"], False), (["B", "A"], True), (["x", "y"], False)])
def test_names_speak_against_the_position_where_one_stands_elsewhere(names: list[str], speak: bool) -> None:
    assert names_speak_against_position(names, ["a", "b"]) == speak
