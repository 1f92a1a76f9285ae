"""What text and which Python values count as a number for a model, and the words for why one does not."""

from __future__ import annotations

import math
import re

PATTERN = r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
FLOAT32_OVERFLOWS_AT = 2.0**128 - 2.0**103
"""The smallest double that rounds to infinity in float32."""
SHOWN_CHARACTERS = 40
WHITESPACE = " \t\u00a0\u202f\ufeff"
"""What may stand around a number: also the narrow and unbreakable spaces that spreadsheets write."""

EMPTY = "empty"
NOT_FINITE = "not finite"
TOO_LARGE = "larger than a float32 can hold"

_NUMBER = re.compile(PATTERN)
_NOT_FINITE = re.compile(r"[+-]?(?:nan(?:\(.*\))?|inf(?:inity)?)", re.IGNORECASE)


def cut(text: str) -> str:
    return text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 1] + "…"


def fault_of_text(text: str, decimal: str = ".") -> str | None:
    """Why a cell is no number a model can take, or None when it is one."""
    text = text.strip(WHITESPACE)
    if not text:
        return EMPTY
    plain = text if decimal == "." else text.replace(".", "?").replace(decimal, ".")
    if _NUMBER.fullmatch(plain):
        return None if abs(float(plain)) < FLOAT32_OVERFLOWS_AT else TOO_LARGE
    return NOT_FINITE if _NOT_FINITE.fullmatch(text) else f"'{cut(text)}' is not a number"


def fault_of_value(value: object) -> str | None:
    """Why a value from JSON is no number a model can take, or None when it is one."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return f"{described(value)} is not a number"
    if value != value:  # only NaN differs from itself; math.isnan refuses large integers
        return NOT_FINITE
    if abs(value) < FLOAT32_OVERFLOWS_AT:
        return None
    return NOT_FINITE if value in (math.inf, -math.inf) else TOO_LARGE


def described(value: object) -> str:
    """A JSON value in words short enough for a sentence."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f"'{cut(value)}'"
    if isinstance(value, list):
        return "a list"
    return "an object" if isinstance(value, dict) else cut(str(value))
