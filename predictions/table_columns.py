"""Which columns of an Arrow table a model reads, and how their values become float32."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from predictions.columns import MOST_COLUMNS, TakesColumns
from predictions.errors import InvalidInput
from predictions.first_line import judge_names
from predictions.numbers_in_text import cut
from predictions.tables import Rows

LONGEST_ID = 1_000
_LINE_BREAK = r"[\x00\r\n]"


@dataclass(frozen=True)
class TableColumns:
    """Where the model's values stand. listed: the one column that holds them all as lists; else positions, by feature."""

    names: tuple[str, ...]
    positions: tuple[int, ...]
    listed: int | None
    id_position: int | None
    notes: tuple[str, ...]

    @property
    def read(self) -> list[int]:
        """The columns that are read, each once."""
        ids = [] if self.id_position is None else [self.id_position]
        return [*(self.positions if self.listed is None else [self.listed]), *ids]


def judge_schema(schema: pa.Schema, card: TakesColumns, mapping: Any = None) -> TableColumns:
    """Find the model's columns by name, in a list or by position. Raises InvalidInput."""
    names = _names(schema)
    found = set(names) & set(card.features)
    listed = [at for at, field in enumerate(schema) if _list_width(field.type) is not None]
    if len(found) < card.width and len(listed) == 1:
        return _as_list(schema, names, listed[0], card)
    first = judge_names(names, card, mapping)
    for position in first.columns.positions:
        _refuse_other_than_numbers(names[position], schema.field(position).type)
    return TableColumns(names, first.columns.positions, None, first.columns.id_position, first.notes)


def rows_of(batch: pa.RecordBatch, columns: TableColumns, first_row: int) -> Rows:
    """The batch's values as the CSV reader would round them. batch: validated. Raises InvalidInput for an id."""
    ids = None if columns.id_position is None else _ids(batch.column(columns.id_position), first_row)
    if columns.listed is not None:
        rows = _of_list(batch.column(columns.listed))
        return Rows(rows.x, rows.missing, rows.originals, ids)
    return _of_columns([batch.column(position) for position in columns.positions], ids)


def as_rows(values: npt.NDArray[Any]) -> Rows:
    """Numbers of any kind, each rounded to float32 once."""
    with np.errstate(over="ignore"):
        x = np.ascontiguousarray(values, dtype=np.float32)
    if values.dtype.kind != "f" or values.dtype.itemsize < 8:
        return Rows(x)
    beyond = np.isinf(x) & np.isfinite(values)
    return Rows(x, None, np.where(beyond, values, x).astype(np.float64) if beyond.any() else None)


def _names(schema: pa.Schema) -> tuple[str, ...]:
    if len(schema) > MOST_COLUMNS:
        raise InvalidInput(f"The table has {len(schema):,} columns; at most {MOST_COLUMNS:,} are read.")
    try:
        names = tuple(str(name).strip() for name in schema.names)
    except UnicodeDecodeError:
        raise InvalidInput("The name of a column is not UTF-8.") from None
    for at, name in enumerate(names, start=1):
        if "\0" in name:
            raise InvalidInput(f"The name of column {at:,} holds a NUL character; text without it is allowed.")
    return names


def _as_list(schema: pa.Schema, names: tuple[str, ...], at: int, card: TakesColumns) -> TableColumns:
    width = _list_width(schema.field(at).type)
    if width != card.width:
        raise InvalidInput(
            f"The lists in the column '{cut(names[at])}' have {width:,} values; {card.ref} takes {card.width}."
        )
    _refuse_other_than_numbers(names[at], _plain(schema.field(at).type).value_type)
    ids = [place for place, name in enumerate(names) if name.lower() == "id" and place != at]
    note = f"Each row's values are read from the lists in the column '{cut(names[at])}'."
    return TableColumns(names, (), at, ids[0] if len(ids) == 1 else None, (note,))


def _plain(kind: pa.DataType) -> pa.DataType:
    """Arrow's fixed-shape tensors are stored as lists."""
    return kind.storage_type if isinstance(kind, pa.FixedShapeTensorType) else kind


def _list_width(kind: pa.DataType) -> int | None:
    plain = _plain(kind)
    return int(plain.list_size) if pa.types.is_fixed_size_list(plain) else None


