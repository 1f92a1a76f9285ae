"""The Submit page: what is taken, what is refused beside which field, and whose drafts are whose."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.test import Client

from predictions import expiry, model_cards, uploading, workers
from predictions.model_cards import ModelCard
from predictions.models import Job, Kind, Upload
from tests.predictions.calling import form, upload_from
from tests.predictions.jobs import receive

SCRIPT = {"HX-Request": "true"}
NOBODYS = UUID(int=7)
ROW = ",".join(["1"] * 64)
HEADER = ",".join(f"pixel_{row}_{column}" for row in range(8) for column in range(8))
GOOD = f"{HEADER}\n{ROW}\n{ROW}\n"
BAD = f"{HEADER}\n{ROW}\nabc{ROW[1:]}\n"


over_http = pytest.mark.django_db(transaction=True)


@pytest.fixture
def ana(client: Client, user: Any, digits: ModelCard) -> Client:
    """Ana's browser."""
    client.force_login(user)
    return client


def send_vector(ana: Client, vector: str = ROW, **fields: str) -> HttpResponse:
    return ana.post("/submit/vector/", {"vector": vector, "priority": "9", **fields}, headers=SCRIPT)  # type: ignore[return-value]


def send_file(ana: Client, content: str, name: str = "rows.csv", model: str = "digits@1") -> HttpResponse:
    """As submit.js sends it: the file is the body."""
    address = f"/drafts/?name={name}&model={model}"
    return upload_from(ana, address, content.encode(), "text/csv", HX_Request="true")


def send_form(ana: Client, content: bytes, name: str) -> HttpResponse:
    """As a browser without scripts sends it."""
    return upload_from(ana, "/drafts/", form(content, name, model="digits@1"), "multipart/form-data; boundary=edge")


def a_draft(ana: Client, content: str = GOOD) -> Upload:
    owner = User.objects.get(pk=ana.session["_auth_user_id"])
    return receive(owner, "rows.csv", [content.encode()], model_cards.card("digits@1"))


def submit_draft(ana: Client, draft: Upload, **fields: str) -> HttpResponse:
    return ana.post(f"/drafts/{draft.pk}/submit/", {"priority": "1", "on_bad_row": "reject", **fields}, headers=SCRIPT)  # type: ignore[return-value]


def test_a_visitor_is_sent_to_sign_in(client: Client, db: None) -> None:
    assert client.get("/").headers["Location"].startswith("/sign-in/")


def test_a_script_whose_session_ended_gets_a_sentence_and_no_page(client: Client, db: None) -> None:
    answer = send_vector(client)
    assert (answer.status_code, b"You have been signed out" in answer.content) == (401, True)


def test_the_page_offers_model_pad_and_examples(ana: Client) -> None:
    text = ana.get("/").content.decode()
    assert all(part in text for part in ('value="digits@1"', 'id="pad"', 'id="examples"', "/ws/jobs/?view=submit"))


def test_the_page_says_so_where_no_model_is_registered(client: Client, user: Any, settings: Any, tmp_path: Any) -> None:
    settings.MODEL_DIR = tmp_path
    client.force_login(user)
    assert b"No model is registered yet" in client.get("/").content


def test_a_vector_becomes_a_job_of_the_web(ana: Client, user: Any) -> None:
    send_vector(ana, priority="5")
    job = Job.objects.get()
    assert (job.owner, job.kind, job.priority, job.source, job.vector) == (user, Kind.REALTIME, 5, "web", [1.0] * 64)


def test_the_answer_brings_the_job_s_card_the_list_and_the_code(ana: Client) -> None:
    text = send_vector(ana).content.decode()
    job = Job.objects.get()
    assert all(
        part in text
        for part in (f'id="sent-{job.pk}"', f'id="recent-{job.pk}"', "curl http://testserver/api/v1/predict")
    )


def test_without_a_worker_the_card_says_how_to_start_one(ana: Client) -> None:
    assert b"it will wait: no worker serves realtime" in send_vector(ana).content


def test_without_scripts_the_job_s_page_follows(ana: Client) -> None:
    answer = ana.post("/submit/vector/", {"vector": ROW, "priority": "9"})
    assert answer.headers["Location"] == Job.objects.get().get_absolute_url()


