"""The door for files: who may send one, when it is refused, and what is left of it."""

from __future__ import annotations

import io
import json
import shutil
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from asgiref.sync import async_to_sync
from django.conf import settings
from django.test import Client
from django.utils.crypto import get_random_string
from django.utils.module_loading import import_string

from predictions import keys, model_cards, uploading
from predictions.errors import TooLarge
from predictions.model_cards import ModelCard
from predictions.models import Job, Upload
from tests.exchanges import BLOCK, Exchange, blocks_of
from tests.predictions.calling import form
from tests.predictions.jobs import csv_of, receive
from tests.processes import eventually

pytestmark = pytest.mark.django_db(transaction=True)
API = "/api/v1/batch-predict"
DRAFTS = "/drafts/?name=a.csv&model=digits@1"
FORM = "multipart/form-data; boundary=edge"
MB = 1 << 20
Headers = dict[str, str]


@pytest.fixture
def key(user: Any, redis_server: Any, digits: ModelCard) -> Headers:
    """A program's."""
    return {"Authorization": f"Bearer {keys.create(user, 'test')[1]}", "Content-Type": "text/csv"}


@pytest.fixture
def session(user: Any, redis_server: Any, digits: ModelCard) -> Headers:
    """A signed-in browser's, without a CSRF token of the form or the header."""
    browser = Client()
    browser.force_login(user)
    return {"Cookie": f"sessionid={browser.session.session_key}; csrftoken={TOKEN}", "Content-Type": "text/csv"}


TOKEN = get_random_string(32)


def send(path: str, body: bytes | Iterable[bytes], headers: Headers, leaves: bool = False) -> Exchange:
    """body: bytes whose length is announced, or blocks whose length is not."""
    if isinstance(body, bytes):
        headers = {**headers, "Content-Length": str(len(body))}
    exchange = Exchange(path, blocks_of(body) if isinstance(body, bytes) else body, headers, leaves)
    exchange.has_more = body != b""
    async_to_sync(import_string("inference_site.asgi.application"))(exchange.scope, exchange.receive, exchange.send)
    return exchange


def detail(done: Exchange) -> str:
    return str(json.loads(done.body)["detail"])


@pytest.fixture
def nothing_new() -> Iterator[None]:
    """Whatever the test sends leaves nothing."""
    before = stored()
    yield
    assert not Upload.objects.exists() and not Job.objects.exists() and stored() == before


def stored() -> set[Path]:
    """Other tests have left theirs."""
    return {path for path in (settings.DATA_DIR / "files" / "uploads").rglob("*") if path.is_file()}


# -- early


@pytest.mark.usefixtures("nothing_new")
@pytest.mark.parametrize("path", [API, DRAFTS])
def test_a_file_is_refused_before_the_rest_of_it_is_read(path: str, key: Headers, session: Headers) -> None:
    headers = key if path == API else {**session, "X-CSRFToken": TOKEN, "HX-Request": "true"}
    done = send(path, b"1,2,3\n" * 3_000_000, headers)
    assert done.status == 422 and b"The first line has 3 values" in done.body
    assert done.read_before_answer == BLOCK and not done.has_more and done.headers["connection"] == "close"


@pytest.mark.usefixtures("nothing_new")
def test_the_file_of_a_form_is_refused_before_the_rest_of_it_is_read(key: Headers) -> None:
    done = send(API, form(b"1,2,3\n" * 3_000_000, "a.csv"), {**key, "Content-Type": FORM})
    assert (done.status, done.read_before_answer, done.has_more) == (422, BLOCK, False)