def _is_numeric(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _refuse_other_than_numbers(name: str, kind: pa.DataType) -> None:
    if not _is_numeric(kind):
        raise InvalidInput(
            f"The column '{cut(name)}' holds {cut(str(kind))}; integers, floats and decimals are taken.",
            [{"column": name, "message": f"holds {cut(str(kind))}, which are no numbers"}],
        )


def _of_columns(columns: Sequence[pa.Array], ids: pa.Array | None) -> Rows:
    read = [_of_cells(column) for column in columns]
    stack = partial(np.column_stack)
    missing = any(each.missing is not None for each in read)
    originals = any(each.originals is not None for each in read)
    return Rows(
        np.ascontiguousarray(stack([each.x for each in read])),  # (n, width)
        stack([_none(each.x) if each.missing is None else each.missing for each in read]) if missing else None,
        stack([each.x if each.originals is None else each.originals for each in read]) if originals else None,
        ids,
    )


def _none(x: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    return np.zeros(x.shape, np.bool_)


def _of_list(column: pa.Array) -> Rows:
    plain = column.storage if isinstance(column, pa.ExtensionArray) else column
    width = plain.type.list_size
    cells = _of_cells(plain.values.slice(plain.offset * width, len(plain) * width))
    shape = (len(plain), width)
    x = cells.x.reshape(shape)
    missing = None if cells.missing is None else cells.missing.reshape(shape)
    if plain.null_count:
        absent = plain.is_null().to_numpy(zero_copy_only=False)[:, None]  # (n, 1)
        missing = (np.zeros(shape, np.bool_) if missing is None else missing) | absent
        x = np.where(absent, np.float32("nan"), x)
    return Rows(x, missing, None if cells.originals is None else cells.originals.reshape(shape))


def _of_cells(cells: pa.Array) -> Rows:
    """Some cells of one type, as Rows of one dimension."""
    rows = as_rows(_numbers(cells))
    if not cells.null_count:
        return rows
    missing = cells.is_null().to_numpy(zero_copy_only=False)
    return Rows(np.where(missing, np.float32("nan"), rows.x), missing, rows.originals)


def _numbers(cells: pa.Array) -> npt.NDArray[Any]:
    """As numpy has them, so that the cast to float32 rounds once; anything where a cell is missing."""
    if pa.types.is_decimal(cells.type):
        return _decimals(cells)
    if cells.null_count and pa.types.is_integer(cells.type):
        cells = cells.fill_null(0)  # numpy has no missing integers; by way of float64 large ones would round twice
    held: npt.NDArray[Any] = cells.to_numpy(zero_copy_only=False)
    return held


def _decimals(cells: pa.Array) -> npt.NDArray[Any]:
    """By their digits, as the CSV reader would; as float64 only where one is too large."""
    texts = cells.cast(pa.string())
    x: npt.NDArray[np.float32] = texts.cast(pa.float32()).to_numpy(zero_copy_only=False)
    if not np.isinf(x).any():
        return x
    return np.where(np.isinf(x), texts.cast(pa.float64()).to_numpy(zero_copy_only=False), x)


def _ids(column: pa.Array, first_row: int) -> pa.Array:
    """A view or a dictionary may be a long text a million times: texts are made only of what is known to be short."""
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_integer(kind)):
        raise InvalidInput(f"The ids are {cut(str(kind))}; text and integers are kept.")
    if not pa.types.is_integer(kind):
        _refuse_ids(_is_long(column), first_row, f"is longer than {LONGEST_ID:,} bytes")
    texts = column.cast(pa.string()).fill_null("")
    _refuse_ids(pc.match_substring_regex(texts, _LINE_BREAK), first_row, "holds a line break or a NUL character")
    return texts


def _is_long(texts: pa.Array) -> pa.Array:
    if pa.types.is_dictionary(texts.type):
        return _is_long(texts.dictionary).take(texts.indices).fill_null(False)
    return pc.greater(pc.binary_length(texts), LONGEST_ID).fill_null(False)


def _refuse_ids(faulty: pa.Array, first_row: int, fault: str) -> None:
    at = faulty.index(pa.scalar(True)).as_py()
    if at >= 0:
        raise InvalidInput(
            f"Row {first_row + at:,}: the id {fault}.", [{"row": first_row + at, "message": f"the id {fault}"}]
        )
