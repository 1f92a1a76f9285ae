"""A result as Parquet: asked for, made by a worker, given, removed; and what becomes of it when things go wrong."""

from __future__ import annotations

import csv
import io
import json
import signal
from datetime import timedelta
from hashlib import sha256
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from django.db.models import F

from predictions import broker, dispatch, expiry, exports, files, leases, lost_messages, recovery, submission
from predictions.errors import ExportFailed, ResultExpired, WrongState
from predictions.leases import ExportClaim
from predictions.model_cards import ModelCard
from predictions.models import Chunk, Export, Job, utc_now
from predictions.submission import Wishes
from predictions.worker import export as export_work
from predictions.worker import part
from predictions.worker.runtime import Model, models
from tests.conftest import StartWorker
from tests.predictions.calling import Caller, detail
from tests.predictions.jobs import claimed_chunk, csv_of, now, receive, submit_rows
from tests.processes import end, eventually

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis_server")]
LONG_AGO = utc_now() - timedelta(days=400)


@pytest.fixture
def model(digits: ModelCard) -> Model:
    return models.get(digits.ref)


@pytest.fixture
def caller(user: Any) -> Caller:
    return Caller(user)


def scored(job: Job, model: Model) -> Job:
    for number in range(job.chunks):
        part.work_on(claimed_chunk(job, number), model)
    return now(job)


def claimed(job: Job, worker: str = "batch@test") -> ExportClaim:
    export = exports.ask(job)
    claim = leases.claim_export(job.pk, export.pk, export.attempt, worker)
    assert claim is not None
    return claim


def made(job: Job, model: Model) -> pa.Table:
    claim = claimed(job)
    export_work.work_on(claim, model)
    return pq.read_table(pa.BufferReader(files.read(files.export_key(job.pk, claim.attempt))))


def csv_rows(caller: Caller, job: Job) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(caller.stream(f"/jobs/{job.pk}/result")[1].decode())))


def told_like_csv(table: pa.Table) -> list[dict[str, str]]:
    rows = table.drop_columns(["top"]).to_pylist()
    return [
        {name: str(value) for name, value in row.items()} | {"confidence": f"{row['confidence']:.4f}"} for row in rows
    ]


def test_it_holds_the_rows_of_the_csv_and_the_likeliest_classes(
    user: Any, digits: ModelCard, model: Model, caller: Caller
) -> None:
    job = scored(submit_rows(user, digits, rows=500, parts=3), model)
    table = made(job, model)
    assert told_like_csv(table) == csv_rows(caller, job)
    top = table.column("top").to_pylist()
    assert all(len(row) == 5 for row in top)
    assert [row[0] for row in top] == table.select(["class", "label", "confidence"]).to_pylist()
    assert all(row[n]["confidence"] >= row[n + 1]["confidence"] for row in top for n in range(4))


def test_rows_that_were_skipped_are_left_out_and_ids_stay_as_they_came(
    user: Any, digits: ModelCard, model: Model
) -> None:
    lines = csv_of(digits, 4).splitlines()
    lines = [b"id," + lines[0], *(f"=id{n},".encode() + line for n, line in enumerate(lines[1:]))]
    lines[2] = b"=id1,abc" + lines[2][lines[2].index(b",", 5) :]
    upload = receive(user, "ids.csv", [b"\n".join(lines)], digits)
    job = scored(submission.submit_batch(user, upload, Wishes(on_bad_row="skip"))[0], model)
    table = made(job, model)
    assert table.select(["row", "id"]).to_pylist() == [
        {"row": 1, "id": "=id0"},
        {"row": 3, "id": "=id2"},
        {"row": 4, "id": "=id3"},
    ]


def test_a_part_that_was_stopped_gives_the_rows_it_kept(
    user: Any, digits: ModelCard, model: Model, caller: Caller
) -> None:
    job = scored(submit_rows(user, digits, rows=10_000), model)
    key = files.result_key(job.pk, 0, 1)
    kept = b"".join(files.read(key).splitlines(keepends=True)[:9_000])  # in the part's second block
    files.write(key, kept)
    Chunk.objects.update(result_bytes=len(kept))
    assert told_like_csv(made(job, model)) == csv_rows(caller, job)


def test_its_size_and_sha256_are_kept(user: Any, digits: ModelCard, model: Model) -> None:
    job = scored(submit_rows(user, digits, rows=20), model)
    made(job, model)
    export = Export.objects.get()
    content = files.read(files.export_key(job.pk, 1))
    assert (export.state, export.done) == ("done", 20)
    assert (export.size_bytes, export.sha256) == (len(content), sha256(content).hexdigest())


def test_asked_twice_it_is_made_once(user: Any, digits: ModelCard, model: Model) -> None:
    job = scored(submit_rows(user, digits, rows=20), model)
    made(job, model)
    assert exports.ask(job).state == "done" and Export.objects.count() == 1


def test_a_job_that_goes_on_has_none(user: Any, digits: ModelCard) -> None:
    with pytest.raises(WrongState, match="once it has ended"):
        exports.ask(submit_rows(user, digits, rows=4))


def test_of_a_removed_result_none_is_made(user: Any, digits: ModelCard, model: Model) -> None:
    job = scored(submit_rows(user, digits, rows=4), model)
    claim = claimed(job)
    expiry.expire(job)
    export_work.work_on(claim, model)
    assert (Export.objects.get().state, Export.objects.get().error_text) == ("failed", exports.REMOVED)
    with pytest.raises(FileNotFoundError):
        files.read(files.export_key(job.pk, claim.attempt))
    with pytest.raises(ResultExpired):
        exports.ask(now(job))


