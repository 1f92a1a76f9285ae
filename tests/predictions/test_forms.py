"""What people fill in is read, or refused in a sentence."""

from __future__ import annotations

import pytest
from django.http import QueryDict

from predictions import forms
from predictions.errors import InvalidInput, Refused, UnknownModel, Unreadable
from predictions.model_cards import ModelCard

ROW = ", ".join(["1"] * 64)


def post(**fields: str) -> QueryDict:
    sent = QueryDict(mutable=True)
    sent.update(fields)
    return sent


@pytest.mark.parametrize("priority", ["", "10", "-1", "9.0", "urgent", "٣"])
def test_an_urgency_that_is_no_number_from_0_to_9_is_refused(priority: str) -> None:
    with pytest.raises(InvalidInput, match="a whole number from 0 to 9 is allowed"):
        forms.priority_of(post(priority=priority))


def test_every_urgency_on_the_page_is_a_priority() -> None:
    read = [forms.priority_of(post(priority=str(urgency.priority))) for urgency in forms.URGENCIES]
    assert read == [9, 5, 1]


def test_a_vector_is_read_with_its_model_and_urgency(digits: ModelCard) -> None:
    asked = forms.vector_request(post(vector=ROW, model="digits@1", priority="5"))
    assert (asked.vector, asked.card.ref, asked.wishes.priority, asked.wishes.source) == (
        [1.0] * 64,
        "digits@1",
        5,
        "web",
    )


def test_the_default_model_is_taken_where_none_is_chosen(digits: ModelCard) -> None:
    assert forms.card_of(post()).ref == digits.ref


def test_an_unknown_model_is_refused_by_name(digits: ModelCard) -> None:
    with pytest.raises(UnknownModel, match="'cats' is not known"):
        forms.vector_request(post(vector=ROW, model="cats", priority="9"))


def test_json_takes_the_model_of_the_page_where_it_names_none(digits: ModelCard) -> None:
    assert forms.json_request(post(json=f"[{ROW}]", model="digits@1")).card.ref == "digits@1"


def test_the_model_in_the_json_comes_before_that_of_the_page(digits: ModelCard) -> None:
    with pytest.raises(UnknownModel, match="cats"):
        forms.json_request(post(json=f'{{"input": [{ROW}], "model": "cats"}}', model="digits@1"))


def test_json_with_inputs_asks_for_rows(digits: ModelCard) -> None:
    asked = forms.json_request(post(json=f'{{"inputs": [[{ROW}], [{ROW}]], "priority": 3}}'))
    assert (asked.vector, len(asked.rows), asked.wishes.priority) == (None, 2, 3)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", Unreadable),
        ("[1, 2", Unreadable),
        ("[NaN]", Unreadable),
        ("[1, 2]", InvalidInput),
        ('"words"', InvalidInput),
        ("null", InvalidInput),
        ("{}", InvalidInput),
        ('{"input": [1], "inputs": [[1]]}', InvalidInput),
        ('{"inputs": []}', InvalidInput),
        ('{"input": [1], "priority": true}', InvalidInput),
        ('{"input": [1], "store": "no"}', InvalidInput),
        ('{"input": [1], "model": 7}', InvalidInput),
        ("[" * 5000, Unreadable),
    ],
)
def test_json_that_asks_for_nothing_valid_is_refused(text: str, error: type[Refused], digits: ModelCard) -> None:
    with pytest.raises(error):
        forms.json_request(post(json=text))


def test_what_becomes_of_bad_rows_must_be_chosen() -> None:
    with pytest.raises(InvalidInput, match="Choose what becomes of bad rows"):
        forms.draft_wishes(post(priority="1"))


@pytest.mark.parametrize("name", ["", "   ", "x" * 81])
def test_a_key_needs_a_name_of_1_to_80_characters(name: str) -> None:
    with pytest.raises(InvalidInput, match="1 to 80 are allowed"):
        forms.key_name(post(name=name))
