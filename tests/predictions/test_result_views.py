"""What a batch left: its first rows on the page, and its files."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.test import AsyncClient, Client

from predictions import expiry, exports, files, leases, result_rows, revocation, turns
from predictions.models import Export, Job
from predictions.tallies import Scored
from tests.predictions.jobs import claimed_chunk, now, submit_digit, submit_rows
from tests.predictions.test_job_views import ended, signed_in
from tests.processes import eventually

pytestmark = pytest.mark.django_db(transaction=True)
LINES = [b"1,3,3,0.9000\n", b"2,7,7,0.4000\n", b"3,3,3,0.8000\n"]


@pytest.fixture
def ana(user: Any) -> Client:
    return signed_in(user)


def score(job: Job, number: int = 0, rejected: bytes = b"") -> None:
    """As the worker does: the part's files, then its finish."""
    claim = claimed_chunk(job, number)
    result = b"".join(LINES)
    files.write(files.result_key(job.pk, number, claim.attempt), result)
    files.write(files.rejected_key(job.pk, number, claim.attempt), rejected)
    made = Scored(
        scored=3, result_bytes=len(result), rejected=int(bool(rejected)), rejected_bytes=len(rejected), spent_s=0.01
    )
    made.class_counts.update({"3": 2, "7": 1})
    turns.finish_chunk(claim, made)


def download(person: Any, job: Job, name: str = "result.csv") -> tuple[Any, bytes]:
    return async_to_sync(_download)(person, f"/jobs/{job.pk}/{name}")


async def _download(person: Any, path: str) -> tuple[Any, bytes]:
    client = AsyncClient()
    await client.aforce_login(person)
    answer: Any = await client.get(path)
    return answer, b"".join([block async for block in answer.streaming_content]) if answer.streaming else answer.content


def test_the_file_is_streamed_whole_with_its_length_and_a_name(user: Any, digits: Any) -> None:
    job = submit_rows(user, digits, 3)
    score(job)
    answer, body = download(user, job)
    assert body == b"row,class,label,confidence\n" + b"".join(LINES) and int(answer["Content-Length"]) == len(body)
    assert answer["Content-Disposition"] == f'attachment; filename="digits-result-{str(job.pk)[-8:]}.csv"'


def test_a_revoked_batch_gives_the_rows_it_finished(user: Any, digits: Any) -> None:
    job = submit_rows(user, digits, 6, parts=2)
    score(job)
    revocation.revoke(job, user)
    assert download(user, job)[1].endswith(LINES[-1])


def test_a_running_batch_has_no_file_yet(user: Any, digits: Any) -> None:
    job = submit_rows(user, digits, 6, parts=2)
    score(job)
    answer, body = download(user, job)
    assert answer.status_code == 409 and b"can be fetched once it has ended" in body


def cut_short(job: Job) -> None:
    """As the worker does when the soft limit stops the part between two blocks."""
    claim = claimed_chunk(job)
    result = b"".join(LINES)
    files.write(files.result_key(job.pk, 0, claim.attempt), result)
    made = Scored(scored=3, result_bytes=len(result), spent_s=300, cut_short=True)
    made.class_counts.update({"3": 2, "7": 1})
    turns.finish_chunk(claim, made)


def test_a_batch_past_its_soft_time_limit_gives_the_rows_it_kept(ana: Client, user: Any, digits: Any) -> None:
    job = submit_rows(user, digits, 6)
    cut_short(job)
    assert download(user, job)[1] == b"row,class,label,confidence\n" + b"".join(LINES)
    shown = ana.get(f"/jobs/{job.pk}/").content.decode()
    assert "Stopped after 300.0 s of work; the limit is 270 s. 3 of 6 rows are kept." in shown
    assert f'href="/jobs/{job.pk}/result.csv"' in shown and "Showing 3 of 3 rows" in shown


def test_the_page_says_when_the_rows_of_such_a_batch_were_removed(ana: Client, user: Any, digits: Any) -> None:
    job = submit_rows(user, digits, 6)
    cut_short(job)
    expiry.expire(now(job))
    shown = ana.get(f"/jobs/{job.pk}/").content.decode()
    assert "The finished rows were removed" in shown and "result.csv" not in shown


def test_an_expired_file_is_gone(user: Any, digits: Any) -> None:
    job = submit_rows(user, digits, 3)
    score(job)
    expiry.expire(now(job))
    assert download(user, job)[0].status_code == 410


def test_a_vector_has_no_file(user: Any, digits: Any) -> None:
    assert download(user, ended(submit_digit(user, digits)))[0].status_code == 404


def test_rejected_rows_are_a_file_of_their_own(user: Any, digits: Any) -> None:
    job = submit_rows(user, digits, 4, on_bad_row="skip")
    score(job, rejected=b"3,2,pixel_0_1,abc,'abc' is not a number\n")
    answer, body = download(user, job, "rejected.csv")
    assert body.startswith(b"line,row,column,value,reason\n3,2,pixel_0_1") and int(answer["Content-Length"]) == len(
        body
    )


def test_the_page_shows_the_first_rows_and_the_file(ana: Client, user: Any, digits: Any) -> None:
    job = submit_rows(user, digits, 3)
    score(job)
    shown = ana.get(f"/jobs/{job.pk}/").content.decode()
    assert "Showing 3 of 3 rows" in shown and f'href="/jobs/{job.pk}/result.csv"' in shown


def test_rows_are_shown_of_one_class_with_the_least_sure_first(ana: Client, user: Any, digits: Any) -> None:
    job = submit_rows(user, digits, 3)
    score(job)
    shown = ana.get(f"/jobs/{job.pk}/rows/?class=3&order=least-sure").content.decode()
    assert "Showing 2 of 2 rows of class 3" in shown and shown.index("80.0 %") < shown.index("90.0 %")


