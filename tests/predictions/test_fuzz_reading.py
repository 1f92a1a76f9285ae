"""Random files and hard numbers: `make fuzz` runs many of them (FUZZ_EXAMPLES), `make test` a few."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from random import Random

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from predictions.bad_cells import BadCell, cells_or_fault
from predictions.columns import Columns
from predictions.csv_reading import Block, _read_compiled, _read_exactly, _read_quickly, blocks, read_block
from predictions.ingest import Ingest, Plan
from predictions.numbers_in_text import TOO_LARGE, WHITESPACE, cut, fault_of_text
from tests.predictions.csv_files import FEATURES, Collected, Given, files
from tests.predictions.nearest import hard_number, nearest_float32

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "60"))
NUMBERS_AN_EXAMPLE = 50
COLUMNS = (
    Columns(",", 3, (0, 1, 2)),
    Columns(",", 2, (0,), 1),
    Columns(",", 1, (0,)),
    Columns(";", 2, (1, 0), decimal=","),
    Columns("\t", 3, (2, 0), 1),
)
fuzzed = settings(
    max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)


@dataclass(frozen=True)
class Model:
    ref: str = "iris@1"
    width: int = 3
    features: tuple[str, ...] = FEATURES


@dataclass
class Counted:
    files: int = 0
    rows: int = 0
    faults: int = 0
    numbers: int = 0
    texts: int = 0
    compiled: int = 0
    quick: int = 0
    blocks: int = 0


@pytest.fixture(scope="module")
def counted(request: pytest.FixtureRequest) -> Iterator[Counted]:
    """What was tried, said at the end of a long run."""
    counted = Counted()
    yield counted
    if "FUZZ_EXAMPLES" in os.environ:
        with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
            print(
                f"\n{counted.files:,} files with {counted.rows:,} good rows and {counted.faults:,} planted faults, "
                f"{counted.numbers:,} hard numbers, {counted.texts:,} strange texts; of {counted.blocks:,} blocks the compiled reader took "
                f"{counted.compiled:,} and pyarrow {counted.quick:,}."
            )


@fuzzed
@given(files(), st.data())
def test_of_any_file_every_planted_fault_is_told_and_every_good_row_is_read(
    counted: Counted, file: Given, data: st.DataObject
) -> None:
    parts = Collected()
    ingest = Ingest(Model(), parts.put, 1 << 31, data.draw(st.sampled_from([1, 40, 200, 4_000_000])))
    for block in _cut(file.data, data.draw(st.lists(st.integers(0, len(file.data)), max_size=5))):
        ingest.feed(block)
    plan = ingest.close()
    read = list(_read(plan, parts, data.draw(st.sampled_from([1, 30, 1 << 20])), counted))
    bad = [cell for block in read for cell in block.bad]
    counted.files, counted.rows, counted.faults = (
        counted.files + 1,
        counted.rows + len(file.rows),
        counted.faults + len(bad),
    )
    assert bad == file.bad
    assert (plan.bad_cells, plan.bad_rows) == (len(file.bad), len({cell.row for cell in file.bad}))
    assert plan.places == [cell.as_place() for cell in file.bad[:100]]
    assert [row for block in read for row in block.rows.tolist()] == file.rows
    wanted = [[nearest_float32(text) for text in row] for row in file.values]
    assert _bytes_of([block.x for block in read]) == np.array(wanted, np.float32).reshape(-1, 3).tobytes()
    assert plan.columns.decimal == file.dialect.decimal or "," not in file.dialect.decimal
    assert file.ids is None or [one for block in read for one in block.ids or ()] == file.ids


@fuzzed
@given(st.integers(0, 2**64), st.sampled_from([",", "."]))
def test_every_hard_number_becomes_the_nearest_float32(counted: Counted, seed: int, decimal: str) -> None:
    random = Random(seed)
    texts = [hard_number(random) for _ in range(NUMBERS_AN_EXAMPLE)]
    counted.numbers += len(texts)
    finite = [text for text in texts if np.isfinite(nearest_float32(text))]
    columns = Columns(";", 1, (0,), decimal=decimal)
    for group in (finite, texts):  # one that is too large takes the whole block out of the quick way
        text = "".join(line + "\n" for line in group).replace(".", decimal)
        block = _by_every_way(text.encode(), columns, 1, 1, counted)
        assert [one.hex() for one in block.x[:, 0].tolist()] == [float(nearest_float32(one)).hex() for one in finite]
        assert [(cell.row, cell.reason) for cell in block.bad] == [
            (row, TOO_LARGE) for row, one in enumerate(group, start=1) if np.isinf(nearest_float32(one))
        ]


@fuzzed
@given(st.text(alphabet='11.,;e"\n -+xn\t\u00a0é', max_size=60), st.sampled_from(COLUMNS))
def test_any_text_is_read_as_the_plain_way_reads_it(counted: Counted, text: str, columns: Columns) -> None:
    counted.texts += 1
    assert _as_plain(_by_every_way(text.encode(), columns, 7, 3, counted)) == _read_plainly(text, columns, 7, 3)


@given(st.integers(0, 2**64))
@settings(max_examples=20, deadline=None, database=None)
def test_exact_arithmetic_and_float_agree_where_a_double_is_not_half_way(seed: int) -> None:
    random = Random(seed)
    for text in (hard_number(random) for _ in range(NUMBERS_AN_EXAMPLE)):
        double = np.float64(text)
        is_half_way = int(double.view(np.uint64)) % 2**29 == 2**28
        if not is_half_way and (double == 0 or abs(double) > 2.0**-126):
            with np.errstate(over="ignore"):
                assert np.float32(double).tobytes() == nearest_float32(text).tobytes()


def _read_plainly(
    text: str, columns: Columns, line: int, row: int
) -> tuple[bytes, list[int], list[str] | None, list[BadCell]]:
    """Line by line and cell by cell, with no thought of speed."""
    values, rows, ids, bad = list[list[np.float32]](), list[int](), list[str](), list[BadCell]()
    for at, one in enumerate(text.split("\n"), start=line):
        if not one.strip(" "):
            continue
        cells, fault = cells_or_fault(one, columns)
        texts = [] if fault else [cells[position].strip(WHITESPACE) for position in columns.positions]
        faults = [fault_of_text(one, columns.decimal) for one in texts]
        bad += [BadCell(row, at, None, cut(one), fault)] if fault else []
        bad += [
            BadCell(row, at, name, cut(one), why)
            for name, one, why in zip(FEATURES, texts, faults, strict=False)
            if why is not None
        ]
        if fault is None and faults.count(None) == len(faults):
            values.append([nearest_float32(one.replace(columns.decimal, ".")) for one in texts])
            rows.append(row)
            ids += [] if columns.id_position is None else [cells[columns.id_position]]
        row += 1
    return np.array(values, np.float32).tobytes(), rows, None if columns.id_position is None else ids, bad


def _cut(data: bytes, at: list[int]) -> Iterator[bytes]:
    edges = [0, *sorted(at), len(data)]
    return (data[start:end] for start, end in pairwise(edges))


def _read(plan: Plan, parts: dict[int, bytes], size: int, counted: Counted) -> Iterator[Block]:
    for part in plan.parts:
        line, row = part.first_line, part.first_row
        for text, lines, rows in blocks(parts[part.number], size):
            yield _by_every_way(text, plan.columns, line, row, counted)
            line, row = line + lines, row + rows


def _by_every_way(text: bytes, columns: Columns, line: int, row: int, counted: Counted) -> Block:
    """The block as the product reads it; the other ways must agree to the bit wherever they answer."""
    block = read_block(text, columns, FEATURES, line, row)
    compiled, quick = _read_compiled(text, columns, FEATURES, line, row), _read_quickly(text, columns, row)
    counted.blocks, counted.compiled = counted.blocks + 1, counted.compiled + (compiled is not None)
    counted.quick += quick is not None
    for other in (compiled, quick, _read_exactly(text, columns, FEATURES, line, row)):
        assert other is None or _as_plain(other) == _as_plain(block)
    return block


def _as_plain(block: Block) -> tuple[bytes, list[int], list[str] | None, list[BadCell]]:
    return block.x.tobytes(), block.rows.tolist(), block.ids, list(block.bad)


def _bytes_of(found: list[npt.NDArray[np.float32]]) -> bytes:
    return b"".join(x.tobytes() for x in found)
