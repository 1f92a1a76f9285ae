"""Vectors from JSON and from pasted text: which are valid for a model, and every place where one is not."""

from __future__ import annotations

import math
import re
from typing import cast

import orjson

from predictions.columns import TakesColumns
from predictions.errors import InvalidInput, Place, Unreadable
from predictions.numbers_in_text import FLOAT32_OVERFLOWS_AT, cut, described, fault_of_text, fault_of_value

_NUMBER_TYPES = {int, float}
_SEPARATORS = re.compile(r"\s*[,;]\s*|\s+")
_LONGEST_TEXT = 1 << 20


def parse_json(body: bytes) -> object:
    """Strict JSON: UTF-8, no NaN, no Infinity, nested at most 1,024 deep. Raises Unreadable."""
    if not body.strip():
        raise Unreadable("The body is empty; JSON is expected.")
    try:
        return cast(object, orjson.loads(body))
    except orjson.JSONDecodeError as error:
        raise Unreadable(f"The body is not valid JSON: {_first_lower(str(error))}.") from None


def vector_of(value: object, card: TakesColumns) -> list[float]:
    """A JSON list of exactly the model's width of finite numbers. Raises InvalidInput with every place."""
    if not isinstance(value, list):
        raise InvalidInput(f"The input must be a list of {card.width} numbers, not {described(value)}.")
    if _is_valid(value, card.width):
        return list(map(float, value))
    if len(value) != card.width:
        raise InvalidInput(f"The vector has {_values(len(value))}; {card.ref} takes {card.width}.")
    raise _refusal(_places_in(value, card), "vector")


def matrix_of(value: object, card: TakesColumns) -> list[list[float]]:
    """A JSON list of such vectors; a place carries its row, from 1. Raises InvalidInput with every place."""
    if not isinstance(value, list):
        raise InvalidInput(f"inputs must be a list of rows of {card.width} numbers, not {described(value)}.")
    if not value:
        raise InvalidInput(f"inputs has no rows; at least one row of {card.width} numbers is needed.")
    places: list[Place] = []
    for number, row in enumerate(value, start=1):
        if not _is_valid(row, card.width):
            places.extend({"row": number} | place for place in _row_places(row, number, card))
    if places:
        raise _refusal(places, "rows")
    return [list(map(float, row)) for row in value]


def vector_of_text(text: str, card: TakesColumns) -> list[float]:
    """Pasted numbers between commas, semicolons, spaces, tabs or line ends, or a JSON list. Raises Refused."""
    if len(text) > _LONGEST_TEXT:
        raise InvalidInput(f"The text has {len(text):,} characters; at most {_LONGEST_TEXT:,} are read.")
    text = text.strip()
    if not text:
        raise InvalidInput(f"The vector is empty; {card.ref} takes {card.width} values.")
    if text.startswith("["):
        return vector_of(parse_json(text.encode(errors="replace")), card)
    tokens = _SEPARATORS.split(text.rstrip(",; \t\r\n"))
    if len(tokens) != card.width:
        raise InvalidInput(f"The vector has {_values(len(tokens))}; {card.ref} takes {card.width}.")
    if places := _places_in_text(tokens, card):
        raise _refusal(places, "vector")
    return [float(token) for token in tokens]


def _is_valid(row: object, width: int) -> bool:
    """The quick answer for the usual case; NaN slips through the comparison and is caught by isfinite."""
    return (
        isinstance(row, list)
        and len(row) == width
        and set(map(type, row)) <= _NUMBER_TYPES
        and min(row) > -FLOAT32_OVERFLOWS_AT
        and max(row) < FLOAT32_OVERFLOWS_AT
        and all(map(math.isfinite, row))
    )


def _row_places(row: object, number: int, card: TakesColumns) -> list[Place]:
    if not isinstance(row, list):
        return [
            {
                "value": described(row),
                "message": f"Row {number} is {described(row)}, not a list of {card.width} numbers.",
            }
        ]
    if len(row) != card.width:
        return [{"message": f"Row {number} has {_values(len(row))}; the model takes {card.width}."}]
    return _places_in(row, card)


def _places_in(row: list[object], card: TakesColumns) -> list[Place]:
    faults = ((at, value, fault_of_value(value)) for at, value in enumerate(row))
    return [
        {"column": card.features[at], "value": described(value), "message": fault}
        for at, value, fault in faults
        if fault
    ]


def _places_in_text(tokens: list[str], card: TakesColumns) -> list[Place]:
    faults = ((at, token, fault_of_text(token)) for at, token in enumerate(tokens))
    return [
        {"column": card.features[at], "value": cut(token), "message": f"value {at + 1}: {fault}"}
        for at, token, fault in faults
        if fault
    ]


def _refusal(places: list[Place], what: str) -> InvalidInput:
    first = places[0]
    if "column" not in first:
        return InvalidInput(_counted(first["message"], len(places)), places)
    row = f"row {first['row']}, " if "row" in first else ""
    return InvalidInput(
        _counted(f"The {what} cannot be taken: {row}{first['column']}: {first['message']}.", len(places)), places
    )


def _counted(sentence: str, count: int) -> str:
    return (
        sentence if count == 1 else f"{sentence} {count - 1:,} more {'place is' if count == 2 else 'places are'} wrong."
    )


def _values(count: int) -> str:
    return "1 value" if count == 1 else f"{count:,} values"


def _first_lower(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]
