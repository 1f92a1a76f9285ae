"""`python -m benchmarks.plain_model FILE`: trains the recipe's model, 64-128-10, on the demo's digits, as TorchScript."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import numpy as np
import torch

DIGITS = Path(__file__).resolve().parent.parent / "predictions" / "demo" / "digits.csv"
EPOCHS = 150


def main(file: str) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    table = np.loadtxt(DIGITS, delimiter=",", skiprows=1, dtype=np.float32)
    x, y = torch.from_numpy(table[:, :64] / 16.0), torch.from_numpy(table[:, 64]).long()  # (n, 64), (n,)
    model = torch.nn.Sequential(torch.nn.Linear(64, 128), torch.nn.ReLU(), torch.nn.Linear(128, 10))
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    for _ in range(EPOCHS):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(x), y).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.script(model.eval()).save(file)  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    main(sys.argv[1])
