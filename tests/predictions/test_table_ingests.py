"""What is made of a table that is no text: Arrow, NumPy, Parquet; the rows it holds, or an early refusal in a sentence."""

from __future__ import annotations

import decimal
import os
import struct
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from predictions import arrow_messages, parquet_pages, table_parts
from predictions.errors import InvalidInput, Refused, TooLarge, Unreadable
from predictions.table_kinds import kind_of
from tests.predictions.tables import MODEL, file_of, named, npy_of, parquet_of, refusal, stream_of, take

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "0"))
TWO = {"a": [1.0, 4], "b": [2.0, 5], "c": [3.0, 6]}
X = [[1, 2, 3], [4, 5, 6]]
NAMED = [("arrow", stream_of), ("arrow", file_of), ("parquet", parquet_of)]
NUMERIC = [
    pa.float16(),
    pa.float32(),
    pa.float64(),
    pa.int8(),
    pa.uint8(),
    pa.int64(),
    pa.uint64(),
    pa.decimal128(9, 2),
]


def array(values: Any = X, kind: str = "<f4") -> np.ndarray[Any, Any]:
    return np.array(values, dtype=kind)


@pytest.mark.parametrize(("kind", "written"), NAMED)
@pytest.mark.parametrize("numbers", NUMERIC, ids=str)
@pytest.mark.parametrize("step", [1, 65_536])
def test_columns_of_any_numbers_are_read(kind: str, written: Any, numbers: pa.DataType, step: int) -> None:
    whole = {
        name: [decimal.Decimal(int(value)) if pa.types.is_decimal(numbers) else value for value in values]
        for name, values in TWO.items()
    }
    data = (
        written(named(whole, numbers))
        if numbers != pa.float16()
        else written(pa.table({n: pa.array(np.array(v, np.float16)) for n, v in TWO.items()}))
    )
    assert kind_of(data[:8]) == kind
    assert take(kind, data, step).x == X


@pytest.mark.parametrize("numbers", ["<f2", "<f4", ">f4", "<f8", ">f8", "|i1", "|u1", "<i2", ">i4", "<u8", "=i8"])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_arrays_of_any_numbers_order_and_version_are_read(numbers: str, order: Any, version: tuple[int, int]) -> None:
    data = npy_of(np.array(X, dtype=numbers, order=order), version)
    assert kind_of(data[:8]) == "npy"
    taken = take("npy", data, step=13)
    assert taken.x == X and taken.plan.notes == ["An array has no names; its columns are taken by position."]


@pytest.mark.parametrize(("kind", "written"), NAMED)
def test_columns_are_found_by_name_in_any_order_and_the_id_is_kept(kind: str, written: Any) -> None:
    taken = take(
        kind, written(named({"c": TWO["c"], "junk": ["x", "y"], "ID": [70, 80], "b": TWO["b"], "a": TWO["a"]}))
    )
    assert (taken.x, taken.ids) == (X, ["70", "80"])
    assert taken.plan.notes == [
        "1 column is ignored: junk.",
        "The columns were put into the model's order by their names.",
    ]
    assert taken.plan.columns.id_position == 3 and taken.plan.preview == [
        ["1.0", "2.0", "3.0", "70"],
        ["4.0", "5.0", "6.0", "80"],
    ]


@pytest.mark.parametrize(("kind", "written"), NAMED)
def test_columns_of_other_names_are_taken_by_position_and_this_is_said(kind: str, written: Any) -> None:
    taken = take(kind, written(named({"x": TWO["a"], "y": TWO["b"], "z": TWO["c"]})))
    assert taken.x == X
    assert taken.plan.notes == ["The header names none of the features of iris@1; the columns are taken by position."]


@pytest.mark.parametrize(("kind", "written"), NAMED)
def test_columns_are_found_as_they_were_matched_before(kind: str, written: Any) -> None:
    table = named({"z": TWO["c"], "x": TWO["a"], "y": TWO["b"], "w": TWO["a"]})
    assert take(kind, written(table), mapping={"a": "x", "b": "y", "c": "z"}).x == X


@pytest.mark.parametrize(("kind", "written"), NAMED)
def test_a_column_of_lists_is_read_and_a_missing_list_is_a_bad_row(kind: str, written: Any) -> None:
    values = pa.array([1.0, 2, 3, 7, 8, 9, 4, 5, 6])  # also the missing list has some
    lists = pa.FixedSizeListArray.from_arrays(values, 3, mask=pa.array([False, True, False]))
    taken = take(kind, written(pa.table({"id": ["p", "q", "r"], "pixels": lists})))
    assert (taken.x, taken.rows, taken.ids) == (X, [1, 3], ["p", "r"])
    assert [(cell.row, cell.column, cell.reason) for cell in taken.bad] == [(2, name, "empty") for name in "abc"]