@pytest.mark.parametrize(
    ("vector", "sentence"),
    [
        ("", "The vector is empty; digits@1 takes 64 values."),
        ("1,2,3", "The vector has 3 values; digits@1 takes 64."),
        (ROW + ",1", "The vector has 65 values; digits@1 takes 64."),
        ("nan" + ROW[1:], "pixel_0_0: value 1: not finite."),
        ("1e400" + ROW[1:], "pixel_0_0: value 1: larger than a float32 can hold."),
        ("-inf" + ROW[1:], "pixel_0_0: value 1: not finite."),
        ("abc" + ROW[1:], "pixel_0_0: value 1: &#x27;abc&#x27; is not a number."),
        ("<b>" + ROW[1:], "&lt;b&gt;"),
        ("[1, 2", "not valid JSON"),
    ],
)
def test_a_vector_that_is_not_valid_is_refused_in_a_sentence(ana: Client, vector: str, sentence: str) -> None:
    answer = send_vector(ana, vector)
    assert (answer.status_code in {400, 422}, sentence in answer.content.decode(), Job.objects.count()) == (
        True,
        True,
        0,
    )


def test_an_unknown_model_is_refused(ana: Client) -> None:
    answer = send_vector(ana, model="cats")
    assert (answer.status_code, b"&#x27;cats&#x27; is not known" in answer.content) == (422, True)


def test_without_scripts_the_refused_input_stands_in_the_field_again(ana: Client) -> None:
    answer = ana.post("/submit/vector/", {"vector": "1, 2, three", "priority": "9"})
    assert answer.status_code == 422
    assert b'aria-invalid="true">1, 2, three</textarea>' in answer.content


def test_past_the_rate_limit_the_answer_says_when_to_try_again(ana: Client, settings: Any, clean_redis: None) -> None:
    settings.RATE_LIMIT = (1, 60)
    send_vector(ana)
    answer = send_vector(ana)
    assert (answer.status_code, 0 < int(answer.headers["Retry-After"]) <= 61) == (429, True)


def test_a_form_without_its_token_is_refused(user: Any, digits: ModelCard) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(user)
    assert send_vector(strict).status_code == 403


def test_json_rows_become_a_batch(ana: Client) -> None:
    ana.post("/submit/json/", {"json": f'{{"inputs": [[{ROW}], [{ROW}]]}}'}, headers=SCRIPT)
    job = Job.objects.get()
    assert (job.kind, job.total, job.priority, job.source) == (Kind.BATCH, 2, 1, "web")


def test_a_json_vector_becomes_a_realtime_job(ana: Client) -> None:
    ana.post("/submit/json/", {"json": f"[{ROW}]"}, headers=SCRIPT)
    assert Job.objects.get().kind == Kind.REALTIME


def test_json_that_cannot_be_read_is_refused_and_kept_in_the_field(ana: Client) -> None:
    answer = ana.post("/submit/json/", {"json": "[1, oops"})
    assert (answer.status_code, b">[1, oops</textarea>" in answer.content, Upload.objects.count()) == (400, True, 0)


def test_reloading_an_address_of_a_post_gives_the_page(ana: Client) -> None:
    assert [ana.get(f"/submit/{tab}/").headers["Location"] for tab in ("vector", "json")] == ["/", "/"]


def test_a_link_fills_in_an_example(ana: Client, digits: ModelCard) -> None:
    first = ",".join(f"{value:g}" for value in digits.examples[2]["vector"][:8])
    assert f">{first},\n" in ana.get("/?example=2").content.decode()


@pytest.mark.parametrize(
    "query",
    ["?example=999", "?example=-1", "?example=x", "?model=cats", "?draft=x", f"?draft={NOBODYS}", "?tab=no", "?job=1"],
)
def test_a_link_that_asks_for_what_is_not_there_shows_the_plain_page(ana: Client, query: str) -> None:
    answer = ana.get(f"/{query}")
    assert (answer.status_code, b'autocomplete="off" required' in answer.content) == (200, True)


