from __future__ import annotations

import json
from typing import Any

import pytest

from predictions import expiry, files, outcomes, result_files, result_json, revocation, turns
from predictions.errors import NotFound, ResultExpired
from predictions.leases import ChunkClaim
from predictions.model_cards import ModelCard
from predictions.models import Chunk, Job, State
from predictions.outcomes import Ending
from predictions.result_files import demand_rejected, demand_result
from predictions.tallies import Scored
from tests.predictions.calling import Caller, detail
from tests.predictions.jobs import SUCCESS, claimed, claimed_chunk, csv_of, now, submit_digit, submit_rows

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def caller(user: Any, redis_server: Any) -> Caller:
    return Caller(user)


def score(job: Job, number: int, rejected: bytes = b"") -> None:
    leave(job, claimed_chunk(job, number), rejected)


def leave(job: Job, claim: ChunkClaim, rejected: bytes = b"") -> None:
    """What a worker leaves of one part, each of its rows a 3."""
    number, first = claim.chunk.number, claim.chunk.first_row
    lines = "".join(f"{row},3,3,0.9\n" for row in range(first, first + claim.chunk.rows)).encode()
    files.write(files.result_key(job.pk, number, claim.attempt), lines)
    files.write(files.rejected_key(job.pk, number, claim.attempt), rejected)
    sizes = {"result_bytes": len(lines), "rejected_bytes": len(rejected), "rejected": rejected.count(b"\n")}
    turns.finish_chunk(claim, Scored(scored=claim.chunk.rows, **sizes))


def test_the_rows_come_in_the_inputs_order_with_their_length(caller: Caller, user: Any, digits: ModelCard) -> None:
    job = submit_rows(user, digits, rows=4, parts=2)
    for claim in reversed([claimed_chunk(job, 0), claimed_chunk(job, 1)]):
        leave(job, claim)
    answer, body = caller.stream(f"/jobs/{job.pk}/result")
    assert body == b"row,class,label,confidence\n1,3,3,0.9\n2,3,3,0.9\n3,3,3,0.9\n4,3,3,0.9\n"
    assert (int(answer["Content-Length"]), answer["Content-Type"]) == (len(body), "text/csv; charset=utf-8")


def test_an_id_column_of_the_input_stands_in_the_header(caller: Caller, user: Any, digits: ModelCard) -> None:
    rows = csv_of(digits, 1).splitlines()
    body = b"id," + rows[0] + b"\na," + rows[1] + b"\n"
    job = now(Job(pk=caller.send_file(body).json()["id"]))
    claim = claimed_chunk(job)
    files.write(files.result_key(job.pk, 0, claim.attempt), b'1,"a,""b",3,3,0.5\n')
    turns.finish_chunk(claim, Scored(scored=1, result_bytes=18))
    assert caller.stream(f"/jobs/{job.pk}/result")[1] == b'row,id,class,label,confidence\n1,"a,""b",3,3,0.5\n'
    rows_json = json.loads(caller.stream(f"/jobs/{job.pk}/result?format=json")[1])
    assert rows_json == [{"row": 1, "id": 'a,"b', "class": 3, "label": "3", "confidence": 0.5}]


def test_json_is_the_same_rows_as_objects(caller: Caller, user: Any, digits: ModelCard) -> None:
    job = submit_rows(user, digits, rows=4, parts=2)
    score(job, 0)
    score(job, 1)
    answer, body = caller.stream(f"/jobs/{job.pk}/result?format=json")
    assert [row["row"] for row in json.loads(body)] == [1, 2, 3, 4] and answer["Content-Type"] == "application/json"


def test_a_page_of_rows_is_read_from_the_parts_that_hold_it(caller: Caller, user: Any, digits: ModelCard) -> None:
    job = submit_rows(user, digits, rows=9, parts=3)
    for number in range(3):
        score(job, number)
    files.delete([files.result_key(job.pk, 0, 1)])  # the first part is not needed
    page = caller.get(f"/jobs/{job.pk}/result?format=json&after_row=4&limit=3").json()
    assert ([row["row"] for row in page["items"]], page["next"]) == ([5, 6, 7], 7)
    assert page["items"][0] == {"row": 5, "class": 3, "label": "3", "confidence": 0.9}
    last = caller.get(f"/jobs/{job.pk}/result?format=json&after_row=7").json()
    assert ([row["row"] for row in last["items"]], last["next"]) == ([8, 9], None)
    assert caller.get(f"/jobs/{job.pk}/result?format=json&after_row=9").json() == {"items": [], "next": None}