def test_a_tensor_is_read_as_its_lists() -> None:
    tensors = pa.FixedShapeTensorArray.from_numpy_ndarray(array(X, "<f4"))
    assert take("arrow", stream_of(pa.table({"x": tensors}))).x == X


@pytest.mark.parametrize("compression", ["lz4", "zstd"])
def test_a_compressed_stream_is_read(compression: str) -> None:
    assert take("arrow", stream_of(named(TWO), compression=compression)).x == X


def test_an_older_stream_without_an_end_is_read() -> None:
    assert take("arrow", stream_of(named(TWO)).removesuffix(b"\xff\xff\xff\xff\0\0\0\0")).x == X


BAD = {
    "a": [1.0, None, 3, 4, 5, 6, 7],
    "b": [1.0, 2, float("nan"), float("-inf"), 1e39, 6, 7],
    "c": [1.0, 2, 3, 4, 5, -3.4e38, 7],
}
NAMED_BAD = [
    (2, "a", "", "empty"),
    (3, "b", "nan", "not finite"),
    (4, "b", "-inf", "not finite"),
    (5, "b", "1e+39", "larger than a float32 can hold"),
]


@pytest.mark.parametrize(("kind", "written"), NAMED)
def test_every_bad_cell_is_named_by_its_row_and_column_and_has_no_line(kind: str, written: Any) -> None:
    taken = take(kind, written(named(BAD)))
    assert [(cell.row, cell.column, cell.value, cell.reason) for cell in taken.bad] == NAMED_BAD
    places = [{"row": row, "column": column, "value": value, "message": why} for row, column, value, why in NAMED_BAD]
    assert (taken.plan.places, taken.plan.bad_rows, taken.plan.bad_cells) == (places, 4, 4)
    assert taken.rows == [1, 6, 7] and taken.x[1] == [6, 6, float(np.float32(-3.4e38))]


def test_bad_cells_of_an_array_are_named_likewise() -> None:
    values = np.array([[1, 2, 3], [np.nan, 2, -1e300], [7, 8, 9]])
    assert [(cell.row, cell.column, cell.value) for cell in take("npy", npy_of(values)).bad] == [
        (2, "a", "nan"),
        (2, "c", "-1e+300"),
    ]


def test_numbers_are_rounded_once_as_the_csv_reader_would() -> None:
    odd = 2**60 + 2**36 + 1  # by way of float64 it would round to the even neighbour
    ints = named({"a": [odd, None], "b": [1, 1], "c": [1, 2]}, pa.int64())
    digits = decimal.Decimal("1.00000005960464477539062500001")  # likewise
    exact = named({"a": [digits], "b": [digits], "c": [digits]}, pa.decimal128(38, 30))
    assert take("arrow", stream_of(ints)).x == [[float(2**60 + 2**37), 1, 1]]
    assert take("arrow", stream_of(exact)).x == [[float(np.float32(1 + 2**-23))] * 3]


def test_a_decimal_beyond_float32_is_named_and_does_not_change_its_neighbours() -> None:
    huge = named({"a": [decimal.Decimal(10) ** 40, 1], "b": [1, 2], "c": [1, 2]}, pa.decimal256(50, 0))
    taken = take("arrow", stream_of(huge))
    assert [(cell.column, cell.value) for cell in taken.bad] == [("a", "1e+40")] and taken.x == [[1, 2, 2]]


@pytest.fixture
def parts_of_four_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_parts, "PART_BYTES", 48)


MANY = np.arange(33, dtype=np.float64).reshape(11, 3)
AS_TABLE = pa.table({name: MANY[:, at] for at, name in enumerate(MODEL.features)})
WRITTEN = {
    "stream": ("arrow", stream_of(AS_TABLE)),
    "small batches": ("arrow", stream_of(AS_TABLE, 3)),
    "file": ("arrow", file_of(AS_TABLE)),
    "npy": ("npy", npy_of(MANY)),
    "Fortran": ("npy", npy_of(np.asfortranarray(MANY))),
    "parquet": ("parquet", parquet_of(AS_TABLE)),
    "row groups": ("parquet", parquet_of(AS_TABLE, row_group_size=5)),
}


