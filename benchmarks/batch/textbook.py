"""`python -m benchmarks.batch.textbook IN OUT MODEL`: the program one would write instead: pyarrow, torch, pyarrow.

Prints the seconds from opening the one file to closing the other, and its CPU; libraries and model are loaded before.
"""

from __future__ import annotations

import json
import sys
import time

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import torch

SCHEMA = pa.schema([("row", pa.int64()), ("class", pa.int64()), ("label", pa.string()), ("confidence", pa.float64())])
LABELS = np.array([str(digit) for digit in range(10)])


def main(source: str, target: str, model_file: str) -> None:
    model = torch.export.load(model_file).module()
    model(torch.zeros(2, 64))
    begun, cpu_begun = time.perf_counter(), time.process_time()
    score(source, target, model)
    print(json.dumps({"whole_s": time.perf_counter() - begun, "cpu_s": time.process_time() - cpu_begun}))


def score(source: str, target: str, model: torch.nn.Module) -> None:
    first = 1
    with pacsv.open_csv(source) as blocks, pacsv.CSVWriter(target, SCHEMA) as out, torch.inference_mode():
        for block in blocks:
            x = np.stack([np.asarray(column, dtype=np.float32) for column in block.columns], axis=1)  # (n, width)
            confidence, best = torch.softmax(model(torch.from_numpy(x)), dim=1).max(dim=1)  # (n,), (n,)
            classes = best.numpy()
            rows = pa.array(np.arange(first, first + len(classes)))
            sure = pa.array(np.round(confidence.numpy().astype(np.float64), 4))
            columns = [rows, pa.array(classes), pa.array(LABELS[classes]), sure]
            out.write_batch(pa.record_batch(columns, schema=SCHEMA))
            first += len(classes)


if __name__ == "__main__":
    main(*sys.argv[1:4])