def test_a_link_fills_in_the_input_of_one_s_own_job(ana: Client) -> None:
    send_vector(ana, "7" + ROW[1:])
    assert b">7,1,1,1,1,1,1,1,\n" in ana.get(f"/?job={Job.objects.get().pk}").content


def test_another_s_job_fills_nothing_in(ana: Client, other_user: Any) -> None:
    send_vector(ana, "7" + ROW[1:])
    Job.objects.update(owner=other_user)
    assert b">7,1,1" not in ana.get(f"/?job={Job.objects.get().pk}").content


def test_another_s_job_is_not_found_as_a_card(ana: Client, other_user: Any) -> None:
    send_vector(ana)
    Job.objects.update(owner=other_user)
    assert ana.get(f"/submit/sent/{Job.objects.get().pk}/").status_code == 404


@over_http
def test_a_file_becomes_a_draft_with_its_preview(ana: Client) -> None:
    text = send_file(ana, GOOD).content.decode()
    assert all(part in text for part in ("rows.csv", "64 of 64", "Score 2 rows", '<th scope="col">pixel_0_0</th>'))


@over_http
def test_a_form_without_scripts_uploads_too(ana: Client) -> None:
    answer = send_form(ana, GOOD.encode(), "form.csv")
    draft = Upload.objects.get()
    assert (answer.headers["Location"], draft.file_name) == (f"/?draft={draft.pk}", "form.csv")


@over_http
def test_a_form_without_a_file_is_refused(ana: Client) -> None:
    answer = send_form(ana, b"", name="")
    assert (answer.status_code, b"No file was chosen" in answer.content) == (422, True)


@over_http
@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "The file is empty"),
        (HEADER, "The file has a header but no row"),
        ("1,2,3\n", "The first line has 3 values"),
        (HEADER.removesuffix(",pixel_7_7") + f"\n{ROW[2:]}\n", "The header lacks 1 of the 64 features"),
    ],
)
def test_a_file_that_is_refused_leaves_nothing(ana: Client, content: str, sentence: str) -> None:
    answer = send_file(ana, content)
    assert (answer.status_code, sentence in answer.content.decode(), Upload.objects.count()) == (422, True, 0)


@over_http
def test_a_file_for_an_unknown_model_is_refused(ana: Client) -> None:
    answer = send_file(ana, GOOD, model="cats")
    assert (answer.status_code, Upload.objects.count()) == (422, 0)


@over_http
def test_a_file_over_the_limit_is_refused(ana: Client, settings: Any) -> None:
    settings.MAX_UPLOAD_BYTES = 1024
    assert send_file(ana, GOOD * 10).status_code == 413


@over_http
def test_bad_rows_are_named_by_line_and_column(ana: Client) -> None:
    text = send_file(ana, BAD).content.decode()
    assert "<tr><td>3</td><td>pixel_0_0</td><td>&#x27;abc" in text
    assert 'value="skip" required' in text


@over_http
def test_a_file_s_own_words_are_never_markup(ana: Client) -> None:
    text = send_file(ana, BAD.replace("abc", "<i>abc"), "%3Cb%3E.csv").content.decode()
    assert ("<i>" in text, "<b>" in text, "&lt;b&gt;.csv" in text) == (False, False, True)


def test_a_draft_becomes_a_batch(ana: Client, user: Any) -> None:
    submit_draft(ana, a_draft(ana), priority="5")
    job = Job.objects.get()
    assert (job.owner, job.kind, job.total, job.priority, job.file_name) == (user, Kind.BATCH, 2, 5, "rows.csv")


def test_a_draft_with_known_bad_rows_is_refused_under_reject_and_kept(ana: Client) -> None:
    draft = a_draft(ana, BAD)
    answer = submit_draft(ana, draft)
    assert (answer.status_code, b"1 of 2 rows cannot be read" in answer.content) == (422, True)
    assert (Job.objects.count(), Upload.objects.filter(pk=draft.pk).count()) == (0, 1)


def test_a_draft_with_bad_rows_is_taken_where_they_are_skipped(ana: Client) -> None:
    submit_draft(ana, a_draft(ana, BAD), on_bad_row="skip")
    assert Job.objects.get().on_bad_row == "skip"