@pytest.mark.usefixtures("parts_of_four_rows")
@pytest.mark.parametrize("written", WRITTEN)
@pytest.mark.parametrize("step", [1, 7, 100_000])
def test_the_parts_depend_neither_on_the_kind_nor_on_how_the_bytes_came(written: str, step: int) -> None:
    taken, other = take(*WRITTEN[written], step), take(*WRITTEN["npy"])
    assert taken.x == MANY.tolist() and taken.parts == other.parts and taken.plan.parts == other.plan.parts
    assert [(part.first_row, part.rows, part.first_line, part.lines) for part in taken.plan.parts] == [
        (1, 4, 0, 0),
        (5, 4, 0, 0),
        (9, 3, 0, 0),
    ]


@pytest.mark.usefixtures("parts_of_four_rows")
def test_parts_with_bad_cells_do_not_depend_on_the_batches_either() -> None:
    table = AS_TABLE.set_column(1, "b", pa.array([1.0] * 6 + [1e300, None] + [3.0] * 3))
    taken, other = take("arrow", stream_of(table)), take("arrow", stream_of(table, 1))
    large = npy_of(np.where(MANY == 19.0, 1e300, MANY))
    assert take("npy", large).parts == take("npy", large, step=24).parts
    assert taken.parts == other.parts and [(cell.row, cell.value) for cell in taken.bad] == [(7, "1e+300"), (8, "")]


def refused_schemas() -> list[Any]:
    other = [1.0, 2]
    return [
        ({"a": other, "b": other}, "The header lacks 1 of the 3 features of iris@1: c."),
        ({"x": other}, "The table has 1 column and names none of the features of iris@1, which takes 3."),
        ({**TWO, "a": ["1", "2"]}, "The column 'a' holds string; integers, floats and decimals are taken."),
        ({**TWO, "b": [True, False]}, "The column 'b' holds bool; integers, floats and decimals are taken."),
        ({**TWO, "c": [[1.0], [2.0, 3.0]]}, "The column 'c' holds list<"),
        (
            {"x": pa.array([[1.0, 2], [3, 4]], pa.list_(pa.float32(), 2))},
            "The lists in the column 'x' have 2 values; iris@1 takes 3.",
        ),
        (
            {"x": pa.array([["1"] * 3] * 2, pa.list_(pa.string(), 3))},
            "The column 'x' holds string; integers, floats and decimals are taken.",
        ),
        ({**TWO, "a\0": other}, "The name of column 4 holds a NUL character; text without it is allowed."),
        ({**TWO, "id": ["x", "a\nb"]}, "Row 2: the id holds a line break or a NUL character."),
        ({**TWO, "id": ["x" * 1001, "y"]}, "Row 1: the id is longer than 1,000 bytes."),
        ({**TWO, "id": [[1], [2]]}, "The ids are list<"),
        ({name: [] for name in "abc"}, "The table has no row; at least one is needed."),
    ]


@pytest.mark.parametrize(("kind", "written"), NAMED)
@pytest.mark.parametrize(("columns", "sentence"), refused_schemas())
def test_a_table_that_does_not_fit_is_refused_with_a_sentence(
    kind: str, written: Any, columns: Any, sentence: str
) -> None:
    if not len(next(iter(columns.values()))):
        columns = {name: pa.array([], pa.float32()) for name in columns}
    assert sentence in refusal(kind, written(pa.table(columns)), InvalidInput)


@pytest.mark.parametrize(("kind", "written"), NAMED)
def test_a_name_that_stands_twice_is_refused(kind: str, written: Any) -> None:
    table = pa.table([[1.0]] * 4, names=["a", "b", "c", "a"])
    assert refusal(kind, written(table)) == "The header names a more than once; each may stand there once."


def test_dictionaries_are_refused_with_the_cure() -> None:
    table = pa.table({**TWO, "kind": pa.array(["x", "y"]).dictionary_encode()})
    cure = "The column 'kind' is dictionary-encoded; send plain values, with pyarrow column.dictionary_decode()."
    assert refusal("arrow", stream_of(table), InvalidInput) == cure


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (np.zeros(6), "The array has the shape (6,); (rows, 3) is taken."),
        (np.zeros((2, 3, 1)), "The array has the shape (2, 3, 1); (rows, 3) is taken."),
        (np.zeros((3, 2)), "The array has 2 columns; iris@1 takes 3."),
        (np.zeros((0, 3)), "The table has no row; at least one is needed."),
        (np.zeros((2, 3), np.complex64), "The array's values are <c8;"),
        (np.zeros((2, 3), bool), "The array's values are |b1;"),
        (np.zeros((2, 3), "U4"), "The array's values are <U4;"),
        (np.zeros((2, 3), [("x", "f4")]), "The array's values are [('x', '<f4')];"),
        (np.zeros((2, 3), np.longdouble), "The array's values are <f16;"),
    ],
)
def test_an_array_that_does_not_fit_is_refused_with_a_sentence(values: Any, sentence: str) -> None:
    assert sentence in refusal("npy", npy_of(values), InvalidInput)


