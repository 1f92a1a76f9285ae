"""A draft whose columns have other names: chosen by hand, judged anew, remembered, and never another's."""

from __future__ import annotations

from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client

from predictions import expiry, files, matching, submission, uploading
from predictions.csv_reading import read_block
from predictions.errors import InvalidInput
from predictions.first_line import judge_first_line
from predictions.matching import BY_HAND
from predictions.model_cards import ModelCard
from predictions.models import ColumnMapping, Job, Upload
from predictions.parts import Plan

SCRIPT = {"HX-Request": "true"}
FEATURES = [f"pixel_{row}_{column}" for row in range(8) for column in range(8)]
FOREIGN = [f"cell {number}" for number in range(64)]
ROW = [str(number % 17) for number in range(64)]
BEFORE = "Columns matched as you did before for digits."


@pytest.fixture
def ana(client: Client, user: Any, digits: ModelCard) -> Client:
    """Ana's browser."""
    client.force_login(user)
    return client


def csv_of(header: list[str], *rows: list[str], delimiter: str = ",") -> bytes:
    return "\n".join(delimiter.join(line) for line in (header, *rows)).encode() + b"\n"


def a_draft(user: Any, digits: ModelCard, content: bytes) -> Upload:
    incoming = uploading.begin(user, "rows.csv", digits, None, may_map=True, announced_bytes=0)
    incoming.feed(content)
    return uploading.complete(incoming.upload, incoming.close(), incoming.sha256, incoming.size_bytes)


def foreign_draft(user: Any, digits: ModelCard, header: list[str] | None = None) -> Upload:
    """65 columns, the first of them no feature."""
    return a_draft(user, digits, csv_of(["who", *(header or FOREIGN)], ["me", *ROW], ["you", *ROW]))


def choose(ana: Client, draft: Upload, do: str = "use", **fields: str) -> HttpResponse:
    return ana.post(f"/drafts/{draft.pk}/columns/", {"do": do, **fields}, headers=SCRIPT)  # type: ignore[return-value]


def state(*places: int | None) -> str:
    return ",".join("" if place is None else str(place) for place in places)


def plan_of(draft: Upload) -> Plan:
    draft.refresh_from_db()
    return Plan.from_json(draft.plan)


def test_a_header_of_other_names_waits_as_a_draft(user: Any, digits: ModelCard) -> None:
    plan = plan_of(foreign_draft(user, digits))
    assert (plan.columns.positions, plan.rows, plan.bad_rows, plan.notes) == ((), 2, 0, [])


def test_the_api_stays_strict(digits: ModelCard) -> None:
    with pytest.raises(InvalidInput, match="lacks 1 of the 64 features of digits@1: pixel_0_0"):
        judge_first_line(",".join(["other", *FEATURES[1:], "more"]), digits)


