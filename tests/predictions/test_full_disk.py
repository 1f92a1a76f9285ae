"""A disk that is full under DATA_DIR: a sentence and 503, nothing half-written, and work goes on once there is room."""

from __future__ import annotations

import errno
import resource
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from django.conf import settings as django_settings
from django.db import connection
from django.test import Client

from predictions import files
from predictions.local_files import LocalFiles, LocalWriting
from predictions.model_cards import ModelCard
from predictions.models import Event, Job, Upload
from predictions.worker import insisting, part
from predictions.worker.runtime import models
from tests.predictions.calling import Caller, detail, upload_from
from tests.predictions.jobs import claimed_chunk, csv_of, now, submit_rows
from tests.predictions.tables import parquet_of

pytestmark = pytest.mark.django_db(transaction=True)
SCRIPT = {"HX-Request": "true"}
ROW = ",".join(["1"] * 64)


@contextmanager
def no_room_for_files(most_bytes: int = 1000) -> Iterator[None]:
    """No file of this process grows past `most_bytes`: the system's own refusal, half-way through a write."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)


def kept_files() -> set[Path]:
    return {path for path in (django_settings.DATA_DIR / "files").rglob("*") if path.is_file()}


@pytest.fixture
def caller(user: Any, redis_server: Any) -> Caller:
    return Caller(user)


def test_a_write_that_fails_leaves_no_half_of_a_file() -> None:
    before = kept_files()
    with no_room_for_files(), pytest.raises(OSError):
        files.write("uploads/full/000000.csv", b"x" * 5000)
    assert kept_files() == before
    files.write("uploads/full/000000.csv", b"x" * 5000)
    assert len(files.read("uploads/full/000000.csv")) == 5000
    files.delete(["uploads/full/000000.csv"])
    assert kept_files() == before


class HalfOfIt(LocalWriting):
    """Its second half finds no room."""

    def write(self, content: bytes) -> None:
        super().write(content[: len(content) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")


class FullStorage(LocalFiles):
    """Half of a file gets onto the disk, then there is no room."""

    def writing(self, name: str) -> LocalWriting:
        return HalfOfIt(Path(self.path(name)))


@pytest.fixture
def full_storage(settings: Any) -> None:
    default = {**settings.STORAGES["default"], "BACKEND": f"{__name__}.FullStorage"}
    settings.STORAGES = {**settings.STORAGES, "default": default}


def test_a_file_sent_to_the_api_is_answered_503_and_nothing_is_left(
    caller: Caller, digits: ModelCard, full_storage: None
) -> None:
    before = kept_files()
    answer = caller.send_file(csv_of(digits, 10))
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert detail(answer) == "The storage cannot take this now. Try again in 5 s."
    assert kept_files() == before and not Upload.objects.exists() and not Job.objects.exists()


@pytest.mark.parametrize("rows", [10, 3_000])
def test_a_table_that_finds_no_room_to_be_set_aside_is_answered_503(
    caller: Caller, digits: ModelCard, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_: Path("/dev/full").open("r+b"))  # noqa: SIM115
    table = pa.table({name: np.random.default_rng(0).random(rows) for name in digits.features})
    answer = caller.post("/batch-predict", parquet_of(table), "application/vnd.apache.parquet")
    assert (answer.status_code, detail(answer)) == (503, "The storage cannot take this now. Try again in 5 s.")
    assert not Upload.objects.exists() and not Job.objects.exists()


def test_a_file_dropped_on_the_page_is_answered_with_the_sentence(
    client: Client, user: Any, digits: ModelCard, full_storage: None
) -> None:
    client.force_login(user)
    before = kept_files()
    address = "/drafts/?name=a.csv&model=digits@1"
    answer = upload_from(client, address, csv_of(digits, 10), "text/csv", HX_Request="true")
    assert (answer.status_code, b"The storage cannot take this now." in answer.content) == (503, True)
    assert kept_files() == before and not Upload.objects.exists()


@pytest.fixture
def on_sqlite() -> None:
    if connection.vendor != "sqlite":
        pytest.skip("the disk of a database server is not this process's")


def test_a_database_without_room_takes_no_job_says_so_and_takes_one_again(
    caller: Caller, digits: ModelCard, on_sqlite: None
) -> None:
    body = list(digits.examples[3]["vector"])
    with no_room_for_files():
        refused, read = caller.post("/predict", body), caller.get("/jobs")
    assert (refused.status_code, refused.headers["Retry-After"], read.status_code) == (503, "5", 200)
    assert detail(refused) == "The database cannot take this now. Try again in 5 s."
    assert caller.post("/predict", body).status_code == 202 and Job.objects.count() == 1


def test_the_pages_can_be_read_while_a_submit_is_told_to_try_again(
    client: Client, user: Any, digits: ModelCard, redis_server: Any, on_sqlite: None
) -> None:
    client.force_login(user)
    client.raise_request_exception = False
    vector = {"vector": ROW, "priority": "9"}
    with no_room_for_files():
        told = client.post("/submit/vector/", vector, headers=SCRIPT)
        page = client.post("/submit/vector/", vector)
        read = client.get("/jobs/")
    assert (told.status_code, page.status_code, read.status_code) == (503, 503, 200)
    assert told.headers["Retry-After"] == page.headers["Retry-After"] == "5"
    assert all(b"The database cannot take this now." in answer.content for answer in (told, page))
    assert b"<html" in page.content and b"<html" not in told.content
    assert client.post("/submit/vector/", vector, headers=SCRIPT).status_code == 200


def test_a_part_whose_result_cannot_be_written_is_insisted_on_and_then_has_one_more_try(
    user: Any, digits: ModelCard, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    monkeypatch.setattr(insisting, "FOR_S", 1.2)
    monkeypatch.setattr(insisting, "AGAIN_AFTER_S", 0.1)
    job = submit_rows(user, digits, rows=10)
    default = {**settings.STORAGES["default"], "BACKEND": f"{__name__}.FullStorage"}
    settings.STORAGES = {**settings.STORAGES, "default": default}
    model = models.get(digits.ref)
    assert part.work_on(claimed_chunk(job), model) is None and now(job).retries == 1
    part.work_on(claimed_chunk(job), model)
    assert now(job).error == {"code": "storage_error", "message": "[Errno 28] No space left on device"}
    assert "tried again in 5 s" in Event.objects.get().text
