"""Matches a draft's columns by hand: which column each feature is read from, judged anew and remembered for the next file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from django.db import transaction

from predictions import files
from predictions.columns import Columns, TakesColumns, matched, note_of_before, note_of_position, notes_about, some
from predictions.errors import InvalidInput, NotFound
from predictions.model_cards import ModelCard
from predictions.models import ColumnMapping, Job, Upload
from predictions.numbers_in_text import cut
from predictions.parts import Plan
from predictions.rejudging import judge_anew

BY_HAND = "Columns were matched by hand."
UNMATCHED = "The file's columns are not matched to the features of {model} yet. Choose them first."
UNNAMED = "Only the columns under a CSV file's header can be chosen. Give the file a header and send it again."
NOT_A_DRAFT = "The upload is no longer a draft: it was submitted or removed. Send the file again."
Choice = Sequence[int | None]


def remembered(owner: Any, model_name: str) -> dict[str, str] | None:
    """{feature: column}, as the owner last matched a file for the model."""
    return ColumnMapping.objects.filter(owner=owner, model=model_name).values_list("columns", flat=True).first()


def forget(owner: Any, model_name: str) -> None:
    ColumnMapping.objects.filter(owner=owner, model=model_name).delete()


def refuse_unmatched(draft: Upload) -> None:
    if not Plan.from_json(draft.plan).columns.are_matched:
        raise InvalidInput(UNMATCHED.format(model=draft.model))


def refuse_unnamed(plan: Plan) -> None:
    if not can_match(plan):
        raise InvalidInput(UNNAMED)


def match(draft: Upload, card: ModelCard, choice: Choice) -> None:
    """The draft reads its features from the chosen columns from now on. Raises Refused; then it stays as it was."""
    plan = Plan.from_json(draft.plan)
    positions = _positions(choice, plan.columns, card)
    fresh = _replanned(draft, plan, matched(plan.columns, positions), card)
    with transaction.atomic():
        held = Upload.objects.select_for_update().filter(pk=draft.pk, state=Upload.State.DONE)
        if held.first() is None or Job.objects.filter(upload=draft).exists():
            raise NotFound(NOT_A_DRAFT)
        held.update(plan=fresh.as_json())
        _remember(draft.owner_id, card, fresh.columns)
    draft.plan = fresh.as_json()


def can_match(plan: Plan) -> bool:
    """Only a header's names tell the columns of a CSV file apart; a table's are read by its own types."""
    return bool(plan.columns.names) and plan.format == "csv"


def _replanned(draft: Upload, plan: Plan, columns: Columns, card: TakesColumns) -> Plan:
    about_columns = {BY_HAND, note_of_before(card), note_of_position(card), *notes_about(plan.columns)}
    others = [note for note in plan.notes if note not in about_columns]
    asked = replace(plan, columns=columns, notes=[*others, BY_HAND, *notes_about(columns)])
    return judge_anew(asked, card, (files.read(files.input_key(draft.pk, part.number)) for part in plan.parts))


def _positions(choice: Choice, columns: Columns, card: TakesColumns) -> list[int]:
    """The choice where it is whole and names each column once. Raises InvalidInput."""
    missing = [feature for feature, at in zip(card.features, choice, strict=True) if at is None]
    if missing:
        lack = "1 feature has" if len(missing) == 1 else f"{len(missing):,} features have"
        raise InvalidInput(f"{lack} no column yet: {some(missing)}.")
    positions = [at for at in choice if at is not None]
    _refuse_shared(positions, columns, card)
    return positions


def _refuse_shared(positions: list[int], columns: Columns, card: TakesColumns) -> None:
    """A column that is read twice is a slip of the hand."""
    counts = Counter(positions)
    shared = [at for at in positions if counts[at] > 1]
    if shared:
        both = [name for name, at in zip(card.features, positions, strict=True) if at == shared[0]]
        column = cut(columns.names[shared[0]]) or f"number {shared[0] + 1:,}"
        raise InvalidInput(f"The column {column} is chosen for {some(both)}; a column can stand for one feature only.")


def _remember(owner_id: int, card: ModelCard, columns: Columns) -> None:
    """Only what a later header can be found by: names that stand in it once."""
    names = [columns.names[at] for at in columns.positions]
    counts = Counter(columns.names)
    if all(name and counts[name] == 1 for name in names):
        saved = {"columns": dict(zip(card.features, names, strict=True))}
        ColumnMapping.objects.update_or_create(owner_id=owner_id, model=card.name, defaults=saved)