def test_rows_of_a_running_batch_say_which_part_they_are_of(ana: Client, user: Any, digits: Any) -> None:
    job = submit_rows(user, digits, 6, parts=2)
    score(job)
    assert "in the part of the file that was finished first" in ana.get(f"/jobs/{job.pk}/rows/").content.decode()


def test_of_a_part_with_very_many_rows_the_first_are_looked_at(
    ana: Client, user: Any, digits: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(result_rows, "LOOKED_AT", 2)
    job = submit_rows(user, digits, 3)
    score(job)
    assert "Showing 2 of 2 rows among the first 20,000." in ana.get(f"/jobs/{job.pk}/rows/").content.decode()


def test_no_rows_are_shown_once_they_are_removed(ana: Client, user: Any, digits: Any) -> None:
    job = submit_rows(user, digits, 3)
    score(job)
    expiry.expire(now(job))
    assert "Showing" not in ana.get(f"/jobs/{job.pk}/rows/").content.decode()


def test_store_false_offers_no_file(ana: Client, user: Any, digits: Any) -> None:
    job = submit_rows(user, digits, 3, store=False)
    score(job)
    shown = ana.get(f"/jobs/{job.pk}/").content.decode()
    assert "ran with store: false" in shown and "result.csv" not in shown and "Showing" not in shown


def test_rows_of_a_running_batch_can_be_downloaded_so_far(ana: Client, user: Any, digits: Any) -> None:
    job = submit_rows(user, digits, 6, parts=2)
    score(job)
    address = f"/jobs/{job.pk}/result.csv?partial=true"
    assert address in ana.get(f"/jobs/{job.pk}/").content.decode()
    assert download(user, job, "result.csv?partial=true")[1].endswith(LINES[-1])


def test_the_page_tells_the_sha256_of_each_file_once_it_is_known(ana: Client, user: Any, digits: Any) -> None:
    job = submit_rows(user, digits, 4, on_bad_row="skip")
    score(job, rejected=b"3,2,pixel_0_1,abc,'abc' is not a number\n")
    for name in ("result.csv", "rejected.csv"):
        known = sha256(download(user, job, name)[1]).hexdigest()
        assert eventually(lambda known=known: known in ana.get(f"/jobs/{job.pk}/").content.decode())
    assert now(job).result_sha256 == sha256(download(user, job)[1]).hexdigest()


def test_a_known_sha256_is_told_with_the_file(ana: Client, user: Any, digits: Any) -> None:
    job = submit_rows(user, digits, 3)
    score(job)
    assert not download(user, job)[0].has_header("Repr-Digest")
    Job.objects.update(result_sha256="ab" * 32)
    assert download(user, job)[0]["Repr-Digest"].startswith("sha-256=:q6ur")


def test_rows_that_failed_a_batch_are_offered(ana: Client, user: Any, digits: Any) -> None:
    job = submit_rows(user, digits, 4)
    score(job, rejected=b"3,2,pixel_0_1,abc,'abc' is not a number\n")
    shown = ana.get(f"/jobs/{job.pk}/").content.decode()
    assert f"/jobs/{job.pk}/rejected.csv" in shown and "result.csv" not in shown
    assert download(user, job, "rejected.csv")[1].count(b"\n") == 2


def make(client: Client, job: Job, **headers: str) -> Any:
    return client.post(f"/jobs/{job.pk}/parquet/", headers=headers)


def test_a_parquet_file_is_asked_for_on_the_page(ana: Client, user: Any, digits: Any) -> None:
    job = submit_rows(user, digits, 3)
    score(job)
    assert "Make a Parquet file" in ana.get(f"/jobs/{job.pk}/").content.decode()
    shown = make(ana, job, **{"HX-Request": "true"}).content.decode()
    assert "No worker serves default" in shown and "-Q batch,default" in shown and "Make a Parquet" not in shown
    assert make(ana, job).url == f"/jobs/{job.pk}/" and Export.objects.count() == 1


def test_a_parquet_file_that_is_made_is_a_link(ana: Client, user: Any, digits: Any) -> None:
    job = submit_rows(user, digits, 3)
    score(job)
    export = exports.ask(now(job))
    assert download(user, job, "result.parquet")[0].status_code == 404
    files.write(files.export_key(job.pk, 1), b"PAR1")
    claim = leases.claim_export(job.pk, export.pk, 0, "batch@test")
    assert claim and "is being made: 0 %" in ana.get(f"/jobs/{job.pk}/").content.decode()
    exports.finish(claim, 3, 4, "cd" * 32)
    shown = ana.get(f"/jobs/{job.pk}/").content.decode()
    assert f"/jobs/{job.pk}/result.parquet" in shown and "cd" * 32 in shown
    answer, body = download(user, job, "result.parquet")
    assert (answer["Content-Type"], body) == ("application/vnd.apache.parquet", b"PAR1")


def test_a_parquet_file_that_failed_says_why_and_is_tried_again(ana: Client, user: Any, digits: Any) -> None:
    job = submit_rows(user, digits, 3)
    score(job)
    claim = leases.claim_export(job.pk, exports.ask(now(job)).pk, 0, "batch@test")
    assert claim
    exports.fail(claim, "It broke.")
    shown = ana.get(f"/jobs/{job.pk}/").content.decode()
    assert "could not be made: It broke." in shown and "Try again" in shown
    make(ana, job)
    assert Export.objects.get().state == "queued"


def test_nobody_has_a_file_made_of_another_users_job(other_user: Any, user: Any, digits: Any) -> None:
    job = submit_rows(user, digits, 3)
    score(job)
    assert make(signed_in(other_user), job).status_code == 404
    assert download(other_user, job, "result.parquet")[0].status_code == 404
