"""What each field of a model's card may hold, and the sentence that says so."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
VERSION = re.compile(r"[1-9][0-9]{0,8}")
SHA256 = re.compile(r"[0-9a-f]{64}")
FILE = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*\.(pt2|pt)")


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and value != ""


def _is_count(value: Any) -> bool:
    return type(value) is int and value > 0


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) <= 3.4e38


def _are_names(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(map(_is_text, value)) and len(set(value)) == len(value)


def _is_picture(value: Any, width: int) -> bool:
    """None, or an image of as many pixels as the width, whose values run from low to high."""
    if not isinstance(value, dict):
        return value is None
    numbers: list[Any] = [value.get(key) for key in ("rows", "columns", "low", "high")]
    rows, columns, low, high = numbers
    sized = _is_count(rows) and _is_count(columns) and rows * columns == width
    return value.get("kind") == "image" and sized and _is_number(low) and _is_number(high) and low < high


def _is_example(value: Any, card: Mapping[str, Any]) -> bool:
    vector = value.get("vector") if isinstance(value, dict) else None
    return (
        isinstance(vector, list)
        and len(vector) == card["width"]
        and all(map(_is_number, vector))
        and value.get("label") in card["labels"]
    )


# A field's check is given the field and the whole card, of which the fields above it are already known to be right.
FIELDS: dict[str, tuple[Callable[[Any, Mapping[str, Any]], bool], str]] = {
    "name": (
        lambda name, card: isinstance(name, str) and bool(NAME.fullmatch(name)),
        "up to 64 of a-z 0-9 _ . - are allowed, the first a letter or digit",
    ),
    "version": (lambda version, card: _is_count(version) and version < 10**9, "a whole number from 1 is allowed"),
    "width": (lambda width, card: _is_count(width), "a whole number from 1 is allowed"),
    "labels": (
        lambda labels, card: _are_names(labels),
        "a list of different, non-empty names is allowed, one for each class",
    ),
    "features": (
        lambda features, card: _are_names(features) and len(features) == card["width"],
        "a list of different, non-empty names is allowed, as many as the width",
    ),
    "picture": (
        lambda picture, card: _is_picture(picture, card["width"]),
        'null or {"kind": "image", "rows", "columns", "low", "high"} is allowed, '
        "with rows times columns the width and low below high",
    ),
    "examples": (
        lambda examples, card: isinstance(examples, list) and all(_is_example(each, card) for each in examples),
        'a list of {"label", "vector"} is allowed, each vector as long as the width',
    ),
    "sha256": (
        lambda sha256, card: isinstance(sha256, str) and bool(SHA256.fullmatch(sha256)),
        "64 hexadecimal digits are allowed",
    ),
    "file": (
        lambda file, card: isinstance(file, str) and bool(FILE.fullmatch(file)),
        "a file's name that ends in .pt2 or .pt is allowed, without a folder",
    ),
    "size_bytes": (lambda size, card: _is_count(size), "a whole number from 1 is allowed"),
    "metrics": (lambda metrics, card: isinstance(metrics, dict), "an object is allowed"),
    "created": (lambda created, card: _is_text(created), "a time is allowed, as in 2026-01-31T12:00:00Z"),
}
