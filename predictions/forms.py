"""What people fill in on the pages, read from a POST. Raises Refused with the sentence the page shows."""

from __future__ import annotations

from dataclasses import dataclass

from django.http import QueryDict

from predictions import model_cards
from predictions.errors import InvalidInput
from predictions.json_bodies import Request, request_of
from predictions.model_cards import ModelCard
from predictions.numbers_in_text import cut
from predictions.queues import PRIORITIES
from predictions.submission import Wishes
from predictions.vectors import parse_json, vector_of_text

LONGEST_KEY_NAME = 80


@dataclass(frozen=True)
class Urgency:
    """A priority in a word."""

    priority: int
    word: str


URGENCIES = (Urgency(9, "Urgent"), Urgency(5, "Normal"), Urgency(1, "Low"))


def vector_request(post: QueryDict) -> Request:
    card = card_of(post)
    vector = vector_of_text(post.get("vector", ""), card)
    return Request(card, Wishes(priority=priority_of(post), source="web"), vector=vector)


def json_request(post: QueryDict) -> Request:
    """A body as the API takes it; the model chosen on the page is for a body that names none."""
    body = parse_json(post.get("json", "").encode(errors="replace"))
    return request_of(body, "web", post.get("model") or None)


def draft_wishes(post: QueryDict) -> Wishes:
    return Wishes(priority=priority_of(post), on_bad_row=_on_bad_row(post), source="web")


def card_of(query: QueryDict) -> ModelCard:
    """The model that was chosen, or the default one."""
    return model_cards.card(query.get("model") or None)


def priority_of(post: QueryDict) -> int:
    given = post.get("priority", "")
    if given not in {str(priority) for priority in PRIORITIES}:
        raise InvalidInput(f"The urgency is '{cut(given)}'; a whole number from 0 to 9 is allowed.")
    return int(given)


def key_name(post: QueryDict) -> str:
    name = post.get("name", "").strip()
    if not 0 < len(name) <= LONGEST_KEY_NAME:
        raise InvalidInput(f"The name has {len(name)} characters; 1 to {LONGEST_KEY_NAME} are allowed.")
    return name


def _on_bad_row(post: QueryDict) -> str:
    given = post.get("on_bad_row", "")
    if given not in {"reject", "skip"}:
        raise InvalidInput("Choose what becomes of bad rows: reject the file, or skip them.")
    return given