def test_a_page_has_ten_thousand_rows_at_most(caller: Caller, user: Any, digits: ModelCard) -> None:
    job = submit_rows(user, digits, rows=2)
    score(job, 0)
    answer = caller.get(f"/jobs/{job.pk}/result?format=json&limit=10001")
    assert answer.status_code == 422 and "10000" in detail(answer)


def test_pages_follow_each_other_through_blocks_of_any_size(
    user: Any, digits: ModelCard, redis_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "BLOCK_BYTES", 7)
    job = submit_rows(user, digits, rows=40, parts=2)
    score(job, 0)
    score(job, 1)
    rows, after = list[int](), 0
    while after is not None:
        page = result_json.page(now(job), after, 7)
        rows, after = rows + [row["row"] for row in page["items"]], page["next"]
    assert rows == list(range(1, 41))


def test_what_is_finished_can_be_fetched_while_the_batch_goes_on(caller: Caller, user: Any, digits: ModelCard) -> None:
    job = submit_rows(user, digits, rows=6, parts=3)
    score(job, 1)
    first, body = caller.stream(f"/jobs/{job.pk}/result?partial=true")
    assert body == b"row,class,label,confidence\n3,3,3,0.9\n4,3,3,0.9\n"
    assert not first.has_header("Last-Modified") and "so-far" in first["Content-Disposition"]
    score(job, 0)
    score(job, 2)
    whole, body = caller.stream(f"/jobs/{job.pk}/result?partial=true")
    assert body.count(b"\n") == 7 and whole["ETag"] != first["ETag"]
    assert whole["ETag"] == caller.stream(f"/jobs/{job.pk}/result")[0]["ETag"]


def test_before_any_row_is_finished_there_is_only_the_header(caller: Caller, user: Any, digits: ModelCard) -> None:
    job = submit_rows(user, digits, rows=2)
    assert caller.stream(f"/jobs/{job.pk}/result?partial=true")[1] == b"row,class,label,confidence\n"


def test_a_running_vector_has_nothing_partial(caller: Caller, user: Any, digits: ModelCard) -> None:
    assert caller.get(f"/jobs/{submit_digit(user, digits).pk}/result?partial=true").status_code == 409


def test_a_part_scored_by_another_attempt_is_another_file(user: Any, digits: ModelCard, redis_server: Any) -> None:
    job = submit_rows(user, digits, rows=2)
    score(job, 0)
    before = result_files.result(now(job)).etag
    Chunk.objects.update(result_attempt=2)
    assert result_files.result(now(job)).etag != before
    Chunk.objects.update(result_sha256="ab")
    known = result_files.result(now(job)).etag
    Chunk.objects.update(result_attempt=1)
    assert result_files.result(now(job)).etag == known


def test_head_of_a_result_tells_its_size(caller: Caller, user: Any, digits: ModelCard) -> None:
    job = submit_rows(user, digits, rows=2)
    score(job, 0)
    answer = caller.call("HEAD", f"/jobs/{job.pk}/result")
    assert (answer.status_code, answer["Content-Length"], answer.content) == (200, "47", b"")
    answer = caller.call("HEAD", f"/jobs/{job.pk}/result?format=json")
    assert (answer.status_code, answer.streaming) == (200, False)


def test_a_stopped_batch_gives_the_rows_it_kept(caller: Caller, user: Any, digits: ModelCard) -> None:
    job = submit_rows(user, digits, rows=4, parts=2)
    score(job, 0)
    revocation.revoke(now(job), user)
    assert caller.stream(f"/jobs/{job.pk}/result")[1].count(b"\n") == 3


def test_a_batch_past_its_soft_time_limit_gives_the_rows_it_kept(
    caller: Caller, user: Any, digits: ModelCard, settings: Any
) -> None:
    settings.BATCH_SOFT_TIME_LIMIT = 1
    job = submit_rows(user, digits, rows=4, parts=2)
    claim = claimed_chunk(job, 0)
    files.write(files.result_key(job.pk, 0, claim.attempt), b"1,3,3,0.9\n")
    turns.finish_chunk(claim, Scored(scored=1, result_bytes=10, spent_s=1.5, cut_short=True))
    told = caller.get(f"/jobs/{job.pk}").json()
    assert told["error"]["code"] == "soft_time_limit" and "cut_short" not in told["summary"]
    answer, body = caller.stream(f"/jobs/{job.pk}/result")
    assert (int(answer["Content-Length"]), body) == (len(body), b"row,class,label,confidence\n1,3,3,0.9\n")


def test_a_batch_that_was_stopped_before_any_row_has_no_result(user: Any, digits: ModelCard, redis_server: Any) -> None:
    job = revocation.revoke(submit_rows(user, digits, rows=2), user)
    with pytest.raises(NotFound, match="no row of it was scored"):
        demand_result(job)