@pytest.mark.parametrize(
    ("header", "sentence"),
    [
        (FEATURES[1:], "The header lacks 1 of the 64 features of digits@1: pixel_0_0."),
        (["id", *FEATURES[1:]], "The header lacks 1 of the 64 features of digits@1: pixel_0_0."),
        (FOREIGN[1:], "The first line has 63 values and names none"),
        (["1.5"] * 65, "Under a header of other names you choose the columns here."),
    ],
)
def test_too_few_columns_and_no_header_are_refused_also_for_a_draft(
    digits: ModelCard, header: list[str], sentence: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        judge_first_line(",".join(header), digits, may_map=True)
    assert sentence in refused.value.detail


def test_a_header_as_wide_as_the_model_is_taken_by_position_unless_its_names_speak_against_it(
    digits: ModelCard,
) -> None:
    similar = [name.upper() for name in FEATURES]
    lines = [FOREIGN, similar, similar[::-1]]
    assert [len(judge_first_line(",".join(line), digits, may_map=True).columns.positions) for line in lines] == [
        64,
        64,
        0,
    ]


def test_the_draft_offers_what_was_found_and_asks_for_the_rest(ana: Client, user: Any, digits: ModelCard) -> None:
    header = [*FEATURES[:61], "one", "two", "three"]
    text = ana.get(f"/?draft={foreign_draft(user, digits, header).pk}").content.decode()
    asked = [number for number in range(64) if f'name="feature-{number}"' in text]
    assert ("61 of 64 features found by name" in text, "3 to choose" in text, asked) == (True, True, [61, 62, 63])


def test_a_suggestion_for_all_is_told_and_not_a_wall_of_lists(ana: Client, user: Any, digits: ModelCard) -> None:
    text = ana.get(f"/?draft={foreign_draft(user, digits).pk}").content.decode()
    assert "pixel_0_0 from cell 0, pixel_0_1 from cell 1, … pixel_7_7 from cell 63" in text
    assert "<select id=" not in text.split('class="matching"')[1]


def test_all_features_are_shown_fifty_at_a_time(ana: Client, user: Any, digits: ModelCard) -> None:
    draft = foreign_draft(user, digits)
    pages = [choose(ana, draft, view).content.decode() for view in ("all-0", "all-50")]
    assert [page.count('name="feature-') for page in pages] == [50, 14]
    assert 'value="all-50"' in pages[0] and 'value="all-0"' in pages[1]


def test_chosen_columns_are_read_in_the_model_s_order(ana: Client, user: Any, digits: ModelCard) -> None:
    draft = foreign_draft(user, digits)
    answer = choose(ana, draft, columns=state(*range(64, 0, -1)))
    plan = plan_of(draft)
    part = files.read(files.input_key(draft.pk, 0))
    x = read_block(part, plan.columns, digits.features, 2, 1).x
    assert (answer.status_code, x[0].tolist(), x.shape) == (200, [float(value) for value in reversed(ROW)], (2, 64))
    assert plan.notes == [
        BY_HAND,
        "1 column is ignored: who.",
        "The columns were put into the model's order by their names.",
    ]


def test_a_list_s_choice_comes_on_top_of_what_the_form_carries(ana: Client, user: Any, digits: ModelCard) -> None:
    draft = foreign_draft(user, digits)
    choose(ana, draft, **{"columns": state(None, *range(2, 65)), "feature-0": "cell 0"})
    assert plan_of(draft).columns.positions == tuple(range(1, 65))


def test_looking_stores_nothing_and_the_preview_follows(ana: Client, user: Any, digits: ModelCard) -> None:
    draft = foreign_draft(user, digits)
    text = choose(ana, draft, "", **{"columns": state(*range(1, 65)), "feature-0": "cell 7"}).content.decode()
    assert '<th scope="col">pixel_0_0<small>cell 7</small></th>' in text
    assert not plan_of(draft).columns.are_matched


def test_columns_can_be_taken_in_their_order_beside_an_id(ana: Client, user: Any, digits: ModelCard) -> None:
    header = ["a", "id", *(f"column of {chr(97 + at)}{at * 7 % 5}" for at in range(63))]
    draft = a_draft(user, digits, csv_of(header, ["1", "r1", *ROW[:63]]))
    places = state(0, *range(2, 65))
    assert f'name="columns" value="{places}"' in choose(ana, draft, "order").content.decode()
    choose(ana, draft, columns=places)
    assert plan_of(draft).columns.id_position == 1


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"columns": state(None, *range(2, 65))}, "1 feature has no column yet: pixel_0_0."),
        (
            {"columns": state(2, *range(2, 65))},
            "The column cell 1 is chosen for pixel_0_0, pixel_0_1; a column can stand",
        ),
        ({"columns": state(65, *range(2, 65))}, "The file has no column number &#x27;65&#x27;"),
        ({"columns": state(*range(1, 64))}, "63 columns were chosen; digits@1 takes 64."),
        ({"columns": "x," + state(*range(2, 65))}, "The file has no column number &#x27;x&#x27;"),
        ({"feature-3": "no such"}, "The file has no column &#x27;no such&#x27;; choose one of its 65."),
    ],
)
def test_a_choice_that_is_not_whole_is_refused_in_a_sentence(
    ana: Client, user: Any, digits: ModelCard, fields: dict[str, str], sentence: str
) -> None:
    draft = foreign_draft(user, digits)
    answer = choose(ana, draft, **fields)
    assert (answer.status_code, sentence in answer.content.decode()) == (422, True)
    assert not plan_of(draft).columns.are_matched and not ColumnMapping.objects.exists()


