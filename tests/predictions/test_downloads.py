"""A file in parts, as HTTP gives it: whole, in ranges, resumed, or not at all where it is unchanged."""

from __future__ import annotations

import asyncio
import base64
import subprocess
from collections.abc import Iterator
from concurrent import futures
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest
from asgiref.sync import async_to_sync
from django.test import RequestFactory
from hypothesis import given
from hypothesis import strategies as st

from predictions import downloads, files, keys
from predictions.downloads import CSV, Download, Stored
from tests.predictions.jobs import now, submit_rows
from tests.predictions.test_result_files import score

HEAD = b"row,class\n"
PARTS = [b"1,3\n" * 40, b"2", b"3,4\n" * 7, b"4,5\n" * 100]
WHOLE = HEAD + b"".join(PARTS)
MADE = datetime(2026, 5, 4, 12, 30, 15, 250_000, UTC)


@pytest.fixture(scope="module")
def file() -> Iterator[Download]:
    keys = [f"downloads/{number}.csv" for number in range(len(PARTS))]
    for key, part in zip(keys, PARTS, strict=True):
        files.write(key, part)
    parts = [Stored(key, len(part)) for key, part in zip(keys, PARTS, strict=True)]
    yield Download("rows.csv", CSV, "abc", parts, HEAD, MADE, sha256(WHOLE).hexdigest())
    files.delete(keys)