def test_it_is_removed_with_the_result_and_its_bytes_count(user: Any, digits: ModelCard, model: Model) -> None:
    job = scored(submit_rows(user, digits, rows=4), model)
    made(job, model)
    size = Export.objects.get().size_bytes
    expiry.expire(job)
    assert now(job).freed_bytes > size
    Job.objects.update(removed=LONG_AGO)
    expiry.delete_result_files()
    with pytest.raises(FileNotFoundError):
        files.read(files.export_key(job.pk, 1))


def test_it_goes_with_the_history(user: Any, digits: ModelCard, model: Model) -> None:
    job = scored(submit_rows(user, digits, rows=4), model)
    made(job, model)
    Job.objects.update(finished=LONG_AGO)
    assert expiry.forget_history() == 1 and not Export.objects.exists()
    with pytest.raises(FileNotFoundError):
        files.read(files.export_key(job.pk, 1))


def test_what_a_dead_worker_held_is_queued_again_and_fails_at_the_third_death(
    user: Any, digits: ModelCard, model: Model
) -> None:
    job = scored(submit_rows(user, digits, rows=4), model)
    for death in range(3):
        first = claimed(job)
        Export.objects.update(lease_until=1.0)
        assert eventually(recovery.reap)  # not while the publisher's thread has its row
        assert Export.objects.get().crashes == death + 1
        assert not exports.finish(first, 4, 1, "")
    assert Export.objects.get().error_text == "3 workers died on it; the last was batch@test."
    with pytest.raises(ExportFailed, match="could not be made: 3 workers died"):
        exports.ask_unless_it_just_failed(job)
    Export.objects.update(finished=F("finished") - timedelta(seconds=60))
    assert (exports.ask_unless_it_just_failed(job).state, Export.objects.get().crashes) == ("queued", 0)


def test_a_lease_is_kept_by_its_attempt(user: Any, digits: ModelCard, model: Model) -> None:
    job = scored(submit_rows(user, digits, rows=4), model)
    claim = claimed(job)
    assert leases.renew([claim]) == {claim.key}
    Export.objects.update(attempt=9)
    assert leases.renew([claim]) == set()


def test_a_message_whose_attempt_has_gone_by_claims_nothing(user: Any, digits: ModelCard, model: Model) -> None:
    job = scored(submit_rows(user, digits, rows=4), model)
    claim = claimed(job)
    assert leases.claim_export(job.pk, claim.export_id, 0, "other@test") is None


@pytest.mark.usefixtures("clean_redis")
def test_a_message_that_redis_lost_is_sent_again(user: Any, digits: ModelCard, model: Model) -> None:
    job = scored(submit_rows(user, digits, rows=4), model)
    exports.ask(job)
    assert eventually(lambda: Export.objects.get().publish_at is None)
    broker.client().flushall()
    census = lost_messages.Census()
    assert sum(census.check() for _ in range(lost_messages.LOOKS)) == 1
    assert recovery.publish_due(dispatch.Sender()) == 1 and broker.depths()["default"].waiting == 1


def test_without_a_worker_a_program_is_told_to_come_back(
    user: Any, digits: ModelCard, model: Model, caller: Caller
) -> None:
    job = scored(submit_rows(user, digits, rows=4), model)
    answer = caller.get(f"/jobs/{job.pk}/result?format=parquet", Prefer="wait=0")
    assert (answer.status_code, answer["Retry-After"]) == (202, "2")
    assert answer.json() == {"status": "preparing", "progress": {"done": 0, "total": 4}}


def test_a_failure_is_told_as_a_problem(user: Any, digits: ModelCard, model: Model, caller: Caller) -> None:
    job = scored(submit_rows(user, digits, rows=4), model)
    exports.fail(claimed(job), "It broke.")
    answer = caller.get(f"/jobs/{job.pk}/result?format=parquet")
    assert answer.status_code == 503 and "could not be made: It broke." in detail(answer)


def test_a_worker_makes_it_while_the_program_waits(
    a_worker: StartWorker, web: str, user: Any, digits: ModelCard, caller: Caller
) -> None:
    a_worker("batch,default")
    job = submit_rows(user, digits, rows=3_000, parts=3)
    assert eventually(lambda: now(job).has_ended) and now(job).state == "succeeded", now(job).error
    address = f"{web}/api/v1/jobs/{job.pk}/result?format=parquet"
    whole = httpx.get(address, headers=caller.headers, timeout=40)
    assert (whole.status_code, whole.headers["Content-Type"]) == (200, "application/vnd.apache.parquet")
    assert pq.read_table(pa.BufferReader(whole.content)).num_rows == 3_000
    rest = httpx.get(address, headers=caller.headers | {"Range": "bytes=100-", "If-Range": whole.headers["ETag"]})
    assert (rest.status_code, rest.content) == (206, whole.content[100:])


@pytest.mark.long
@pytest.mark.usefixtures("steward")
def test_the_file_of_a_killed_worker_is_made_by_another(a_worker: StartWorker, user: Any, digits: ModelCard) -> None:
    first = a_worker("batch,default")
    job = submit_rows(user, digits, rows=60_000, parts=12)
    assert eventually(lambda: now(job).has_ended, 60)
    exports.ask(now(job))
    assert eventually(lambda: Export.objects.get().state == "running", every_s=0.001)
    end(first, signal.SIGKILL)
    a_worker("batch,default")
    assert eventually(lambda: Export.objects.get().state == "done", 60)
    export = Export.objects.get()
    assert (export.attempt, export.crashes, export.done) == (2, 1, 60_000)
    assert json.dumps(export.sha256) and files.read(files.export_key(job.pk, 2))
