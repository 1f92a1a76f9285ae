"""The form in which columns are chosen for a model's features: what is suggested, what was chosen, which part is shown."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

from django.http import QueryDict

from predictions.column_suggestions import found_by_name, suggested
from predictions.columns import id_positions
from predictions.errors import InvalidInput
from predictions.model_cards import ModelCard
from predictions.numbers_in_text import cut
from predictions.parts import Plan

PAGE = 50
MOST_CHECKED = 12
"""So many suggestions are shown one by one; more are told in a sentence, and open on request."""
MOST_OPTIONS = 100
"""Of a list to choose from; a file of more columns gets fields to type a name into."""
MOST_TOLD = 3
OPEN = "open"
_ALL = "all-"
_FIELD = "feature-"
_SAMPLES = 2
_SAMPLE_CHARACTERS = 12
Choice = tuple[int | None, ...]


class Column(NamedTuple):
    label: str
    words: str


class Field(NamedTuple):
    """One feature and the label of the column chosen for it, "" for none."""

    name: str
    feature: str
    label: str


class Page(NamedTuple):
    view: str
    words: str


@dataclass(frozen=True)
class MatchingForm:
    """choice: a position in the file for each feature. view: "open", what names leave open; "all-50", all from the 51st on."""

    plan: Plan
    card: ModelCard
    choice: Choice
    view: str = OPEN
    unknown: tuple[str, ...] = ()

    @cached_property
    def labels(self) -> list[str]:
        """A name for each column that no other has."""
        names = self.plan.columns.names
        counts = Counter(names)
        return [
            name if name and counts[name] == 1 else f"{name} (column {at:,})".strip()
            for at, name in enumerate(names, start=1)
        ]

    @cached_property
    def found(self) -> dict[int, int]:
        return found_by_name(self.plan.columns.names, self.card.features)

    @cached_property
    def columns(self) -> list[Column]:
        return [Column(label, self._words(label, at)) for at, label in enumerate(self.labels)]

    @cached_property
    def shown(self) -> list[int]:
        """Numbers of features. One that is chosen stays: what is open is told by the names, not by the choice."""
        if self.shows_all:
            return list(range(self._start, min(self._start + PAGE, self.card.width)))
        guessed = suggested(self.plan.columns.names, self.card.features, self.found)
        unnamed = [number for number in range(self.card.width) if number not in self.found]
        unknown = [number for number in unnamed if number not in guessed]
        return unnamed if len(unnamed) <= MOST_CHECKED else unknown[:PAGE]

    @property
    def fields(self) -> list[Field]:
        return [Field(f"{_FIELD}{at}", self.card.features[at], self._label(self.choice[at])) for at in self.shown]

    @property
    def state(self) -> str:
        """The choice as the form carries it along."""
        return ",".join("" if at is None else str(at) for at in self.choice)

    @property
    def is_list(self) -> bool:
        return len(self.labels) <= MOST_OPTIONS

    @property
    def shows_all(self) -> bool:
        return self.view != OPEN

    @property
    def has_more(self) -> bool:
        """More is open than is shown."""
        return not self.shows_all and len(self.shown) == PAGE

    @property
    def missing(self) -> int:
        return self.choice.count(None)

    @property
    def otherwise(self) -> list[tuple[str, str]]:
        """(feature, column) of those that are chosen, but not by their names."""
        chosen = enumerate(self.choice)
        return [
            (self.card.features[n], self._label(at)) for n, at in chosen if at is not None and self.found.get(n) != at
        ]

    @property
    def told(self) -> str:
        """The first pairs and the last, as one reads them: f0 from x1, f1 from x2, … f7 from x8."""
        words = [f"{feature} from {cut(column)}" for feature, column in self.otherwise]
        return ", ".join(words) if len(words) <= MOST_TOLD else f"{words[0]}, {words[1]}, … {words[-1]}"

    @property
    def first(self) -> int:
        return self.shown[0] + 1

    @property
    def last(self) -> int:
        return self.shown[-1] + 1

    @property
    def named(self) -> int:
        return sum(self.found.get(number) == at for number, at in enumerate(self.choice) if at is not None)

    @property
    def pages(self) -> list[Page]:
        """Before and after the one that is shown."""
        if not self.shows_all:
            return []
        starts = [start for start in (self._start - PAGE, self._start + PAGE) if 0 <= start < self.card.width]
        return [
            Page(f"{_ALL}{start}", f"Features {start + 1:,} to {min(start + PAGE, self.card.width):,}")
            for start in starts
        ]

    @cached_property
    def order(self) -> Choice:
        """The columns as they stand, where there is one for each feature, with an id or without; else nothing."""
        names = self.plan.columns.names
        ids = id_positions(names, self.card.features) if len(names) > self.card.width else []
        places = tuple(at for at in range(len(names)) if at not in ids)
        return places if len(places) == self.card.width else ()

    def in_order(self) -> MatchingForm:
        return replace(self, choice=self.order or self.choice)

    def with_view(self, view: str) -> MatchingForm:
        return replace(self, view=_view(view, self.card.width))

    def with_posted(self, post: QueryDict) -> MatchingForm:
        """What was chosen in the form; a name that no column has is left open, and kept as unknown. Raises InvalidInput."""
        choice, unknown = _state(post.get("columns"), self), []
        for key in post:
            number = _number(key.removeprefix(_FIELD), self.card.width) if key.startswith(_FIELD) else None
            if number is not None:
                label = post.get(key, "").strip()
                choice[number] = self._positions.get(label)
                unknown += [label] if label and label not in self._positions else []
        view = _view(post.get("view", OPEN), self.card.width)
        return replace(self, choice=tuple(choice), view=view, unknown=tuple(unknown))

    def refuse_unknown(self) -> None:
        if self.unknown:
            raise InvalidInput(
                f"The file has no column '{cut(self.unknown[0])}'; choose one of its {len(self.labels):,}."
            )

    @cached_property
    def _positions(self) -> dict[str, int]:
        return {label: at for at, label in enumerate(self.labels)}

    @property
    def _start(self) -> int:
        return int(self.view.removeprefix(_ALL))

    def _label(self, position: int | None) -> str:
        return "" if position is None else self.labels[position]

    def _words(self, label: str, position: int) -> str:
        """The name with its first values, which tell more than a name."""
        rows = [row for row in self.plan.preview if position < len(row)][:_SAMPLES]
        samples = [row[position][:_SAMPLE_CHARACTERS] for row in rows]
        return f"{cut(label)}: {', '.join(samples)}, …" if samples else cut(label)


def matching_form(plan: Plan, card: ModelCard) -> MatchingForm:
    """As it stands, or where nothing was chosen yet, as it is suggested."""
    if plan.columns.are_matched:
        return MatchingForm(plan, card, plan.columns.positions, f"{_ALL}0")
    found = found_by_name(plan.columns.names, card.features)
    probable = suggested(plan.columns.names, card.features, found) | found
    return MatchingForm(plan, card, tuple(probable.get(number) for number in range(card.width)))


def _view(text: str, width: int) -> str:
    is_page = text.startswith(_ALL) and _number(text.removeprefix(_ALL), width) is not None
    return text if is_page else OPEN


def _state(text: str | None, form: MatchingForm) -> list[int | None]:
    if text is None:
        return list(form.choice)
    places = text.split(",")
    if len(places) != form.card.width:
        raise InvalidInput(f"{len(places):,} columns were chosen; {form.card.ref} takes {form.card.width:,}.")
    return [_place(place, len(form.labels)) for place in places]


def _place(text: str, count: int) -> int | None:
    if text and _number(text, count) is None:
        raise InvalidInput(f"The file has no column number '{cut(text)}'; it has {count:,}, counted from 0.")
    return _number(text, count)


def _number(text: str, count: int) -> int | None:
    """From 0 up to, not with, count."""
    is_number = text.isdecimal() and len(text) <= len(str(count))
    return int(text) if is_number and int(text) < count else None