@pytest.mark.usefixtures("nothing_new")
@pytest.mark.parametrize(
    ("changed", "status", "sentence"),
    [
        ({"Authorization": "Bearer idk_none"}, 401, "The API key is not known"),
        ({"Authorization": "Basic x"}, 401, "starts with 'Basic'"),
        (
            {"Content-Type": "application/zip"},
            415,
            "The body is of the type 'application/zip'; application/json, text/csv",
        ),
        ({"Idempotency-Key": "two words"}, 422, "The Idempotency-Key has 9 characters"),
    ],
)
def test_what_the_headers_show_is_refused_before_any_of_the_body_is_read(
    key: Headers, changed: Headers, status: int, sentence: str
) -> None:
    done = send(API, b"x" * MB, key | changed)
    assert (done.status, done.read_before_answer) == (status, 0) and sentence in detail(done)


def test_an_answer_to_a_whole_body_keeps_the_connection(key: Headers, digits: ModelCard) -> None:
    done = send(API, csv_of(digits, 5), key)
    assert done.status == 202 and "connection" not in done.headers


# -- cut off


@pytest.mark.usefixtures("nothing_new")
@pytest.mark.parametrize("content_type", ["text/csv", FORM])
def test_of_a_file_whose_sender_leaves_nothing_is_left(key: Headers, digits: ModelCard, content_type: str) -> None:
    seen = []

    def breaking_off() -> Iterator[bytes]:
        yield from blocks_of(
            form(csv_of(digits, 40_000), "a.csv")[:-20] if content_type == FORM else csv_of(digits, 40_000)
        )
        seen.append((Upload.objects.count(), len(stored())))

    before = len(stored())
    done = send(API, breaking_off(), {**key, "Content-Type": content_type}, leaves=True)
    ((uploads, files),) = seen
    assert done.sent == [] and uploads == 1 and files > before


@pytest.mark.usefixtures("nothing_new")
def test_a_form_whose_sender_leaves_before_the_file_is_not_answered(key: Headers) -> None:
    assert send(API, [b"--edge\r\n"], {**key, "Content-Type": FORM}, leaves=True).sent == []


@pytest.mark.usefixtures("nothing_new")
def test_a_form_that_ends_too_early_is_refused(key: Headers, digits: ModelCard) -> None:
    done = send(API, form(csv_of(digits, 5), "a.csv")[:-10], {**key, "Content-Type": FORM})
    assert (done.status, "ends before its last boundary" in detail(done)) == (400, True)


@pytest.mark.usefixtures("nothing_new")
@pytest.mark.parametrize("path", [API, DRAFTS])
def test_a_form_that_cannot_be_read_is_refused_with_a_sentence(path: str, key: Headers, session: Headers) -> None:
    who = key if path == API else {**session, "X-CSRFToken": TOKEN, "HX-Request": "true"}
    done = send(path, b"x" * MB, {**who, "Content-Type": "multipart/form-data"})
    assert (done.status, b"has no boundary" in done.body) == (400, True)


# -- who


@pytest.mark.usefixtures("nothing_new")
@pytest.mark.parametrize("path", [API, DRAFTS])
def test_a_browser_without_its_token_is_403(path: str, session: Headers, digits: ModelCard) -> None:
    assert send(path, csv_of(digits, 5), session).status == 403


@pytest.mark.parametrize("path", [API, DRAFTS])
def test_the_token_may_stand_in_the_header_or_in_the_form_before_the_file(
    path: str, session: Headers, digits: ModelCard
) -> None:
    content = csv_of(digits, 5)
    by_header = send(path, content, {**session, "X-CSRFToken": TOKEN})
    by_field = send(path, form(content, "a.csv", csrfmiddlewaretoken=TOKEN), {**session, "Content-Type": FORM})
    assert by_header.status == by_field.status == (202 if path == API else 302)


@pytest.mark.usefixtures("nothing_new")
@pytest.mark.parametrize("path", [API, DRAFTS])
def test_a_token_after_the_file_comes_too_late(path: str, session: Headers, digits: ModelCard) -> None:
    done = send(
        path, with_after(form(csv_of(digits, 5), "a.csv"), csrfmiddlewaretoken=TOKEN), {**session, "Content-Type": FORM}
    )
    assert done.status == 403