def test_a_name_that_no_column_has_costs_none_of_the_other_choices(ana: Client, user: Any, digits: ModelCard) -> None:
    draft = foreign_draft(user, digits)
    fields = {"columns": state(*range(64, 0, -1)), "feature-0": "typo", "feature-1": "cell 5"}
    assert (
        f'name="columns" value="{state(None, 6, *range(62, 0, -1))}"' in choose(ana, draft, **fields).content.decode()
    )


@pytest.mark.parametrize("key", ["feature-", "feature-64", "feature--1", "feature-" + "9" * 500, "view"])
def test_fields_that_mean_nothing_change_nothing(ana: Client, user: Any, digits: ModelCard, key: str) -> None:
    assert choose(ana, foreign_draft(user, digits), "", **{key: "all-99999"}).status_code == 200


def test_bad_cells_and_the_decimal_comma_are_judged_anew(ana: Client, user: Any, digits: ModelCard) -> None:
    rows = [["1.5", *ROW[:63], "0,5"], ["2.5", *ROW[:62], "abc", "1"]]
    draft = a_draft(user, digits, csv_of(["price", *FOREIGN], *rows, delimiter=";"))
    assert plan_of(draft).columns.decimal == "."
    choose(ana, draft, columns=state(*range(1, 65)))
    plan = plan_of(draft)
    assert (plan.columns.decimal, plan.bad_rows, "Numbers are read with a decimal comma." in plan.notes) == (
        ",",
        1,
        True,
    )
    assert plan.places == [
        {"row": 2, "line": 3, "column": "pixel_7_6", "value": "abc", "message": "'abc' is not a number"}
    ]


def test_of_a_large_file_the_first_rows_are_judged_anew(ana: Client, user: Any, digits: ModelCard) -> None:
    rows = [["x" * 900, *ROW]] * 1_100 + [["x", "bad", *ROW[1:]]]
    draft = a_draft(user, digits, csv_of(["who", *FOREIGN], *rows))
    choose(ana, draft, columns=state(*range(1, 65)))
    assert (plan_of(draft).bad_rows, plan_of(draft).truncated_judgement) == (0, True)


def test_columns_by_which_most_rows_are_bad_are_refused_and_the_draft_stays(
    ana: Client, user: Any, digits: ModelCard
) -> None:
    draft = a_draft(user, digits, csv_of(["who", *FOREIGN], *[["me", *ROW]] * 1_000))
    answer = choose(ana, draft, columns=state(0, *range(2, 65)))
    assert "1,000 of the first 1,000 rows cannot be read so" in answer.content.decode()
    assert not plan_of(draft).columns.are_matched


def test_a_draft_that_is_not_matched_cannot_be_submitted(ana: Client, user: Any, digits: ModelCard) -> None:
    draft = foreign_draft(user, digits)
    answer = ana.post(f"/drafts/{draft.pk}/submit/", {"priority": "1", "on_bad_row": "skip"})
    assert (answer.status_code, Job.objects.count()) == (422, 0)
    assert "are not matched to the features of digits@1 yet" in answer.content.decode()


def test_a_matched_draft_is_submitted_and_retried_with_its_columns(ana: Client, user: Any, digits: ModelCard) -> None:
    draft = foreign_draft(user, digits)
    choose(ana, draft, columns=state(*range(1, 65)))
    ana.post(f"/drafts/{draft.pk}/submit/", {"priority": "1", "on_bad_row": "reject"}, headers=SCRIPT)
    job = Job.objects.get()
    Job.objects.update(state="failed")
    job.refresh_from_db()
    again = submission.retry(job, user)
    assert (BY_HAND in job.notes, BY_HAND in again.notes, again.upload_id) == (True, True, draft.pk)


def test_a_submitted_draft_is_never_changed(ana: Client, user: Any, digits: ModelCard) -> None:
    draft = foreign_draft(user, digits)
    choose(ana, draft, columns=state(*range(1, 65)))
    ana.post(f"/drafts/{draft.pk}/submit/", {"priority": "1", "on_bad_row": "reject"}, headers=SCRIPT)
    answer = choose(ana, draft, columns=state(*range(64, 0, -1)))
    assert (answer.status_code, plan_of(draft).columns.positions) == (404, tuple(range(1, 65)))


