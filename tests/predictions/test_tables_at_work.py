"""A table of each kind from the API to its result, in a folder and in a bucket: the same bytes as the same rows in a CSV."""

from __future__ import annotations

from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pytest

from predictions import files, keys
from predictions.model_cards import ModelCard
from predictions.models import Chunk, Job, State
from predictions.worker import part
from predictions.worker.runtime import models
from tests import processes
from tests.conftest import StartWorker, database
from tests.predictions import s3
from tests.predictions.calling import Caller
from tests.predictions.jobs import claimed_chunk, csv_of, now
from tests.predictions.tables import file_of, npy_of, parquet_of, stream_of

pytestmark = pytest.mark.django_db(transaction=True)
ROWS = 40


@pytest.fixture
def caller(user: Any, redis_server: Any) -> Caller:
    return Caller(user)


def values_of(card: ModelCard, rows: int = ROWS) -> np.ndarray[Any, Any]:
    return np.array([card.examples[row % 10]["vector"] for row in range(rows)], dtype=np.float64)


def bodies(card: ModelCard) -> dict[str, tuple[str, bytes]]:
    values = values_of(card)
    table = pa.table({name: values[:, at] for at, name in enumerate(card.features)})
    return {
        "csv": ("text/csv", csv_of(card, ROWS)),
        "stream": ("application/vnd.apache.arrow.stream", stream_of(table)),
        "file": ("application/octet-stream", file_of(table)),
        "npy": ("application/x-npy", npy_of(values)),
        "parquet": ("application/vnd.apache.parquet", parquet_of(table)),
    }


def result_of(job: Job, card: ModelCard) -> bytes:
    part.work_on(claimed_chunk(job), models.get(card.ref))
    assert now(job).state == State.SUCCEEDED, now(job).error
    chunk = Chunk.objects.get(job=job)
    return files.read(files.result_key(job.pk, 0, chunk.result_attempt or 0))


@pytest.mark.parametrize("kind", ["stream", "file", "npy", "parquet"])
def test_a_table_is_scored_to_the_same_bytes_as_a_csv(caller: Caller, digits: ModelCard, kind: str) -> None:
    results = []
    for content_type, body in (bodies(digits)[kind], bodies(digits)["csv"]):
        answer = caller.post("/batch-predict", body, content_type)
        assert answer.status_code == 202, answer.content
        results.append(result_of(Job.objects.get(pk=answer.json()["id"]), digits))
    assert results[0] == results[1] and results[0].count(b"\n") == ROWS


def test_a_table_in_a_form_is_told_by_its_first_bytes_and_its_bad_rows_are_skipped(
    caller: Caller, digits: ModelCard
) -> None:
    values = values_of(digits)
    values[6, 2] = np.inf
    answer = caller.send_file(npy_of(values), "whatever.csv", on_bad_row="skip")
    assert answer.status_code == 202, answer.content
    job = Job.objects.get(pk=answer.json()["id"])
    assert result_of(job, digits).count(b"\n") == ROWS - 1
    chunk = Chunk.objects.get(job=job)
    rejected = files.read(files.rejected_key(job.pk, 0, chunk.result_attempt or 0))
    assert rejected == f",7,{digits.features[2]},inf,not finite\n".encode()


def test_bad_cells_of_a_table_are_answered_with_their_row_and_no_line(caller: Caller, digits: ModelCard) -> None:
    values = values_of(digits)
    values[6, 2] = np.nan
    answer = caller.post("/batch-predict", npy_of(values), "application/x-npy")
    place = {"row": 7, "column": digits.features[2], "value": "nan", "message": "not finite"}
    assert (answer.status_code, answer.json()["errors"]) == (422, [place])


@pytest.mark.long
def test_a_whole_batch_runs_on_a_bucket(
    a_worker: StartWorker, user: Any, digits: ModelCard, monkeypatch: pytest.MonkeyPatch
) -> None:
    with s3.kept_in_bucket(monkeypatch) as address, processes.web(database(), "web-on-s3") as web:
        a_worker("batch")
        headers = {"Authorization": f"Bearer {keys.create(user, 'test')[1]}", "Content-Type": "application/x-npy"}
        many = npy_of(values_of(digits, 40_000).astype(np.float32))
        sent = httpx.post(f"{web}/api/v1/batch-predict", content=many, headers=headers, timeout=30)
        assert sent.status_code == 202, sent.text
        job = f"{web}/api/v1/jobs/{sent.json()['id']}"
        assert processes.eventually(lambda: httpx.get(job, headers=headers).json()["status"] == "succeeded", 60)
        lines = httpx.get(f"{job}/result", headers=headers).text.splitlines()
        assert len(lines) == 40_001 and lines[-1].split(",")[:2] == ["40000", "9"]
        stored = s3.client(address).list_objects_v2(Bucket=s3.BUCKET)["Contents"]
        assert sorted(item["Key"].split("/")[1] for item in stored) == ["results"] * 3 + ["uploads"] * 3
