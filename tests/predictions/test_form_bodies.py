from __future__ import annotations

import pytest

from predictions.errors import Refused
from predictions.form_bodies import MOST_FIELD_BYTES, MOST_FIELDS, FormBody
from tests.predictions.calling import form

TYPE = "multipart/form-data; boundary=edge"
FILE = b"a,b\r\n1,2\r\n--edg\r\n\r\n3,4\r"


def read(body: bytes, block_bytes: int, content_type: str = TYPE) -> tuple[bytes, FormBody]:
    reading = FormBody(content_type)
    found = [reading.take(body[start : start + block_bytes]) for start in range(0, len(body), block_bytes)]
    reading.close()
    return b"".join(found), reading


@pytest.mark.parametrize("block_bytes", [1, 2, 3, 7, 50, 10_000])
def test_the_file_and_the_fields_do_not_depend_on_how_the_bytes_arrived(block_bytes: int) -> None:
    found, reading = read(form(FILE, "täble.csv", model="digits", priority="7"), block_bytes)
    assert (found, reading.file_name) == (FILE, "täble.csv")
    assert reading.fields == {"model": "digits", "priority": "7"}


def test_fields_may_follow_the_file() -> None:
    after = b'--edge\r\nContent-Disposition: form-data; name="priority"\r\n\r\n3\r\n--edge--\r\n'
    found, reading = read(form(FILE, "a.csv").removesuffix(b"--edge--\r\n") + after, 64)
    assert (found, reading.fields) == (FILE, {"priority": "3"})


@pytest.mark.parametrize(
    ("given", "name"), [("C:\\\\data\\\\a.csv", "a.csv"), ("../../a.csv", "a.csv"), ("a&amp;b.csv", "a&b.csv")]
)
def test_of_a_path_only_the_last_name_is_kept(given: str, name: str) -> None:
    assert read(form(FILE, given), 1000)[1].file_name == name


def test_a_file_without_a_name_is_none() -> None:
    found, reading = read(form(b"", ""), 1000)
    assert (found, reading.file_name) == (b"", None)


def part(head: str, content: bytes = b"x") -> bytes:
    return b"--edge\r\nContent-Disposition: form-data; " + head.encode() + b"\r\n\r\n" + content + b"\r\n"


TWO_FILES = part('name="file"; filename="a"') + part('name="file"; filename="b"')
REFUSED = [
    (b"no form at all", TYPE, 400, "The form cannot be read: "),
    (b"", "multipart/form-data", 400, "has no boundary"),
    (b"", f"multipart/form-data; boundary={'x' * 500}", 400, "The form cannot be read: Boundary length 500"),
    (form(FILE, "a.csv")[:-10], TYPE, 400, "it ends before its last boundary"),
    (TWO_FILES, TYPE, 422, 'The form has a file in "file"; one file is taken, in "file".'),
    (part('name="x"; filename="a"'), TYPE, 422, 'The form has a file in "x"; one file is taken, in "file".'),
    (part('name="x"') * (MOST_FIELDS + 1), TYPE, 422, "more than 100 fields"),
    (part('name="x"', b"x" * MOST_FIELD_BYTES), TYPE, 413, "larger than 65,536 bytes"),
    (
        part('name="file"; filename="a"\r\nContent-Transfer-Encoding: base64'),
        TYPE,
        415,
        "'base64'; 'binary' is allowed",
    ),
]


@pytest.mark.parametrize(("body", "content_type", "status", "sentence"), REFUSED)
def test_a_form_that_cannot_be_taken_is_refused(body: bytes, content_type: str, status: int, sentence: str) -> None:
    with pytest.raises(Refused) as refusal:
        read(body, 1000, content_type)
    assert refusal.value.status == status and sentence in refusal.value.detail
