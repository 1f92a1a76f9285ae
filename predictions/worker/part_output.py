"""What comes of a part: the lines of its rows and of its bad cells, counted as they come and written when it ends."""

from __future__ import annotations

import csv
import hashlib
import io
from functools import partial

import numpy as np

from predictions import files
from predictions.csv_cells import harmless
from predictions.csv_reading import Block
from predictions.errors import SHOWN
from predictions.leases import ChunkClaim
from predictions.tallies import HISTOGRAM_BINS, Scored
from predictions.worker.insisting import insist_on_storage
from predictions.worker.runtime import Model
from predictions.worker.scoring import Scores, format_lines, score_rows


class PartOutput:
    """scored: what is known of it so far."""

    def __init__(self, model: Model) -> None:
        self.scored = Scored()
        self._model = model
        self._lines = bytearray()
        self._rejected = io.StringIO()
        self._rejected_rows = csv.writer(self._rejected, lineterminator="\n")

    def take(self, block: Block) -> None:
        if len(block.rows):
            scores = score_rows(self._model, block.x, block.rows)
            self._lines += format_lines(block.rows, block.ids, scores, self._model.card.labels)
            self._count(scores)
        if len(block.bad):
            self._reject(block)

    def write(self, claim: ChunkClaim) -> None:
        """Under the attempt's own names."""
        at = claim.job_id, claim.chunk.number, claim.attempt
        result, rejected = bytes(self._lines), self._rejected.getvalue().encode()
        insist_on_storage(partial(files.write, files.result_key(*at), result))
        if rejected:
            insist_on_storage(partial(files.write, files.rejected_key(*at), rejected))
        self.scored.result_bytes, self.scored.rejected_bytes = len(result), len(rejected)
        self.scored.result_sha256 = hashlib.sha256(result).hexdigest()

    def _count(self, scores: Scores) -> None:
        scored, labels = self.scored, self._model.card.labels
        by_class = np.bincount(scores.classes, minlength=len(labels))  # (classes,)
        bins, _ = np.histogram(scores.confidences, bins=HISTOGRAM_BINS, range=(0.0, 1.0))  # (bins,)
        scored.scored += len(scores.classes)
        scored.class_counts.update({label: int(count) for label, count in zip(labels, by_class, strict=True) if count})
        scored.histogram = [old + int(new) for old, new in zip(scored.histogram, bins, strict=True)]

    def _reject(self, block: Block) -> None:
        """line,row,column,value,reason; in none is a cell that a spreadsheet would run."""
        rows = set()
        for cell in block.bad:
            rows.add(cell.row)
            self._rejected_rows.writerow(
                (cell.line, cell.row, *map(harmless, (cell.column or "", cell.value, cell.reason)))
            )
            if len(self.scored.places) < SHOWN:
                self.scored.places.append(cell.as_place())
        self.scored.rejected += len(rows)