def test_another_s_draft_is_not_found(ana: Client, user: Any, other_user: Any, digits: ModelCard) -> None:
    draft = foreign_draft(user, digits)
    ana.force_login(other_user)
    assert choose(ana, draft, columns=state(*range(1, 65))).status_code == 404
    assert not plan_of(draft).columns.are_matched


def test_a_form_without_its_token_is_refused(user: Any, digits: ModelCard) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(user)
    assert choose(strict, foreign_draft(user, digits), columns=state(*range(1, 65))).status_code == 403


def test_without_scripts_the_page_shows_the_choice_and_then_the_draft(
    ana: Client, user: Any, digits: ModelCard
) -> None:
    draft = foreign_draft(user, digits)
    address = f"/drafts/{draft.pk}/columns/"
    looked = ana.post(address, {"do": "all-50"})
    refused = ana.post(address, {"do": "use", "feature-0": ""})
    used = ana.post(address, {"do": "use"})
    assert ("Features 51 to 64" in looked.content.decode(), looked.status_code) == (True, 200)
    assert ("pixel_0_0" in refused.content.decode(), refused.status_code) == (True, 422)
    assert used.headers["Location"] == f"/?draft={draft.pk}"


def test_the_next_file_with_these_columns_is_matched_as_before(ana: Client, user: Any, digits: ModelCard) -> None:
    choose(ana, foreign_draft(user, digits), columns=state(*range(64, 0, -1)))
    moved = a_draft(user, digits, csv_of([*FOREIGN, "other"], [*ROW, "x"]))
    plan = plan_of(moved)
    assert (plan.columns.positions, plan.notes[0]) == (tuple(range(63, -1, -1)), BEFORE)
    assert "Change columns</button>" in ana.get(f"/?draft={moved.pk}").content.decode()


def test_a_file_that_lacks_one_of_the_remembered_columns_is_asked_about(
    ana: Client, user: Any, digits: ModelCard
) -> None:
    choose(ana, foreign_draft(user, digits), columns=state(*range(1, 65)))
    assert not plan_of(foreign_draft(user, digits, [*FOREIGN[:-1], "another"])).columns.are_matched


def test_the_model_s_own_names_go_before_what_is_remembered(ana: Client, user: Any, digits: ModelCard) -> None:
    choose(ana, foreign_draft(user, digits), columns=state(*range(1, 65)))
    both = a_draft(user, digits, csv_of([*FOREIGN, *FEATURES], [*ROW, *ROW]))
    assert plan_of(both).columns.positions == tuple(range(64, 128))


def test_what_one_remembers_is_nobody_else_s(ana: Client, user: Any, other_user: Any, digits: ModelCard) -> None:
    choose(ana, foreign_draft(user, digits), columns=state(*range(1, 65)))
    assert not plan_of(foreign_draft(other_user, digits)).columns.are_matched


def test_forgetting_leaves_the_draft_and_asks_at_the_next_file(ana: Client, user: Any, digits: ModelCard) -> None:
    draft = foreign_draft(user, digits)
    choose(ana, draft, columns=state(*range(1, 65)))
    choose(ana, draft, "forget")
    assert (plan_of(draft).columns.are_matched, matching.remembered(user, "digits")) == (True, None)


def test_names_that_stand_twice_can_be_chosen_but_not_remembered(ana: Client, user: Any, digits: ModelCard) -> None:
    draft = foreign_draft(user, digits, ["same", "same", *FOREIGN[2:]])
    choose(
        ana, draft, **{"feature-0": "same (column 3)", "feature-1": "same (column 2)", "columns": state(*range(1, 65))}
    )
    assert plan_of(draft).columns.positions[:2] == (2, 1)
    assert not ColumnMapping.objects.exists()


def test_the_sweep_takes_a_matched_draft_s_files_too(
    ana: Client, user: Any, digits: ModelCard, django_capture_on_commit_callbacks: Any
) -> None:
    draft = foreign_draft(user, digits)
    choose(ana, draft, columns=state(*range(1, 65)))
    Upload.objects.update(created="2020-01-01T00:00:00Z")
    with django_capture_on_commit_callbacks(execute=True):
        expiry.sweep_drafts()
    assert files.list_inputs(draft.pk) == []
