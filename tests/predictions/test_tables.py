"""What a stored part of a table gives back, from any row on."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from predictions import part_reading, tables
from predictions.json_rows import ingest_rows
from predictions.parts import Plan
from predictions.tables import Rows, read_part, write_part
from tests.predictions.tables import MODEL, npy_of, take

MANY = np.arange(30_000, dtype=np.float32).reshape(-1, 3)
PART = write_part(Rows(MANY, ids=pa.array([f"r{row}" for row in range(len(MANY))])))


def test_a_part_is_read_in_blocks_of_a_few_thousand_rows() -> None:
    read = list(read_part(PART, MODEL.features, 0, 1))
    assert [(rows, end) for _, rows, end in read] == [(4096, 4096), (4096, 8192), (1808, 10_000)]
    assert np.array_equal(np.concatenate([block.x for block, _, _ in read]), MANY)


def test_blocks_of_a_wide_table_have_fewer_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "_BLOCK_CELLS", 12_000)
    assert [rows for _, rows, _ in read_part(PART, MODEL.features, 0, 1)] == [4000, 4000, 2000]


@pytest.mark.parametrize("start", [1, 4096, 9_999])
def test_a_part_is_read_from_any_row_on(start: int) -> None:
    block, rows, end = next(read_part(PART, MODEL.features, start, 501))
    assert (block.x[0].tolist(), block.rows[0], block.ids and block.ids[0]) == (MANY[start].tolist(), 501, f"r{start}")
    assert end == start + rows
    assert list(read_part(PART, MODEL.features, 10_000, 1)) == []


def test_of_a_block_with_bad_rows_the_good_ones_keep_their_numbers_and_ids() -> None:
    x = MANY[:4].copy()
    x[1, 2] = np.inf
    part = write_part(Rows(x, ids=pa.array(list("pqrs"))))
    ((block, rows, _),) = read_part(part, MODEL.features, 0, 11)
    assert (block.rows.tolist(), block.ids, rows) == ([11, 13, 14], ["p", "r", "s"], 4)
    assert [(cell.row, cell.column) for cell in block.bad] == [(12, "c")]


def test_a_sum_that_overflows_is_no_bad_cell() -> None:
    large = np.full((4, 3), 3e38, np.float32)
    ((block, _, _),) = read_part(write_part(Rows(large)), MODEL.features, 0, 1)
    assert len(block.x) == 4 and not block.bad


def test_only_a_part_with_a_number_too_large_is_kept_in_double() -> None:
    values = np.ones((3, 3))
    whole, wide = (
        take("npy", npy_of(values)).parts[0],
        take("npy", npy_of(np.where(np.eye(3) > 0, 1e300, values))).parts[0],
    )
    assert [pa.ipc.open_stream(part).schema.field("x").type.value_type for part in (whole, wide)] == [
        pa.float32(),
        pa.float64(),
    ]


def test_bad_cells_are_put_into_words_one_by_one() -> None:
    x = np.full((4096, 3), np.nan, np.float32)
    ((block, _, _),) = read_part(write_part(Rows(x)), MODEL.features, 0, 1)
    bad = block.bad
    assert len(bad) == 3 * 4096 and bad[-1].row == 4096 and [cell.column for cell in bad[1:3]] == ["b", "c"]
    assert bad[0].as_place() == {"row": 1, "column": "a", "value": "nan", "message": "not finite"}


def test_a_plan_says_how_its_parts_are_read_and_an_older_one_means_csv() -> None:
    plan = take("npy", npy_of(MANY)).plan
    saved = json.loads(json.dumps(plan.as_json()))
    assert Plan.from_json(saved) == plan and plan.format == "table"
    del saved["format"]
    assert Plan.from_json(saved) == replace(plan, format="csv")


def test_a_part_is_read_as_its_plan_says() -> None:
    taken = take("npy", npy_of(MANY))
    read = list(part_reading.read_part(taken.parts[0], taken.plan, MODEL.features, 5_000, 5_001, 0))
    assert [(each.rows, each.lines, each.end, each.block.rows[0]) for each in read] == [
        (4096, 0, 9096, 5001),
        (904, 0, 10_000, 9097),
    ]


def test_rows_of_a_json_body_become_a_table_that_was_judged_whole() -> None:
    parts: dict[int, bytes] = {}
    plan = ingest_rows([[0.1, 1e-30, 3.4e38]] * 200_000, MODEL, parts.__setitem__)
    assert (plan.rows, plan.truncated_judgement, plan.places, len(parts)) == (200_000, False, [], 1)
    ((block, _, _), *_) = read_part(parts[0], MODEL.features, 0, 1)
    assert block.x[0].tolist() == np.array([0.1, 1e-30, 3.4e38], np.float32).tolist()
