"""From rows of numbers to predictions and result lines: pure functions over arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from predictions.csv_cells import FORMULA, INNER_FORMULA, NUMBER
from predictions.model_cards import ModelCard

TOP = 5
STEPS = 10_000
"""Confidences are told in ten-thousandths: a float32 times 10,000 is exact in float64, so rint is round(x, 4)."""
PASS_ROWS = 256
"""Rows in each forward pass of a batch: fewer cost more a row, more would make a small file wait."""
_SPECIAL = FORMULA + r'|[",\n\r;\t]'
CONFIDENCES = pa.array([f"{step / STEPS:.4f}" for step in range(STEPS + 1)])

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


class Scorer(Protocol):
    @property
    def card(self) -> ModelCard: ...
    @property
    def device(self) -> str: ...
    def probabilities(self, x: Floats) -> Floats: ...


@dataclass(frozen=True)
class Scores:
    classes: Ints  # (n,)
    confidences: Floats  # (n,)


def predict_one(model: Scorer, vector: Sequence[float]) -> dict[str, Any]:
    """The prediction of one vector, as api.md describes it."""
    return predict(model, np.asarray([vector], dtype=np.float32))[0]


def predict(model: Scorer, x: Floats) -> list[dict[str, Any]]:
    """The predictions of x (n, width) from one forward pass. Raises NonFiniteOutput, for all where one row is not."""
    probabilities = model.probabilities(x)  # (n, classes)
    best = np.argsort(-probabilities, axis=1, kind="stable")[:, :TOP]  # (n, top)
    confidences = confidences_of(np.take_along_axis(probabilities, best, axis=1))  # (n, top)
    labels = model.card.labels
    return [
        _prediction(
            model.device,
            [{"class": of, "label": labels[of], "confidence": sure} for of, sure in zip(row, how_sure, strict=True)],
        )
        for row, how_sure in zip(best.tolist(), confidences.tolist(), strict=True)
    ]


def score_rows(model: Scorer, x: Floats, rows: Ints) -> Scores:
    """The class of each row of x (n, width) and its softmax. rows: (n,), their numbers, ascending. Raises NonFiniteOutput."""
    probabilities = probabilities_of(model, x, rows)  # (n, classes)
    classes = probabilities.argmax(axis=1)  # (n,)
    return Scores(classes, np.take_along_axis(probabilities, classes[:, None], axis=1)[:, 0])


def probabilities_of(model: Scorer, x: Floats, rows: Ints) -> Floats:
    """Softmax over the classes, (n, classes) for x (n, width). rows: (n,), their numbers, ascending. Raises NonFiniteOutput.

    Every pass has the same size, and each row its own place in it: the last bits of a product of matrices depend on both,
    and a file's result must not depend on how it was cut, nor on where it was stopped.
    """
    passes = (rows - 1) // PASS_ROWS  # (n,)
    cuts = [0, *(np.flatnonzero(np.diff(passes)) + 1).tolist(), len(rows)]
    scored = [_in_place(model, x[start:end], rows[start:end]) for start, end in pairwise(cuts) if end > start]
    probabilities: Floats = np.concatenate([np.empty((0, len(model.card.labels)), np.float32), *scored])  # (n, classes)
    return probabilities


def _in_place(model: Scorer, x: Floats, rows: Ints) -> Floats:
    """One pass. Where a row is missing the first stands once more: a model may have no answer for zeros."""
    if len(x) == PASS_ROWS:
        return model.probabilities(x)
    places = (rows - 1) % PASS_ROWS  # (n,)
    full = np.repeat(x[:1], PASS_ROWS, axis=0)  # (PASS_ROWS, width)
    full[places] = x
    probabilities: Floats = model.probabilities(full)[places]  # (n, classes)
    return probabilities


def header_line(has_ids: bool) -> bytes:
    return b"row,id,class,label,confidence\n" if has_ids else b"row,class,label,confidence\n"


def format_lines(rows: Ints, ids: Sequence[str] | pa.Array | None, scores: Scores, labels: tuple[str, ...]) -> bytes:
    """The lines of a result CSV, without its header. rows: (n,), each row's number in the file, from 1."""
    columns = [pa.array(rows).cast(pa.string())]
    if ids is not None:
        columns.append(_safe_cells(_strings(ids)))
    columns.append(_class_and_label(labels).take(pa.array(scores.classes)))
    columns.append(CONFIDENCES.take(pa.array(_steps(scores.confidences).astype(np.int64))))
    lines = pc.binary_join_element_wise(*columns, ",")
    ended = pc.binary_join_element_wise(lines, "", "\n")
    whole = pc.binary_join(pa.ListArray.from_arrays([0, len(ended)], ended), "")
    return bytes(whole[0].as_buffer())


def _prediction(device: str, top: list[dict[str, Any]]) -> dict[str, Any]:
    return {**top[0], "device": device, "top": top}


def confidences_of(probabilities: Floats) -> npt.NDArray[np.float64]:
    """As they are told: rounded to four decimals."""
    told: npt.NDArray[np.float64] = _steps(probabilities) / STEPS
    return told


def _steps(probabilities: Floats) -> npt.NDArray[np.float64]:
    """Probabilities in whole ten-thousandths."""
    return np.rint(probabilities.astype(np.float64) * STEPS)


@lru_cache(maxsize=8)
def _class_and_label(labels: tuple[str, ...]) -> pa.Array:
    """A class and its label as they stand in a line: they go together, so that a row needs one look-up."""
    cells = _safe_cells(pa.array(labels)).to_pylist()
    return pa.array([f"{of},{cell}" for of, cell in enumerate(cells)])


def _strings(ids: Sequence[str] | pa.Array) -> pa.Array:
    array = ids if isinstance(ids, pa.Array) else pa.array(ids, pa.string())
    return pc.fill_null(array.cast(pa.string()), "")


def _safe_cells(cells: pa.Array) -> pa.Array:
    """Cells as CSV writes them; what a spreadsheet would run as a formula gets an apostrophe, unless it is a number."""
    if not pc.any(pc.match_substring_regex(cells, _SPECIAL)).as_py():  # as nearly always
        return cells
    number = pc.match_substring_regex(cells, f"^{NUMBER}$")
    formula = pc.and_not(pc.match_substring_regex(cells, FORMULA), number)
    cells = pc.replace_substring_regex(cells, INNER_FORMULA, r"\1'\2")
    cells = pc.if_else(formula, pc.binary_join_element_wise("'", cells, ""), cells)
    quoted = pc.binary_join_element_wise('"', pc.replace_substring(cells, '"', '""'), '"', "")
    return pc.if_else(pc.match_substring_regex(cells, r'[",\n\r]'), quoted, cells)