@pytest.mark.usefixtures("nothing_new")
@pytest.mark.parametrize("path", [API, DRAFTS])
def test_a_page_of_another_site_cannot_send_a_file(path: str, session: Headers, digits: ModelCard) -> None:
    foreign = {**session, "X-CSRFToken": TOKEN, "Origin": "http://evil.example"}
    assert send(path, csv_of(digits, 5), foreign).status == 403


@pytest.mark.usefixtures("nothing_new")
def test_a_script_that_is_signed_out_is_told_so_and_a_browser_is_sent_to_sign_in(digits: ModelCard) -> None:
    headers = {"Cookie": f"csrftoken={TOKEN}", "X-CSRFToken": TOKEN, "Content-Type": "text/csv"}
    script, browser = send(DRAFTS, csv_of(digits, 5), {**headers, "HX-Request": "true"}), send(DRAFTS, b"x", headers)
    assert (script.status, b"You have been signed out" in script.body) == (401, True)
    assert (browser.status, browser.headers["location"].partition("?")[0]) == (302, "/sign-in/")


# -- forms


@pytest.fixture
def twin(digits: ModelCard, settings: Any, tmp_path: Path) -> ModelCard:
    """The model of the digits under another name, beside it."""
    for name in ("digits", "twin"):
        shutil.copytree(digits.folder, tmp_path / name / "1")
    settings.MODEL_DIR = tmp_path
    card = json.loads((tmp_path / "twin" / "1" / "card.json").read_text())
    (tmp_path / "twin" / "1" / "card.json").write_text(json.dumps({**card, "name": "twin"}))
    return model_cards.card("twin")


def with_after(whole: bytes, **fields: str) -> bytes:
    """The form with fields after its file."""
    parts = [
        f'--edge\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in fields.items()
    ]
    return whole.removesuffix(b"--edge--\r\n") + "".join(parts).encode() + b"--edge--\r\n"


def test_choices_may_follow_the_file(key: Headers, digits: ModelCard) -> None:
    body = with_after(form(csv_of(digits, 5), "a.csv"), priority="7", on_bad_row="skip", model="digits")
    job = Job.objects.get(pk=json.loads(send(API, body, {**key, "Content-Type": FORM}).body)["id"])
    assert (job.priority, job.on_bad_row, job.model) == (7, "skip", "digits@1")


@pytest.mark.usefixtures("nothing_new")
@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"priority": "70"}, "priority is '70'; a whole number from 0 to 9 is allowed."),
        ({"model": "cats"}, "The model 'cats' is not known"),
        ({"model": "twin"}, "names the model after the file, which was read for digits@1; put the model before it."),
    ],
)
def test_what_follows_the_file_may_refuse_it(
    key: Headers, digits: ModelCard, twin: ModelCard, fields: dict[str, str], sentence: str
) -> None:
    done = send(API, with_after(form(csv_of(digits, 5), "a.csv"), **fields), {**key, "Content-Type": FORM})
    assert done.status == 422 and sentence in detail(done)


@pytest.mark.parametrize("content_type", ["application/octet-stream", "application/x-npy", FORM])
def test_a_table_is_known_by_its_type_or_its_first_bytes(key: Headers, digits: ModelCard, content_type: str) -> None:
    file = io.BytesIO()
    np.save(file, np.array([each["vector"] for each in digits.examples], dtype=np.float32))
    body = form(file.getvalue(), "a.csv") if content_type == FORM else file.getvalue()
    done = send(API, body, {**key, "Content-Type": content_type})
    assert done.status == 202, done.body
    assert Upload.objects.get().plan["format"] == "table" and Job.objects.get().total == len(digits.examples)


# -- room


def test_an_upload_counts_with_its_size(user: Any, digits: ModelCard) -> None:
    content = csv_of(digits, 20)
    assert receive(user, "a.csv", [content], digits).size_bytes == len(content)


