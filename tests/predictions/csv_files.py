"""Files in every dialect that is understood, with faults planted at known places."""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random

from hypothesis import strategies as st

from predictions.bad_cells import BadCell
from predictions.numbers_in_text import TOO_LARGE, cut
from tests.predictions.nearest import hard_number, nearest_float32

FEATURES = ("a", "b", "c")
ENCODINGS = {"utf-8": "", "utf-8-sig": "", "utf-16-le": "\ufeff", "utf-16-be": "\ufeff"}
EXTRAS = ("", "x", "é", "Doe; Jane, J|n\t", "5", "no 5' here", "\u00a0")
FAULTS = {
    "": "empty",
    " \u00a0": "empty",
    "abc": "'abc' is not a number",
    "é": "'é' is not a number",
    "1_0": "'1_0' is not a number",
    "1 2": "'1 2' is not a number",
    "1.2.3": "'1.2.3' is not a number",
    "1,2,3": "'1,2,3' is not a number",
    "--1": "'--1' is not a number",
    "1e": "'1e' is not a number",
    "e5": "'e5' is not a number",
    ".": "'.' is not a number",
    "+": "'+' is not a number",
    "1;2|3": "'1;2|3' is not a number",
    '5"': "'5\"' is not a number",
    "x" * 60: f"'{'x' * 39}…' is not a number",
    "NaN": "not finite",
    "-inf": "not finite",
    "1e39": TOO_LARGE,
    "-" + "9" * 60: TOO_LARGE,
}
UNCLOSED = "unclosed quote: a cell must end on the line it starts on"


class Collected(dict[int, bytes]):
    """The parts of a file by number, put together from what an ingest puts."""

    def put(self, number: int, content: bytes) -> None:
        self[number] = self.get(number, b"") + content


@dataclass(frozen=True)
class Dialect:
    delimiter: str
    decimal: str
    line_end: str
    encoding: str
    header: tuple[str, ...]
    quoted: float
    """The share of the cells that are quoted."""
    spaced: bool
    blank: float
    """The share of the lines with a blank one before them."""
    ends_last_line: bool

    @property
    def columns(self) -> tuple[str, ...]:
        return self.header or FEATURES


@dataclass(frozen=True)
class Given:
    """A file and what must be read of it. values, ids: of the good rows."""

    dialect: Dialect
    data: bytes
    values: list[list[str]]
    rows: list[int]
    ids: list[str] | None
    bad: list[BadCell]


@st.composite
def dialects(draw: st.DrawFn) -> Dialect:
    delimiter = draw(st.sampled_from(",;\t|"))
    names = draw(st.permutations([*FEATURES, *draw(st.sampled_from([[], ["id"], ["ID"]]))]))
    extras = draw(st.lists(st.sampled_from(["junk", "é,x", "a;b", "", "d"]), max_size=3))
    for extra in extras:
        names.insert(draw(st.integers(0, len(names))), extra)
    return Dialect(
        delimiter,
        draw(st.sampled_from(",." if delimiter != "," else ".")),
        draw(st.sampled_from(["\n", "\r\n", "\r"])),
        draw(st.sampled_from(sorted(ENCODINGS))),
        draw(st.sampled_from([(), tuple(names), tuple(names)])),
        draw(st.sampled_from([0, 0, 0.3, 1])),
        draw(st.booleans()),
        draw(st.sampled_from([0, 0.2])),
        draw(st.booleans()),
    )


@st.composite
def files(draw: st.DrawFn) -> Given:
    dialect = draw(dialects())
    rows = draw(st.integers(2, 12))
    faulty = draw(st.sampled_from([0, 0.05, 0.5]))
    return _File(dialect, Random(draw(st.integers(0, 2**32)))).written(rows, faulty)


class _File:
    def __init__(self, dialect: Dialect, random: Random) -> None:
        self._dialect, self._random = dialect, random
        self._lines: list[str] = []
        self._values: list[list[str]] = []
        self._rows: list[int] = []
        self._ids: list[str] = []
        self._bad: list[BadCell] = []

    def written(self, rows: int, faulty: float) -> Given:
        dialect = self._dialect
        if dialect.header:
            self._add([self._cell(name) for name in dialect.header])
        self._add_row(1, 0, first=True)
        for row in range(2, rows + 1):
            self._add_row(row, faulty)
        text = dialect.line_end.join(self._lines) + dialect.line_end * dialect.ends_last_line
        data = (ENCODINGS[dialect.encoding] + text).encode(dialect.encoding)
        has_ids = any(name.lower() == "id" for name in dialect.columns)
        return Given(dialect, data, self._values, self._rows, self._ids if has_ids else None, self._bad)

    def _add_row(self, row: int, faulty: float, first: bool = False) -> None:
        """The first row tells the decimal sign, and that it is no header."""
        values = {name: self._number(first) for name in FEATURES}
        found = {name: self._fault() for name in FEATURES if self._random.random() < faulty}
        others = {name: self._random.choice(EXTRAS) for name in self._dialect.columns if name not in values}
        texts = values | {name: text for name, (text, _) in found.items()} | others
        cells = [self._cell(texts[name], name) for name in self._dialect.columns]
        if self._random.random() < faulty / 3:
            return self._add_odd_row(row, cells)
        line = self._add(cells)
        for name in FEATURES:
            if name in found:
                self._bad.append(BadCell(row, line, name, cut(found[name][0].strip(" \u00a0")), found[name][1]))
        if not found:
            self._rows.append(row)
            self._values.append([values[name].replace(self._dialect.decimal, ".") for name in FEATURES])
            self._ids += [text for name, text in others.items() if name.lower() == "id"]
        return None

    def _add_odd_row(self, row: int, cells: list[str]) -> None:
        width = len(cells)
        if self._random.random() < 0.4:
            cells, reason = [*cells[:-1], '"5'], UNCLOSED
        else:
            cells = self._random.choice([["5", *cells], ["5"], ["5", *cells[:-2]]])
            reason = self._width_fault(len(cells), width)
        line = self._add(cells)
        self._bad.append(BadCell(row, line, None, cut(self._lines[-1]), reason))

    def _width_fault(self, count: int, width: int) -> str:
        values = "1 value" if count == 1 else f"{count} values"
        wanted = "the model takes 3" if width == 3 else f"the header names {width} columns"
        return f"the row has {values}; {wanted}"

    def _add(self, cells: list[str]) -> int:
        """The number of the line."""
        if self._random.random() < self._dialect.blank:
            self._lines.append(" " * self._random.randint(0, 2))
        self._lines.append(self._dialect.delimiter.join(cells))
        return len(self._lines)

    def _number(self, first: bool) -> str:
        plain = ["0.5"] if first else ["7", "-0.25", ".5", "5.", "1E+5", "007", self._hard_number()]
        return self._random.choice(plain).replace(".", self._dialect.decimal)

    def _hard_number(self) -> str:
        text = hard_number(self._random)
        return text if math.isfinite(nearest_float32(text)) else "3.4028235e38"

    def _fault(self) -> tuple[str, str]:
        """Its text and the reason that is to be told."""
        decimal = self._dialect.decimal
        other = {"1.5": "'1.5' is not a number"} if decimal == "," else {"1,5": "'1,5' is not a number"}
        return self._random.choice(sorted((FAULTS | other).items()))

    def _cell(self, text: str, name: str = "") -> str:
        must = self._dialect.delimiter in text or text.startswith('"')
        if must or self._random.random() < self._dialect.quoted:
            return '"' + text.replace('"', '""') + '"'
        spaces = " " * self._random.randint(0, 2) if self._dialect.spaced and name in FEATURES else ""
        return spaces + text + spaces
