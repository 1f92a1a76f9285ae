"""The likeliest classes of many rows as one Arrow column, and the row's own answer beside it: arrays only, no row by itself."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from predictions.worker.scoring import TOP, Floats, confidences_of

CANDIDATE = pa.struct([("class", pa.int32()), ("label", pa.string()), ("confidence", pa.float64())])
Classes = npt.NDArray[np.int32]
Confidences = npt.NDArray[np.float64]


def top_column(
    probabilities: Floats, classes: Classes, confidences: Confidences, labels: Sequence[str]
) -> pa.ListArray:
    """list<struct> of up to five candidates a row, the likeliest first. probabilities: (n, classes).

    classes, confidences: (n,), the answers that were given before, perhaps on another device: each stands first in its row.
    """
    best = np.argsort(-probabilities, axis=1, kind="stable")[:, :TOP].astype(np.int32)  # (n, top)
    sure = confidences_of(np.take_along_axis(probabilities, best, axis=1))  # (n, top)
    _put_first(best, classes)
    sure[:, 0] = confidences
    offsets = np.arange(0, best.size + 1, best.shape[1], dtype=np.int32)  # (n + 1,)
    flat = pa.array(best.ravel())
    candidates = [flat, pa.array(labels).take(flat), pa.array(sure.ravel())]
    return pa.ListArray.from_arrays(pa.array(offsets), pa.StructArray.from_arrays(candidates, fields=list(CANDIDATE)))


def _put_first(best: Classes, classes: Classes) -> None:
    """Two classes that are nearly the same likely may have changed places. best: (n, top), changed in place."""
    differ = np.flatnonzero(best[:, 0] != classes)
    places = (best[differ] == classes[differ, None]).argmax(axis=1)
    best[differ, places] = best[differ, 0]
    best[differ, 0] = classes[differ]
