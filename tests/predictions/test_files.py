"""Job files in a folder and in a bucket: the same contract for both, and what only one of them must take care of."""

from __future__ import annotations

import errno
import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from stat import S_ISDIR
from typing import Any
from uuid import UUID

import pytest
from django.conf import settings as django_settings
from django.core.files.storage import default_storage

from predictions import files, s3_files, unavailable
from predictions.models import new_id
from tests.predictions import s3

KEY = "results/job/000000.1.csv"


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in s3.KEYS.items():
            patch.setenv(name, value)
        with s3.s3_server() as address:
            yield address


@pytest.fixture
def in_bucket(bucket: str, settings: Any) -> str:
    settings.STORAGES = {**settings.STORAGES, "default": s3.storage_at(bucket)}
    return bucket


@pytest.fixture(params=["folder", "bucket"])
def storage(request: pytest.FixtureRequest) -> str:
    if request.param == "bucket":
        request.getfixturevalue("in_bucket")
    files.delete([KEY])
    return str(request.param)


@pytest.mark.usefixtures("storage")
def test_what_is_written_is_read_whole_and_written_again_replaced() -> None:
    files.write(KEY, b"first, and longer")
    files.write(KEY, b"second")
    assert files.read(KEY) == b"second"
    files.write(KEY, b"")
    assert files.read(KEY) == b"" and list(files.read_blocks(KEY)) == []


RANGES = [(0, None), (0, 1), (3, None), (300_000, 600_001), (5, 5), (699_999, 900_000), (800_000, None)]


@pytest.mark.usefixtures("storage")
def test_any_range_of_a_file_is_read_in_blocks() -> None:
    content = bytes(range(250)) * 2_800
    files.write(KEY, content)
    read = [list(files.read_blocks(KEY, start, end)) for start, end in RANGES]
    assert [b"".join(blocks) for blocks in read] == [content[start:end] for start, end in RANGES]
    assert all(len(block) <= files.BLOCK_BYTES for blocks in read for block in blocks)


@pytest.mark.usefixtures("storage")
def test_a_file_that_is_not_there_is_said_so() -> None:
    with pytest.raises(FileNotFoundError):
        files.read(KEY)
    with pytest.raises(FileNotFoundError):
        list(files.read_blocks(KEY, 3, 5))


@pytest.mark.usefixtures("storage")
def test_many_files_are_deleted_together_and_missing_ones_do_not_matter() -> None:
    upload, other = new_id(), new_id()
    keys = [files.input_key(upload, number) for number in range(3)]
    for key in [*keys, files.input_key(other, 0)]:
        files.write(key, b"1\n")
    assert files.list_inputs(upload) == keys
    files.delete([*keys, files.input_key(upload, 77)])
    assert files.list_inputs(upload) == [] and files.list_inputs(other) == [files.input_key(other, 0)]
    files.delete([])


def test_a_table_has_a_name_of_its_own() -> None:
    assert files.input_key(UUID(int=1), 2, "table") == f"uploads/{UUID(int=1)}/000002.arrow"


def test_an_unfinished_file_of_a_writer_that_was_killed_is_not_seen_and_goes_with_its_key() -> None:
    upload = new_id()
    key = files.input_key(upload, 0)
    folder = django_settings.DATA_DIR / "files" / "uploads" / str(upload)
    folder.mkdir(parents=True)
    (folder / "000000.csv.unfinished").write_bytes(b"half of i")
    with pytest.raises(FileNotFoundError):
        files.read(key)
    files.delete([key])
    assert list(folder.iterdir()) == []


def test_a_file_is_never_seen_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr("pathlib.Path.replace", lambda path, to: seen.append((path.read_bytes(), to)))
    files.delete([KEY])
    files.write(KEY, b"whole")
    assert seen == [(b"whole", Path(default_storage.path(KEY)))] and not default_storage.exists(KEY)
    files.delete([KEY])


def test_the_disk_has_a_file_before_its_name_is_seen_and_then_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = []
    monkeypatch.setattr(
        os, "fsync", lambda opened: steps.append("folder" if S_ISDIR(os.fstat(opened).st_mode) else "file")
    )
    monkeypatch.setattr("pathlib.Path.replace", lambda path, to: steps.append("replace"))
    files.write(KEY, b"whole")
    assert steps == ["file", "replace", "folder"]
    files.delete([KEY])


def requests_of(act: Any) -> list[str]:
    """The S3 operations that `act` asks for."""
    asked: list[str] = []
    events = default_storage._client.meta.events
    events.register("before-call.s3", note := lambda model, **_: asked.append(model.name))
    try:
        act()
    finally:
        events.unregister("before-call.s3", note)
    return asked


@pytest.mark.usefixtures("in_bucket")
def test_each_act_on_a_bucket_is_one_request(monkeypatch: pytest.MonkeyPatch) -> None:
    assert requests_of(lambda: files.write(KEY, b"1,2,3")) == ["PutObject"]
    assert requests_of(lambda: files.read(KEY)) == ["GetObject"]
    assert requests_of(lambda: list(files.read_blocks(KEY, 1, 3))) == ["GetObject"]
    assert requests_of(lambda: list(files.read_blocks(KEY, 2, 2))) == []
    assert requests_of(lambda: files.delete([KEY] * 900)) == ["DeleteObjects"]
    monkeypatch.setattr(s3_files, "DELETED_AT_ONCE", 2)
    assert requests_of(lambda: files.delete([KEY, "a", "b"])) == ["DeleteObjects"] * 2


def test_files_lie_under_the_prefix_and_are_nobody_elses_to_read(in_bucket: str) -> None:
    files.write(KEY, b"1")
    client = s3.client(in_bucket)
    assert client.list_objects_v2(Bucket=s3.BUCKET, Prefix=f"live/{KEY}")["KeyCount"] == 1
    grants = client.get_object_acl(Bucket=s3.BUCKET, Key=f"live/{KEY}")["Grants"]
    assert [grant["Grantee"]["Type"] for grant in grants] == ["CanonicalUser"]


ACTS = [
    lambda: files.write(KEY, b"1"),
    lambda: files.read(KEY),
    lambda: files.delete([KEY]),
    lambda: files.list_inputs(UUID(int=1)),
]


def told_of(act: Any) -> str:
    with pytest.raises(OSError) as raised:
        act()
    assert raised.value.errno == errno.EIO
    refused = unavailable.unavailable_for(raised.value)
    assert refused is not None
    return refused.detail


@pytest.mark.parametrize("act", ACTS)
def test_a_bucket_that_is_not_there_is_told_as_a_storage_that_is_away(act: Any, in_bucket: str, settings: Any) -> None:
    nowhere = s3.storage_at(in_bucket)
    nowhere["OPTIONS"]["bucket_name"] = "another"
    settings.STORAGES = {**settings.STORAGES, "default": nowhere}
    assert told_of(act) == "The storage cannot take this now. Try again in 5 s."


@pytest.mark.parametrize("act", ACTS)
def test_a_server_that_does_not_answer_is_told_so_too(
    act: Any, bucket: str, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3_files, "ATTEMPTS", 1)
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
    settings.STORAGES = {**settings.STORAGES, "default": s3.storage_at(f"http://127.0.0.1:{port}")}
    assert told_of(act) == "The storage cannot take this now. Try again in 5 s."


@pytest.mark.usefixtures("storage")
def test_a_large_file_is_written_from_its_beginning_and_may_be_written_again() -> None:
    with tempfile.TemporaryFile() as file:
        file.write(b"0123456789" * 100_000)
        for _ in range(2):
            files.write_from(KEY, file)
            assert files.read(KEY) == b"0123456789" * 100_000
