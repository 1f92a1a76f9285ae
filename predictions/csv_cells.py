"""Cells of the CSV files we write that no spreadsheet takes for a formula. Source: OWASP, CSV injection."""

from __future__ import annotations

import re

# Patterns of Python's re and of Arrow's RE2 alike.
NUMBER = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
FORMULA = r"^[=+\-@\t\r\n＝＋－＠]"
INNER_FORMULA = r"([;\t][ \t]*)([=+\-@])"
"""A spreadsheet of another country cuts a cell at its semicolon."""
_number, _formula, _inner_formula = re.compile(NUMBER), re.compile(FORMULA), re.compile(INNER_FORMULA)
_suspicious = re.compile(rf"{FORMULA}|{INNER_FORMULA}")


def harmless(text: str) -> str:
    """With an apostrophe before what would be run; a number stays as it is."""
    if not _suspicious.search(text) or _number.fullmatch(text):
        return text
    text = _inner_formula.sub(r"\1'\2", text)
    return f"'{text}" if _formula.match(text) else text