def test_bad_rows_that_fail_the_batch_leave_no_result(user: Any, digits: ModelCard, redis_server: Any) -> None:
    job = submit_rows(user, digits, rows=2)
    score(job, 0, rejected=b"3,2,pixel_0_0,x,no\n")
    assert now(job).state == State.FAILED
    with pytest.raises(NotFound, match="on_bad_row=reject"):
        demand_result(now(job))


def test_rejected_rows_are_told_with_line_and_reason(caller: Caller, user: Any, digits: ModelCard) -> None:
    job = submit_rows(user, digits, rows=2, on_bad_row="skip")
    score(job, 0, rejected=b"3,2,pixel_0_0,x,'x' is not a number\n")
    answer, body = caller.stream(f"/jobs/{job.pk}/rejected")
    assert body == b"line,row,column,value,reason\n3,2,pixel_0_0,x,'x' is not a number\n"
    assert int(answer["Content-Length"]) == len(body)


def test_rows_that_failed_the_batch_can_be_fetched_too(caller: Caller, user: Any, digits: ModelCard) -> None:
    job = submit_rows(user, digits, rows=2)
    score(job, 0, rejected=b"3,2,pixel_0_0,x,no\n")
    assert now(job).state == State.FAILED
    assert caller.stream(f"/jobs/{job.pk}/rejected")[1] == b"line,row,column,value,reason\n3,2,pixel_0_0,x,no\n"


def test_a_batch_without_bad_rows_has_an_empty_list_of_them(caller: Caller, user: Any, digits: ModelCard) -> None:
    job = submit_rows(user, digits, rows=2, on_bad_row="skip")
    score(job, 0)
    assert caller.stream(f"/jobs/{job.pk}/rejected")[1] == b"line,row,column,value,reason\n"


def test_a_job_that_refuses_bad_rows_keeps_none(user: Any, digits: ModelCard, redis_server: Any) -> None:
    with pytest.raises(NotFound, match="on_bad_row=skip"):
        demand_rejected(submit_rows(user, digits, rows=2))


def test_a_result_is_409_until_the_job_has_ended(caller: Caller, user: Any, digits: ModelCard) -> None:
    batch = submit_rows(user, digits, rows=2, on_bad_row="skip")
    paths = [f"/jobs/{submit_digit(user, digits).pk}/result", f"/jobs/{batch.pk}/result", f"/jobs/{batch.pk}/rejected"]
    assert [caller.get(path).status_code for path in paths] == [409, 409, 409]


def test_a_prediction_is_what_the_worker_found(caller: Caller, user: Any, digits: ModelCard) -> None:
    job = submit_digit(user, digits)
    outcomes.finish(job.pk, claimed(job).attempt, SUCCESS)
    assert caller.get(f"/jobs/{job.pk}/result").json() == SUCCESS.result


def test_a_result_that_expired_is_410(caller: Caller, user: Any, digits: ModelCard) -> None:
    job = submit_digit(user, digits)
    outcomes.finish(job.pk, claimed(job).attempt, SUCCESS)
    expiry.expire(now(job))
    answer = caller.get(f"/jobs/{job.pk}/result")
    assert answer.status_code == 410 and "expired" in detail(answer)


def test_the_rows_of_a_stopped_batch_expire_too(user: Any, digits: ModelCard, redis_server: Any) -> None:
    job = submit_rows(user, digits, rows=4, parts=2)
    score(job, 0)
    expiry.expire(revocation.revoke(now(job), user))
    with pytest.raises(ResultExpired):
        demand_result(now(job))


def test_a_result_that_was_never_stored_is_404_also_later(caller: Caller, user: Any, digits: ModelCard) -> None:
    job = submit_digit(user, digits, store=False)
    outcomes.finish(job.pk, claimed(job).attempt, SUCCESS)
    assert caller.get(f"/jobs/{job.pk}/result").status_code == 404
    expiry.expire(now(job))
    assert caller.get(f"/jobs/{job.pk}/result").status_code == 404


def test_a_failed_job_has_no_result(caller: Caller, user: Any, digits: ModelCard) -> None:
    job = submit_digit(user, digits)
    outcomes.finish(job.pk, claimed(job).attempt, Ending(State.FAILED, error={"code": "x", "message": "It broke."}))
    assert caller.get(f"/jobs/{job.pk}/result").status_code == 404


def test_a_format_that_is_not_given_is_422_and_says_which_are(caller: Caller, user: Any, digits: ModelCard) -> None:
    answer = caller.get(f"/jobs/{submit_rows(user, digits, rows=2).pk}/result?format=xlsx")
    assert answer.status_code == 422 and "'csv', 'json' or 'parquet'" in detail(answer)