class Explosive:
    def __reduce__(self) -> tuple[Any, ...]:
        return exec, ("raise SystemExit",)


def test_objects_are_never_unpickled() -> None:
    data = npy_of(np.array([[Explosive()] * 3], dtype=object))
    assert b"exec" in data and "Objects are never unpickled." in refusal("npy", data, InvalidInput)


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"{}",
        b"{" * 9_000,
        b"-" * 9_000 + b"1",
        b"[1, 2]",
        b"{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 3)}",
        b"__import__('os')",
    ]
    + [b"{'descr': '<f4', 'fortran_order': False, 'shape': (%b, 3)}" % size for size in (b"True", b"1e9", b"'2'")]
    + [b"\xff\xfe", b"{'descr'\0: 1}"],
)
def test_a_header_that_describes_no_array_is_refused(header: bytes) -> None:
    data = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + bytes(100)
    assert "The NumPy file is damaged" in refusal("npy", data, Unreadable)


def test_an_array_that_says_it_holds_very_many_rows_is_refused_at_once() -> None:
    header = b"{'descr': '|u1', 'fortran_order': True, 'shape': (999999999999, 3)}"
    assert "999,999,999,999 rows" in refusal(
        "npy", b"\x93NUMPY\x02\x00" + struct.pack("<I", len(header)) + header, TooLarge
    )


def test_bytes_after_an_array_and_missing_bytes_are_refused() -> None:
    data = npy_of(array())
    assert (
        refusal("npy", data + b"x") == "The NumPy file is damaged: the array ends at byte 152, and more bytes follow."
    )
    assert refusal("npy", data[:-1]) == "The NumPy file is cut off: 23 of 24 bytes of the array came."
    assert refusal("npy", data[:20]) == "The NumPy file ends within its header."


def test_a_batch_that_would_fill_the_memory_is_refused_before_it_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrow_messages, "MOST_BODY_BYTES", 1000)
    table = named({name: [0.0] * 100 for name in MODEL.features})
    assert "max_chunksize=16384" in refusal("arrow", stream_of(table)[:-2000], InvalidInput)
    assert "max_chunksize=16384" in refusal("arrow", stream_of(table, compression="zstd"), InvalidInput)
    assert len(take("arrow", stream_of(table, 10)).x) == 100


def test_a_stream_that_is_cut_off_or_goes_on_is_refused() -> None:
    data = stream_of(named(TWO))
    assert refusal("arrow", data[:-20], Unreadable) == "The Arrow stream is cut off: its last message is not whole."
    assert refusal("arrow", data + b"x", Unreadable) == "The Arrow stream is damaged: bytes follow its end."
    assert refusal("arrow", b"", InvalidInput) == "The file is empty; at least one row is needed."
    assert refusal("arrow", b"\xff\xff\xff\xff" + b"\x7f" * 9, InvalidInput).startswith(
        "The header of an Arrow message has"
    )


@pytest.mark.parametrize("said", [1238, 2**31, 2**62, -1])
@pytest.mark.parametrize("numbers", [pa.float32(), pa.list_(pa.float32(), 3)], ids=str)
def test_lengths_that_say_more_than_came_are_not_believed(said: int, numbers: pa.DataType) -> None:
    rows = 1237  # stands nowhere else in the stream
    whole = pa.array([[0.0] * 3] * rows, numbers) if pa.types.is_fixed_size_list(numbers) else None
    table = pa.table({"x": whole} if whole else {name: pa.array([0.0] * rows, numbers) for name in MODEL.features})
    data = stream_of(table).replace(struct.pack("<q", rows), struct.pack("<q", said))
    assert refusal("arrow", data, Unreadable).startswith("The Arrow stream is damaged or not understood: ")


def test_parquet_that_is_cut_off_or_encrypted_is_refused() -> None:
    data = parquet_of(named(TWO))
    assert refusal("parquet", data[:-9], Unreadable) == "The Parquet file is cut off: it does not end with its mark."
    assert refusal("parquet", b"PAR1", Unreadable) == "The Parquet file is cut off."
    assert (
        refusal("parquet", b"PARE" + data[4:-4] + b"PARE")
        == "The Parquet file is encrypted; write it without encryption."
    )
    assert "footer has 2,139,062,143 bytes" in refusal("parquet", data[:-8] + b"\x7f\x7f\x7f\x7fPAR1", InvalidInput)


