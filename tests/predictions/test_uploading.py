from __future__ import annotations

from typing import Any

import pytest

from predictions import files, tables, uploading
from predictions.errors import InvalidInput, Refused, TooLarge
from predictions.model_cards import ModelCard
from predictions.models import Upload
from predictions.parts import Plan
from tests.predictions.jobs import csv_of, receive, upload_rows

pytestmark = pytest.mark.django_db


def test_a_file_becomes_an_upload_with_its_parts_in_storage(user: Any, digits: ModelCard) -> None:
    upload = upload_rows(user, digits, rows=3)
    assert (upload.state, upload.plan["rows"]) == ("done", 3)
    assert files.read(files.input_key(upload.pk, 0)).count(b"\n") == 3


@pytest.mark.parametrize("body", [b"", b"pixel_0_0,pixel_0_1\n1,2\n", b"PK\x03\x04 a workbook", b"\x00\x01\x02"])
def test_of_a_file_that_is_refused_nothing_is_left(user: Any, digits: ModelCard, body: bytes) -> None:
    with pytest.raises(Refused):
        receive(user, "bad.csv", [body], digits)
    assert not Upload.objects.exists()


def test_a_file_over_the_limit_is_refused_while_it_arrives(user: Any, digits: ModelCard, settings: Any) -> None:
    settings.MAX_UPLOAD_BYTES = 2000
    with pytest.raises(TooLarge, match="larger than 2,000 bytes"):
        receive(user, "big.csv", [csv_of(digits, 20)] * 3, digits)
    assert not Upload.objects.exists()


def test_bad_rows_are_a_reason_to_refuse_and_name_their_places(user: Any, digits: ModelCard) -> None:
    lines = csv_of(digits, 4).split(b"\n")
    lines[2] = b"abc" + lines[2][1:]
    upload = receive(user, "bad.csv", [b"\n".join(lines)], digits)
    refusal = uploading.refusal_of(Plan.from_json(upload.plan))
    assert refusal and "1 of 4 rows cannot be read" in refusal.detail
    place = refusal.errors[0]
    assert (place["row"], place["line"], place["column"]) == (2, 3, "pixel_0_0")


def test_rows_of_a_json_body_become_a_table(user: Any, digits: ModelCard) -> None:
    upload = uploading.receive_rows(user, [[0.5] * 64, [1.0] * 64], digits)
    assert (upload.plan["rows"], upload.plan["format"]) == (2, "table")
    ((block, _, _),) = tables.read_part(files.read(files.input_key(upload.pk, 0, "table")), digits.features, 0, 1)
    assert block.x.tolist() == [[0.5] * 64, [1.0] * 64]


def test_a_draft_belongs_to_who_sent_it(user: Any, other_user: Any, digits: ModelCard) -> None:
    upload = upload_rows(user, digits, rows=3)
    assert uploading.draft_of(user, upload.pk) == upload and uploading.draft_of(other_user, upload.pk) is None


def test_of_an_upload_that_was_swept_while_it_arrived_nothing_is_left(user: Any, digits: ModelCard) -> None:
    def blocks() -> Any:
        yield csv_of(digits, 20)
        Upload.objects.update(state=Upload.State.SWEPT)

    with pytest.raises(InvalidInput, match="swept away"):
        receive(user, "slow.csv", blocks(), digits)
    assert not Upload.objects.exists()