def test_without_scripts_a_refused_draft_is_shown_again(ana: Client) -> None:
    draft = a_draft(ana, BAD)
    answer = ana.post(f"/drafts/{draft.pk}/submit/", {"priority": "1", "on_bad_row": "reject"})
    assert (answer.status_code, f'data-draft="{draft.pk}"' in answer.content.decode()) == (422, True)


def test_another_s_draft_is_not_found(ana: Client, other_user: Any) -> None:
    draft = a_draft(ana)
    ana.force_login(other_user)
    assert (submit_draft(ana, draft).status_code, Job.objects.count()) == (404, 0)


def test_another_s_draft_is_not_shown(ana: Client, other_user: Any) -> None:
    draft = a_draft(ana)
    ana.force_login(other_user)
    assert b"data-draft" not in ana.get(f"/?draft={draft.pk}").content


def test_another_s_draft_cannot_be_removed(ana: Client, other_user: Any) -> None:
    draft = a_draft(ana)
    ana.force_login(other_user)
    ana.post(f"/drafts/{draft.pk}/remove/", headers=SCRIPT)
    assert Upload.objects.filter(pk=draft.pk).exists()


def test_a_swept_draft_is_gone_with_a_sentence(ana: Client, django_capture_on_commit_callbacks: Any) -> None:
    draft = a_draft(ana)
    Upload.objects.update(created="2020-01-01T00:00:00Z")
    with django_capture_on_commit_callbacks(execute=True):
        expiry.sweep_drafts()
    answer = submit_draft(ana, draft)
    assert (answer.status_code, b"drafts are removed after an hour" in answer.content) == (404, True)


def test_a_removed_draft_leaves_nothing(ana: Client) -> None:
    draft = a_draft(ana)
    assert ana.post(f"/drafts/{draft.pk}/remove/", headers=SCRIPT).status_code == 200
    assert Upload.objects.count() == 0


def test_a_draft_that_a_job_has_taken_is_never_removed(ana: Client) -> None:
    draft = a_draft(ana)
    submit_draft(ana, draft)
    ana.post(f"/drafts/{draft.pk}/remove/", headers=SCRIPT)
    assert Upload.objects.get().state == Upload.State.DONE


def test_discarding_says_whether_the_draft_was_still_free(ana: Client) -> None:
    draft = a_draft(ana)
    assert (uploading.discard(draft), uploading.discard(draft)) == (True, False)


def test_the_list_shows_the_last_five_of_one_s_own(ana: Client, other_user: Any) -> None:
    for _ in range(7):
        send_vector(ana)
    Job.objects.filter(pk=Job.objects.latest("pk").pk).update(owner=other_user)
    shown = ana.get("/").content.decode()
    own = Job.objects.exclude(owner=other_user).order_by("-pk")
    assert [f'id="recent-{job.pk}"' in shown for job in own] == [True] * 5 + [False]


def test_the_model_s_chip_tells_loading_from_ready(ana: Client) -> None:
    facts = {
        "queues": ["realtime"],
        "state": "starting",
        "model": "",
        "model_state": "loading",
        "started": "2026-01-01T00:00:00Z",
    }
    workers.report("one@here", 1, "here", facts)
    loading = b"Loading" in ana.get("/submit/standing/?model=digits@1").content
    workers.report("one@here", 1, "here", {**facts, "state": "idle", "model": "digits@1", "model_state": "ready"})
    assert (loading, b"Loaded on one@here" in ana.get("/submit/standing/?model=digits@1").content) == (True, True)


def test_a_worker_that_could_not_load_its_model_shows_why(ana: Client) -> None:
    facts = {
        "queues": ["realtime"],
        "state": "idle",
        "model_state": "failed",
        "model_error": "The file is gone.",
        "started": "2026-01-01T00:00:00Z",
    }
    workers.report("one@here", 1, "here", facts)
    assert b"The file is gone." in ana.get("/submit/standing/").content


@over_http
def test_no_page_carries_inline_script_or_style(ana: Client) -> None:
    for text in (
        ana.get("/").content.decode(),
        send_vector(ana).content.decode(),
        send_file(ana, BAD).content.decode(),
    ):
        assert not any(part in text for part in (" style=", "<style", " onclick=", "hx-on", "javascript:"))