@pytest.mark.parametrize("name", ["USER_UPLOAD_BYTES", "STORE_UPLOAD_BYTES"])
def test_a_file_there_is_no_room_for_is_refused_before_it_is_read(
    key: Headers, user: Any, other_user: Any, digits: ModelCard, settings: Any, name: str
) -> None:
    kept = receive(user if name == "USER_UPLOAD_BYTES" else other_user, "a.csv", [csv_of(digits, 100)], digits)
    setattr(settings, name, 20_000)
    done = send(API, csv_of(digits, 100), key)
    assert (done.status, done.read_before_answer) == (413, 0)
    assert (
        f"{kept.size_bytes:,} bytes" in detail(done)
        and "20,000" in detail(done)
        and list(Upload.objects.all()) == [kept]
    )


@pytest.mark.usefixtures("nothing_new")
@pytest.mark.parametrize(
    ("limit", "sentence"),
    [
        ("USER_UPLOAD_BYTES", "are allowed. Remove drafts"),
        ("MAX_UPLOAD_BYTES", "The file is larger than 2,097,152 bytes"),
    ],
)
def test_a_body_that_does_not_say_its_size_is_refused_while_it_arrives(
    key: Headers, digits: ModelCard, settings: Any, limit: str, sentence: str
) -> None:
    setattr(settings, limit, 2 * MB)
    row = csv_of(digits, 1, header=False)
    done = send(API, (row * 1000 for _ in range(500)), key)
    assert done.status == 413 and sentence in detail(done) and (done.read_before_answer or 0) < 20 * MB


def test_the_room_of_others_and_of_what_was_removed_is_free(
    key: Headers, user: Any, other_user: Any, digits: ModelCard, settings: Any
) -> None:
    receive(other_user, "a.csv", [csv_of(digits, 90)], digits)
    assert uploading.discard(receive(user, "a.csv", [csv_of(digits, 90)], digits))
    settings.USER_UPLOAD_BYTES = 20_000
    assert send(API, csv_of(digits, 90), key).status == 202


def test_rows_in_json_count_too(user: Any, digits: ModelCard, settings: Any) -> None:
    settings.USER_UPLOAD_BYTES = 2_000
    with pytest.raises(TooLarge, match="are allowed"):
        uploading.receive_rows(user, [[0.5] * 64] * 20, digits)
    assert not Upload.objects.exists()


# -- through a real server


def test_over_http_the_answer_comes_before_the_rest_is_sent(web: str, user: Any, digits: ModelCard) -> None:
    with sending(web, keys.create(user, "test")[1], 300 * MB) as client:
        client.sendall(b"1,2,3\n" * 100_000)
        assert b" 422 " in client.recv(1000)
    assert eventually(lambda: not Upload.objects.exists())


@pytest.mark.usefixtures("nothing_new")
def test_over_http_a_sender_that_leaves_takes_everything_with_it(web: str, user: Any, digits: ModelCard) -> None:
    before = len(stored())
    with sending(web, keys.create(user, "test")[1], 300 * MB) as client:
        client.sendall(csv_of(digits, 100_000))
        assert eventually(lambda: len(stored()) > before and Upload.objects.exists())
    assert eventually(lambda: not Upload.objects.exists() and len(stored()) == before)


@contextmanager
def sending(web: str, key: str, announced_bytes: int) -> Iterator[socket.socket]:
    """A request whose body is still to be sent."""
    address = urlsplit(web)
    head = (
        f"POST {API} HTTP/1.1\r\nHost: {address.netloc}\r\nAuthorization: Bearer {key}\r\n"
        f"Content-Type: text/csv\r\nContent-Length: {announced_bytes}\r\n\r\n"
    )
    with socket.create_connection((str(address.hostname), address.port or 80), timeout=20) as client:
        client.sendall(head.encode())
        yield client
