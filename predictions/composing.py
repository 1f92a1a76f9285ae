"""What the Submit page offers: the models, the chosen one and its readiness, what is filled in, how long a job would wait."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.conf import settings
from django.http import QueryDict

from predictions import fairness, model_cards, uploading, waiting
from predictions.draft_page import draft_words
from predictions.errors import Refused, UnknownModel
from predictions.forms import URGENCIES, card_of
from predictions.matching_form import MatchingForm
from predictions.model_cards import ModelCard
from predictions.models import Job, Upload
from predictions.queues import BATCH, REALTIME
from predictions.readiness import readiness
from predictions.submit_page import line_words

TABS = ("vector", "csv", "json")


@dataclass
class Filled:
    """What stands in the forms: what the visitor had typed, or what a link asked for."""

    tab: str = "vector"
    vector: list[float] | None = None
    texts: dict[str, str] = field(default_factory=dict)
    problem: Refused | None = None
    form: MatchingForm | None = None


def compose_context(card: ModelCard | None, viewer: Any, filled: Filled, draft: Upload | None = None) -> dict[str, Any]:
    """For `_compose.html`. card None: no model is registered yet."""
    if card is None:
        return {"card": None, "faults": model_cards.faults()}
    return {
        "card": card,
        "cards": model_cards.cards(),
        "tab": filled.tab,
        "vector": filled.vector or [],
        "texts": {"vector": vector_text(filled.vector, card), **filled.texts},
        "problem": filled.problem,
        "most_bytes": settings.MAX_UPLOAD_BYTES,
        **standing_context(card, viewer),
        **(draft_context(draft, filled.form) if draft else {}),
    }


def standing_context(card: ModelCard, viewer: Any) -> dict[str, Any]:
    """For `_standing.html`: the model's chip, and what each urgency would mean to the viewer now."""
    lane = fairness.lane_of([viewer.pk])[viewer.pk]
    return {
        "card": card,
        "readiness": readiness(card),
        "realtime": _urgencies(REALTIME, lane),
        "batch": _urgencies(BATCH),
    }


def draft_context(draft: Upload, form: MatchingForm | None = None) -> dict[str, Any]:
    """For `_draft.html`: what was read of a file, its first rows and its bad cells, or its columns to choose."""
    return {**draft_words(draft, form), "batch": _urgencies(BATCH)}


def filled_from(query: QueryDict, viewer: Any) -> tuple[ModelCard | None, Filled, Upload | None]:
    """What a link to the page asks for: ?model, ?example, ?job (its input again), ?draft, ?tab."""
    draft = uploading.draft_of(viewer, uuid_or_none(query.get("draft")))
    job = _own_input(viewer, query.get("job"))
    tab = "csv" if draft else query.get("tab", "vector")
    card = _card_or_default(query, job)
    vector = job.vector if job else _example(card, query.get("example", ""))
    return card, Filled(tab if tab in TABS else "vector", vector), draft


def default_or_first() -> ModelCard | None:
    """The default model, or where it is not registered another one. None: there is none."""
    try:
        return model_cards.default_card()
    except UnknownModel:
        return next(iter(model_cards.cards()), None)


def vector_text(vector: list[float] | None, card: ModelCard) -> str:
    """Numbers as people read them; an image's rows stand on lines of their own."""
    if not vector:
        return ""
    columns = int(card.picture["columns"]) if card.picture else len(vector)
    numbers = [f"{value:.15g}" for value in vector]
    return ",\n".join(",".join(numbers[start : start + columns]) for start in range(0, len(numbers), columns))


def uuid_or_none(text: str | None) -> UUID | None:
    try:
        return UUID(text or "")
    except ValueError:
        return None


def _own_input(viewer: Any, job_id: str | None) -> Job | None:
    """A job that `viewer` may see and whose vector is kept."""
    wanted = uuid_or_none(job_id)
    return Job.objects.of(viewer).filter(pk=wanted, vector__isnull=False).first() if wanted else None


def _card_or_default(query: QueryDict, job: Job | None) -> ModelCard | None:
    """A link to a model that is gone shows the default one."""
    try:
        return model_cards.card(job.model) if job else card_of(query)
    except UnknownModel:
        return default_or_first()


def _example(card: ModelCard | None, number: str) -> list[float] | None:
    if card is None or not number.isdecimal() or int(number) >= len(card.examples):
        return None
    return list(card.examples[int(number)]["vector"])


def _urgencies(queue: str, lane: int = fairness.FRONT) -> list[dict[str, Any]]:
    outlook = waiting.outlook(queue, [urgency.priority for urgency in URGENCIES], lane)
    return [
        {"priority": each.priority, "word": each.word, "line": line_words(outlook[each.priority])} for each in URGENCIES
    ]
