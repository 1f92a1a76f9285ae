"""What the page shows of a draft: its figures, its first rows under the features they are read for, its columns to choose."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from predictions import matching, model_cards
from predictions.columns import note_of_before
from predictions.matching_form import Choice, MatchingForm, matching_form
from predictions.model_cards import ModelCard
from predictions.models import Upload
from predictions.parts import Plan

PREVIEWED_COLUMNS = 12
_PREVIEWED_UNUSED = 4


class Shown(NamedTuple):
    """A column of the preview. feature: "" where the model does not read it; column: its own name where that is another."""

    position: int
    feature: str
    column: str


def draft_words(draft: Upload, form: MatchingForm | None = None) -> dict[str, Any]:
    """form: the choice of columns as it stands; it is offered by itself where nothing was chosen yet."""
    plan = Plan.from_json(draft.plan)
    card = model_cards.card(draft.model)
    if form is None and not plan.columns.are_matched:
        form = matching_form(plan, card)
    choice = form.choice if form else plan.columns.positions
    shown = _shown(plan, card, choice, form)
    return {
        "draft": draft,
        "plan": plan,
        "form": form,
        "width": card.width,
        "matched": card.width - choice.count(None),
        "shown": shown,
        "hidden_columns": plan.columns.width_in_file - len(shown),
        "rows": [[row[each.position] for each in shown if each.position < len(row)] for row in plan.preview],
        "may_hold_bad_rows": plan.bad_rows or plan.truncated_judgement,
        "can_match": matching.can_match(plan) and not _is_named_throughout(plan, card),
        "is_remembered": _may_forget(plan, card) and matching.remembered(draft.owner, card.name) is not None,
    }


def _may_forget(plan: Plan, card: ModelCard) -> bool:
    return matching.can_match(plan) or note_of_before(card) in plan.notes


def _is_named_throughout(plan: Plan, card: ModelCard) -> bool:
    names = plan.columns.names
    return [names[at] for at in plan.columns.positions] == list(card.features)


def _shown(plan: Plan, card: ModelCard, choice: Choice, form: MatchingForm | None) -> list[Shown]:
    """The id, then the features; while columns are chosen, those asked for and those that are free come first."""
    columns = plan.columns
    ids = [] if columns.id_position is None else [Shown(columns.id_position, columns.names[columns.id_position], "")]
    features = {
        number: Shown(at, feature, _name(columns.names, at))
        for number, (feature, at) in enumerate(zip(card.features, choice, strict=True))
        if at is not None
    }
    asked = [features.pop(number) for number in form.shown if number in features] if form else []
    free = _free(plan, choice)[:_PREVIEWED_UNUSED] if form else []
    room = PREVIEWED_COLUMNS - len(ids) - len(free)
    return [*ids, *asked[:room], *free, *features.values()][:PREVIEWED_COLUMNS]


def _free(plan: Plan, choice: Choice) -> list[Shown]:
    used = {*choice, plan.columns.id_position}
    places = (at for at in range(plan.columns.width_in_file) if at not in used)
    return [Shown(at, "", _name(plan.columns.names, at)) for at in places]


def _name(names: Sequence[str], position: int) -> str:
    return (names[position] or f"column {position + 1:,}") if names else ""
