"""A JSON body that asks for predictions: a bare vector, {"input": …} or {"inputs": …}, with the wishes beside it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from predictions import model_cards
from predictions.errors import InvalidInput
from predictions.model_cards import ModelCard
from predictions.numbers_in_text import described
from predictions.queues import PRIORITIES
from predictions.submission import Wishes
from predictions.vectors import matrix_of, vector_of


@dataclass(frozen=True)
class Request:
    """What was asked: one vector (width,), or rows of them."""

    card: ModelCard
    wishes: Wishes
    vector: list[float] | None = None
    rows: list[list[float]] = field(default_factory=list)


def request_of(body: object, source: str, model: str | None = None) -> Request:
    """body: decoded JSON; model: for a body that names none. Raises Refused."""
    fields: dict[str, Any] = body if isinstance(body, dict) else {"input": body}
    if ("input" in fields) == ("inputs" in fields):
        raise InvalidInput('The body must be a list of numbers, or an object with either "input" or "inputs".')
    card, wishes = choices_of(fields, source, model)
    if "input" in fields:
        return Request(card, wishes, vector=vector_of(fields["input"], card))
    return Request(card, wishes, rows=matrix_of(fields["inputs"], card))


def choices_of(fields: dict[str, Any], source: str, model: str | None = None) -> tuple[ModelCard, Wishes]:
    """What stands beside the input."""
    return model_cards.card(_model(fields, model)), Wishes(
        _priority(fields), _store(fields), _on_bad_row(fields), source
    )


def _model(fields: dict[str, Any], otherwise: str | None) -> str | None:
    given = fields.get("model")
    if given is None:
        return otherwise
    if not isinstance(given, str):
        raise InvalidInput(f"model is {described(given)}; a model's name, or name@version, is allowed.")
    return given


def _priority(fields: dict[str, Any]) -> int | None:
    given = fields.get("priority")
    if given is None or (type(given) is int and given in PRIORITIES):
        return given
    raise InvalidInput(f"priority is {described(given)}; a whole number from 0 to 9 is allowed.")


def _store(fields: dict[str, Any]) -> bool:
    given = fields.get("store", True)
    if not isinstance(given, bool):
        raise InvalidInput(f"store is {described(given)}; true or false is allowed.")
    return given


def _on_bad_row(fields: dict[str, Any]) -> str:
    given = fields.get("on_bad_row", "reject")
    if given not in ("reject", "skip"):
        raise InvalidInput(f"on_bad_row is {described(given)}; 'reject' or 'skip' is allowed.")
    return str(given)
