"""What is made of an uploaded file: its parts and plan, or an early refusal in a sentence."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from predictions.csv_reading import blocks, read_block
from predictions.errors import InvalidInput, Refused, TooLarge, Unreadable, UnsupportedType
from predictions.ingest import Ingest, Plan
from tests.predictions.csv_files import Collected


@dataclass(frozen=True)
class Model:
    ref: str = "iris@1"
    width: int = 3
    features: tuple[str, ...] = ("a", "b", "c")


@dataclass
class Taken:
    plan: Plan
    parts: dict[int, bytes] = field(default_factory=dict)

    @property
    def text(self) -> bytes:
        return b"".join(self.parts[part.number] for part in self.plan.parts)

    @property
    def x(self) -> list[list[float]]:
        return read_block(self.text, self.plan.columns, MODEL.features, 1, 1).x.tolist()


MODEL = Model()


def take(data: bytes | str, step: int = 65_536, part_bytes: int = 4_000_000, max_bytes: int = 1 << 31) -> Taken:
    data = data.encode() if isinstance(data, str) else data
    parts = Collected()
    ingest = Ingest(MODEL, parts.put, max_bytes, part_bytes)
    for start in range(0, len(data), step):
        ingest.feed(data[start : start + step])
    return Taken(ingest.close(), parts)


def refusal(data: bytes | str, kind: type[Refused] = InvalidInput) -> str:
    with pytest.raises(kind) as refused:
        take(data)
    return refused.value.detail


@pytest.mark.parametrize(
    "data",
    [
        "a,b,c\n1,2,3\n4,5,6\n",
        "a,b,c\n1,2,3\n4,5,6",
        "a,b,c\r\n1,2,3\r\n4,5,6\r\n",
        "a,b,c\r1,2,3\r4,5,6\r",
        "\ufeffa,b,c\n1,2,3\n4,5,6\n",
        "a;b;c\n1;2;3\n4;5;6\n",
        "a\tb\tc\n1\t2\t3\n4\t5\t6\n",
        "a|b|c\n1|2|3\n4|5|6\n",
        '"a","b","c"\n"1","2","3"\n4,5,6\n',
        "1.0,2,3\n4,5,6\n",
        "x,y,z\n1,2,3\n4,5,6\n",
        "c,b,a\n3,2,1\n6,5,4\n",
        "c,junk,b,a,é\n3,x,2,1,\n6,,5,4,ü\n",
        "\n \na,b,c\n\n1,2,3\n  \n4,5,6\n\n",
        "a,b,c\n1,2,3\n4,5,6\n".encode("utf-16"),
        b"\xfe\xff" + "a,b,c\r\n1,2,3\r\n4,5,6".encode("utf-16-be"),
    ],
)
@pytest.mark.parametrize("step", [1, 7, 65_536])
def test_the_same_rows_are_read_from_every_dialect(data: bytes | str, step: int) -> None:
    assert take(data, step).x == [[1, 2, 3], [4, 5, 6]]


def test_a_decimal_comma_is_read_and_said() -> None:
    taken = take("a;b;c\n1;2;3\n1,5;2;-,25\n")
    assert taken.x == [[1, 2, 3], [1.5, 2, -0.25]]
    assert "Numbers are read with a decimal comma." in taken.plan.notes


@pytest.mark.parametrize("step", [6, 65_536])
def test_whole_numbers_leave_the_decimal_sign_open(step: int) -> None:
    assert take("a;b;c\n1;2;3\n1.5;2;3\n", step).x == [[1, 2, 3], [1.5, 2, 3]]


def test_decimal_commas_without_a_header_are_not_taken_for_the_delimiter() -> None:
    assert take("0,5;1,5;2\n3,5;4;5\n").x == [[0.5, 1.5, 2], [3.5, 4, 5]]


def test_a_comma_in_a_text_column_is_no_decimal_comma() -> None:
    taken = take("a;b;c;who\n1.5;2;3;Doe, 1,5 Jane\n")
    assert taken.plan.columns.decimal == "."


@pytest.mark.parametrize(
    ("start", "word"),
    [(b"PK\x03\x04", "Excel"), (b"\x1f\x8b\x08", "gzip"), (b"PAR1\x15\x04", "Parquet"), (b"%PDF-1.7", "PDF")],
)
def test_another_kind_of_file_is_refused_with_what_to_do(start: bytes, word: str) -> None:
    assert word in refusal(start + b"\0" * 20, UnsupportedType)


def test_a_header_named_like_a_magic_word_is_a_header() -> None:
    assert take("PAR1,PAR2,PAR3\n1,2,3\n").plan.rows == 1


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"a,b,c\n1,2,\xe9\n", "Line 2 is not UTF-8 (byte 0xE9). Save the file as CSV UTF-8."),
        (b"a,b,c\r\n1,2,\xc3", "Line 2 is not UTF-8 (byte 0xC3). Save the file as CSV UTF-8."),
        (
            b"a,b,c\n1,\x002,3\n",
            "Line 2 holds a NUL byte: the file is binary, or UTF-16 without a mark. Save the file as CSV UTF-8.",
        ),
        (b"\xff\xfe\x00\x00a\0\0\0", "The file is UTF-32. Save the file as CSV UTF-8."),
    ],
)
def test_what_is_no_text_is_unreadable_at_its_line(data: bytes, sentence: str) -> None:
    assert refusal(data, Unreadable) == sentence


def test_a_damaged_utf_16_is_unreadable() -> None:
    assert "UTF-16" in refusal(b"\xff\xfea\0,", Unreadable)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ("", "The file is empty; at least one row is needed."),
        ("\n\n", "The file is empty; at least one row is needed."),
        ("a,b,c\n", "The file has a header but no row."),
        ("a,b,c\n\n \n", "The file has a header but no row."),
        ("a,b\n1,2\n", "The header lacks 1 of the 3 features of iris@1: c."),
        ("a,b,c,b\n1,2,3,4\n", "The header names b more than once; each may stand there once."),
        ("id,a,b,c,ID\n1,2,3,4,5\n", "The header names id more than once; each may stand there once."),
    ],
)
def test_a_file_without_the_needed_columns_or_rows_is_refused(data: str, sentence: str) -> None:
    assert refusal(data) == sentence


def test_an_unclosed_quote_in_the_header_is_refused() -> None:
    assert "unclosed quote" in refusal('a,b,"c\n1,2,3\n')


@pytest.mark.parametrize("data", ["1,2\n3,4\n", "x,y,z,w\n1,2,3,4\n", "1 2 3\n", "hello\n"])
def test_another_width_by_position_is_refused_with_the_separators(data: str) -> None:
    assert "Values are separated by" in refusal(data)


@pytest.mark.parametrize("first", ["0,1,2", "1,2,3"])
def test_a_counted_header_is_never_taken_as_a_row(first: str) -> None:
    assert "may be a header or a row" in refusal(f"{first}\n5,5,5\n")


def test_a_first_row_with_a_fault_is_a_row_and_not_a_header() -> None:
    plan = take("1.5,x,3\n4,5,6\n").plan
    assert (plan.rows, plan.parts[0].first_line, plan.columns.names) == (2, 1, ())
    assert plan.places == [{"row": 1, "line": 1, "column": "b", "value": "x", "message": "'x' is not a number"}]


def test_missing_values_in_the_first_row_make_no_header() -> None:
    assert take("nan,,NA\n4,5,6\n").plan.rows == 2


def test_a_header_with_other_names_is_said_in_the_notes() -> None:
    plan = take("x,y,z\n1,2,3\n").plan
    assert plan.notes == ["The header names none of the features of iris@1; the columns are taken by position."]
    assert plan.columns.names == ("x", "y", "z")


def test_an_id_column_is_kept_and_others_are_said_to_be_ignored() -> None:
    plan = take("id,a,b,junk,c\nr1,1,2,x,3\n").plan
    assert (plan.columns.id_position, plan.columns.positions) == (0, (1, 2, 4))
    assert plan.notes == ["1 column is ignored: junk."]


def test_a_line_that_never_ends_is_refused_before_the_file_does() -> None:
    ingest = Ingest(MODEL, lambda number, part: None, 1 << 31)
    ingest.feed(b"a,b,c\n1,2,3\n")
    for _ in range(16):
        ingest.feed(b"1," * 32_768)
    with pytest.raises(InvalidInput, match="Line 3 is longer"):
        ingest.feed(b"1,")


def test_too_many_columns_are_refused() -> None:
    assert "100,000 columns" in refusal(",".join(f"x{at}" for at in range(100_000)) + "\n")


def test_a_file_over_the_limit_is_refused_while_it_arrives() -> None:
    with pytest.raises(TooLarge, match="larger than 10 bytes"):
        take("a,b,c\n1,2,3\n", max_bytes=10)


@settings(deadline=None)
@given(
    st.lists(st.sampled_from(["1,2,3", "", " ", "4,x,6", "7,8,9"]), min_size=1, max_size=40),
    st.integers(1, 50),
    st.integers(1, 80),
    st.sampled_from(["\n", "\r\n", "\r"]),
)
def test_parts_hold_every_line_with_its_true_number(lines: list[str], step: int, part_bytes: int, end: str) -> None:
    lines = ["a,b,c", *lines, "1,1,1"]
    taken = take(end.join(lines), step, part_bytes)
    rows = [(number, line) for number, line in enumerate(lines, start=1) if line.strip()][1:]
    for part in taken.plan.parts:
        inside = taken.parts[part.number].decode().split("\n")[:-1]
        assert inside == lines[part.first_line - 1 : part.first_line - 1 + part.lines]
        assert rows[part.first_row - 1][0] >= part.first_line
        assert part.rows == sum(bool(line.strip()) for line in inside)
        assert part.size_bytes == len(taken.parts[part.number])
    assert sum(part.rows for part in taken.plan.parts) == taken.plan.rows == len(rows)
    bad = [(number, line) for number, line in rows if "x" in line]
    assert [(place["line"], place["column"]) for place in taken.plan.places] == [(number, "b") for number, _ in bad]
    assert taken.plan == take(end.join(lines), 1_000, part_bytes).plan


def test_blocks_of_the_parts_keep_the_numbers_of_the_file() -> None:
    taken = take("a,b,c\n" + "1,2,3\n\n" * 50 + "1,2,bad\n", part_bytes=100)
    found = []
    for part in taken.plan.parts:
        line, row = part.first_line, part.first_row
        for block, lines, rows in blocks(taken.parts[part.number], 20):
            found += read_block(block, taken.plan.columns, MODEL.features, line, row).bad
            line, row = line + lines, row + rows
    assert [(cell.line, cell.row) for cell in found] == [(102, 51)]


def test_a_small_file_is_judged_whole() -> None:
    plan = take("a,b,c\n" + "1,2,3\n" * 5_000 + "1,2,x\n").plan
    assert (plan.bad_rows, plan.bad_cells, plan.truncated_judgement) == (1, 1, False)


def test_of_a_large_file_the_first_thousand_rows_are_judged() -> None:
    plan = take("a,b,c\n" + "1,2,3\n" * 999 + "1,2,x\n" + "1,2,y\n" * 200_000).plan
    assert (plan.bad_rows, plan.places[0]["row"], plan.truncated_judgement) == (1, 1_000, True)


def a_file(rows: int, bad: int, of: int = 1_000) -> str:
    """Of its first rows so many are bad, spread among the good ones."""
    lines = ["1,x,3" if row < of and (row * bad) % of < bad else "1,2,3" for row in range(rows)]
    return "a,b,c\n" + "\n".join(lines) + "\n"


def test_a_file_is_refused_early_where_more_than_half_of_its_first_thousand_rows_are_bad() -> None:
    parts = Collected()
    ingest = Ingest(MODEL, parts.put, 1 << 31)
    with pytest.raises(InvalidInput) as refused:
        ingest.feed(a_file(1_000, bad=612).encode())
    assert refused.value.detail == (
        "612 of the first 1,000 rows cannot be read, more than half; nothing was stored. "
        "Is the delimiter or the column order right?"
    )
    assert (len(refused.value.errors), refused.value.error_count, parts) == (100, 612, {})
    assert refused.value.errors[0] == {
        "row": 1,
        "line": 2,
        "column": "b",
        "value": "x",
        "message": "'x' is not a number",
    }


@pytest.mark.parametrize("step", [7, 1_000, 65_536])
def test_a_file_is_refused_early_however_its_bytes_arrive(step: int) -> None:
    with pytest.raises(InvalidInput, match="501 of the first 1,000 rows"):
        take(a_file(3_000, bad=501), step)


def test_half_of_the_first_thousand_rows_may_be_bad() -> None:
    assert take(a_file(3_000, bad=500)).plan.bad_rows == 500


def test_a_file_of_fewer_than_a_thousand_rows_may_be_mostly_bad() -> None:
    assert take(a_file(999, bad=600, of=999)).plan.bad_rows == 600


def test_only_the_first_thousand_rows_decide_whether_a_file_is_refused_early() -> None:
    good, bad = "1,2,3\n" * 900, "1,x,3\n" * 300_000
    assert take("a,b,c\n" + good + bad).plan.rows == 300_900


def test_of_rows_too_long_for_a_thousand_of_them_fewer_decide() -> None:
    long = '"' + "z" * 100_000 + '"'
    with pytest.raises(InvalidInput, match=r"of the first 4\d rows cannot be read, more than half"):
        take("a,b,c,more\n" + f"1,x,3,{long}\n" * 80)


def test_a_header_after_many_blank_lines_keeps_its_line() -> None:
    assert take("\n \n" * 100_000 + "a,b,c\n\n1,2,x\n").plan.places[0]["line"] == 200_003


def test_the_first_hundred_places_are_kept_and_all_are_counted() -> None:
    plan = take("a,b,c\n" + "x,y,3\n" * 80).plan
    assert (len(plan.places), plan.bad_rows, plan.bad_cells) == (100, 80, 160)


def test_the_preview_shows_the_first_five_rows_as_text() -> None:
    assert take("a,b,c\n" + '"1",2,x\n' * 9).plan.preview == [["1", "2", "x"]] * 5


def test_a_plan_survives_json() -> None:
    plan = take("id,a,b,c\nr,1,2,x\n").plan
    assert Plan.from_json(json.loads(json.dumps(plan.as_json()))) == plan