def ask(file: Download, method: str = "GET", **headers: str) -> tuple[Any, bytes]:
    """Headers are written with underscores."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    answer: Any = downloads.answer(RequestFactory().generic(method, "/", headers=named), file)
    return answer, async_to_sync(_body)(answer)


async def _body(answer: Any) -> bytes:
    return b"".join([block async for block in answer.streaming_content]) if answer.streaming else answer.content


def test_the_whole_file_comes_with_its_length_digest_and_marks(file: Download) -> None:
    answer, body = ask(file)
    assert (answer.status_code, body) == (200, WHOLE)
    digest = base64.b64encode(sha256(WHOLE).digest()).decode()
    assert {
        name: answer[name] for name in ("Content-Length", "ETag", "Last-Modified", "Accept-Ranges", "Repr-Digest")
    } == {
        "Content-Length": str(len(WHOLE)),
        "ETag": '"abc"',
        "Last-Modified": "Mon, 04 May 2026 12:30:15 GMT",
        "Accept-Ranges": "bytes",
        "Repr-Digest": f"sha-256=:{digest}:",
    }


numbers = st.one_of(st.integers(0, len(WHOLE) + 20), st.just(10**30)).map(str)


@given(first=numbers | st.just(""), last=numbers | st.just(""))
def test_every_range_is_that_slice_of_the_whole(file: Download, first: str, last: str) -> None:
    answer, body = ask(file, range=f"bytes={first}-{last}")
    size = len(WHOLE)
    if not first + last or (first and last and int(first) > int(last)):
        assert (answer.status_code, body) == (200, WHOLE)
        return
    start, end = (int(first), int(last or size) + 1) if first else (max(0, size - int(last)), size)
    if not WHOLE[start:end]:
        assert (answer.status_code, answer["Content-Range"]) == (416, f"bytes */{size}")
        return
    assert (answer.status_code, body) == (206, WHOLE[start:end])
    assert answer["Content-Range"] == f"bytes {start}-{start + len(body) - 1}/{size}"
    assert answer["Content-Length"] == str(len(body))


@pytest.mark.parametrize("said", ["bytes=0-1,5-6", "bytes=a-b", "rows=0-1", "bytes=-", "bytes", "bytes=٣-٤", ""])
def test_what_is_not_one_range_is_answered_with_the_whole(file: Download, said: str) -> None:
    assert ask(file, range=said)[0].status_code == 200


def test_a_range_that_begins_past_the_end_is_told_the_size(file: Download) -> None:
    answer, body = ask(file, range=f"bytes={len(WHOLE)}-")
    assert (answer.status_code, answer["Content-Range"]) == (416, f"bytes */{len(WHOLE)}")
    assert b"which has 599 bytes" in body


@pytest.mark.parametrize("mark", ['"abc"', "Mon, 04 May 2026 12:30:15 GMT"])
def test_the_rest_of_the_same_file_is_given(file: Download, mark: str) -> None:
    assert ask(file, range="bytes=5-", if_range=mark)[0].status_code == 206


@pytest.mark.parametrize("mark", ['"abd"', 'W/"abc"', "Mon, 04 May 2026 12:30:16 GMT", "nonsense"])
def test_of_a_file_that_changed_the_whole_is_given(file: Download, mark: str) -> None:
    answer, body = ask(file, range="bytes=5-", if_range=mark)
    assert (answer.status_code, body) == (200, WHOLE)


@pytest.mark.parametrize(
    ("condition", "status"),
    [
        ({"if_none_match": '"abc"'}, 304),
        ({"if_none_match": 'W/"abc", "x"'}, 304),
        ({"if_none_match": '"x"'}, 200),
        ({"if_modified_since": "Mon, 04 May 2026 12:30:15 GMT"}, 304),
        ({"if_match": '"x"'}, 412),
        ({"if_match": '"abc"'}, 200),
        ({"if_unmodified_since": "Mon, 04 May 2026 12:30:14 GMT"}, 412),
        ({"if_none_match": '"abc"', "range": "bytes=0-1"}, 304),
    ],
)
def test_a_condition_is_judged_first(file: Download, condition: dict[str, str], status: int) -> None:
    answer, body = ask(file, **condition)
    assert answer.status_code == status and (status != 304 or not body)


def test_head_tells_all_but_the_bytes_and_knows_no_range(file: Download) -> None:
    answer, body = ask(file, "HEAD", range="bytes=0-1")
    assert (answer.status_code, body, answer["Content-Length"]) == (200, b"", str(len(WHOLE)))


def test_small_parts_are_gathered_into_one_block(file: Download) -> None:
    answer = downloads.answer(RequestFactory().get("/"), file)
    assert async_to_sync(_count)(answer) == 1


async def _count(answer: Any) -> int:
    return len([block async for block in answer.streaming_content])


@pytest.mark.parametrize("stored", [None, b"1,3"])
def test_a_part_that_is_gone_or_shorter_is_logged_in_a_line_and_breaks_off(
    caplog: pytest.LogCaptureFixture, stored: bytes | None
) -> None:
    if stored:
        files.write("downloads/broken.csv", stored)
    broken = Download("rows.csv", CSV, "abc", [Stored("downloads/broken.csv", 30)], HEAD)
    with pytest.raises((asyncio.CancelledError, futures.CancelledError)):
        ask(broken)
    assert [record.getMessage().split(":")[0] for record in caplog.records] == [
        f"rows.csv broke off {27 if stored else 40} bytes before its end"
    ]
    files.delete(["downloads/broken.csv"])


@pytest.fixture
def result(user: Any, digits: Any, web: str) -> tuple[str, dict[str, str], str]:
    """The address of a result on a real server, a key's header, and the key in storage of its last part."""
    job = submit_rows(user, digits, rows=4_000, parts=4)
    for number in range(4):
        score(job, number)
    header = {"Authorization": f"Bearer {keys.create(user, 'test')[1]}"}
    last = now(job).parts.get(number=3)
    return f"{web}/api/v1/jobs/{job.pk}/result", header, files.result_key(job.pk, 3, last.result_attempt or 0)


@pytest.mark.django_db(transaction=True)
def test_curl_resumes_in_the_middle(result: tuple[str, dict[str, str], str], tmp_path: Path) -> None:
    address, header, _ = result
    whole = httpx.get(address, headers=header).content
    (tmp_path / "got.csv").write_bytes(whole[:20_000])
    auth = f"Authorization: {header['Authorization']}"
    command = ["curl", "-sS", "--fail", "-C", "-", "-H", auth, "-o", "got.csv", "-w", "%{http_code}", address]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "206" and (tmp_path / "got.csv").read_bytes() == whole


@pytest.mark.django_db(transaction=True)
def test_a_part_that_vanishes_breaks_the_connection(result: tuple[str, dict[str, str], str]) -> None:
    address, header, last = result
    files.delete([last])
    with pytest.raises(httpx.RemoteProtocolError, match="incomplete|without sending complete"):
        httpx.get(address, headers=header)


@pytest.mark.django_db(transaction=True)
def test_a_later_range_is_read_without_the_parts_before_it(result: tuple[str, dict[str, str], str]) -> None:
    address, header, last = result
    files.delete([last.replace("000003", "000000")])
    answer = httpx.get(address, headers=header | {"Range": "bytes=-9"})
    assert (answer.status_code, answer.content) == (206, b",3,3,0.9\n")