def test_parquet_of_very_many_rows_in_few_bytes_is_refused_before_it_is_read() -> None:
    data = parquet_of(pa.table({name: np.zeros(100_000, np.int8) for name in MODEL.features}), compression="zstd")
    spoiled = data[:4] + b"\xff" * 200 + data[204:]
    assert len(data) < 20_000
    told = "The table has 100,000 rows or more; at most 6,666 of its width are taken."
    assert refusal("parquet", spoiled, TooLarge, max_bytes=20_000) == told


def test_parquet_whose_pages_would_fill_the_memory_is_refused_whatever_its_footer_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(parquet_pages, "MOST_BYTES", 3 * 8_000 - 1)
    table = pa.table({**{name: np.zeros(2_000) for name in MODEL.features}, "junk": np.zeros(2_000)})
    paged = {"use_dictionary": False, "data_page_size": 1 << 20, "compression": "zstd"}
    assert "side by side" in refusal("parquet", parquet_of(table, max_rows_per_page=1_000, **paged), InvalidInput)
    assert len(take("parquet", parquet_of(table, max_rows_per_page=500, **paged)).x) == 2_000


def test_every_page_of_a_column_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet_pages, "MOST_BYTES", 500)
    table = pa.table({name: np.arange(2_000) % 2 for name in MODEL.features})  # a small dictionary, then 250 bytes
    assert "side by side" in refusal("parquet", parquet_of(table), InvalidInput)


@pytest.mark.parametrize("written", ["parquet", "row groups"])
def test_pages_are_counted_that_pyarrow_reads(written: str) -> None:
    data = WRITTEN[written][1]
    spoiled = data[:4] + b"\xff" * 40 + data[44:]
    assert (
        refusal("parquet", spoiled, Unreadable) == "The Parquet file is damaged: the header of a page cannot be read."
    )


def test_a_long_id_that_stands_a_thousand_times_is_not_written_out() -> None:
    columns = {name: np.zeros(3_000) for name in MODEL.features}
    data = parquet_of(pa.table({**columns, "id": ["x" * 100_000] * 3_000}))
    assert len(data) < 1_000_000
    before = pa.default_memory_pool()
    pool = pa.proxy_memory_pool(before)
    pa.set_memory_pool(pool)
    try:
        assert refusal("parquet", data, InvalidInput) == "Row 1: the id is longer than 1,000 bytes."
    finally:
        pa.set_memory_pool(before)
    assert 0 < pool.max_memory() < 50_000_000


@pytest.mark.parametrize("kind", ["arrow", "npy", "parquet"])
def test_a_file_over_the_limit_is_refused_while_it_comes(kind: str) -> None:
    assert (
        refusal(kind, npy_of(array()), TooLarge, max_bytes=20)
        == "The file is larger than 20 bytes, the most that is taken."
    )


def many_bad(rows: int, bad: int) -> bytes:
    values = np.zeros((rows, 3))
    values[:bad, 1] = np.nan
    return npy_of(values)


def test_of_a_large_file_the_first_thousand_rows_are_judged_and_of_a_small_one_all() -> None:
    values = np.zeros((60_000, 3))
    values[[999, 1000], 0] = np.nan
    large, small = take("npy", npy_of(values)).plan, take("npy", npy_of(values[:2000])).plan
    assert (large.bad_rows, large.truncated_judgement) == (1, True)
    assert (small.bad_rows, small.truncated_judgement) == (2, False)


def test_a_file_whose_first_rows_are_mostly_bad_is_refused_before_the_rest_comes() -> None:
    with pytest.raises(InvalidInput) as refused:
        take("npy", many_bad(5_000, 501)[: 128 + 24 * 1_000])
    assert len(refused.value.errors) == 100 and refused.value.error_count == 501
    assert take("npy", many_bad(5_000, 500)).plan.bad_rows == 500


@settings(max_examples=EXAMPLES or 60, deadline=None, database=None, derandomize=not EXAMPLES)
@given(st.sampled_from(sorted(WRITTEN)), st.data())
def test_a_damaged_file_is_read_or_refused_and_never_breaks_anything(written: str, data: st.DataObject) -> None:
    kind, whole = WRITTEN[written]
    spoiled = bytearray(whole)
    for at in data.draw(st.lists(st.integers(0, len(whole) - 1), max_size=4)):
        spoiled[at] ^= data.draw(st.integers(1, 255))
    end = data.draw(st.integers(0, len(whole)) | st.just(len(whole)))
    try:
        take(kind, bytes(spoiled[:end]), step=4096)
    except Refused as refused:
        assert refused.detail.endswith((".", ")")) or ": " in refused.detail
