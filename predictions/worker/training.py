"""The demo model: a small network for the digits in `predictions/demo`, trained the same way each time."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from predictions import model_cards
from predictions.errors import ModelRefused
from predictions.model_cards import ModelCard
from predictions.worker import registration

DIGITS = Path(model_cards.__file__).with_name("demo") / "digits.csv"
NAME, VERSION = "digits", 1
SEED = 1998
EPOCHS = 40
BATCH = 64
ACCURACY = 0.96
PICTURE = {"kind": "image", "rows": 8, "columns": 8, "low": 0, "high": 16}


class DigitNetwork(nn.Module):
    """Takes the raw pixels, 0 to 16: the scaling is part of the model."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.layers(x / 16.0)  # (n, 10)
        return logits


@dataclass(frozen=True)
class Rows:
    pixels: torch.Tensor  # (n, 64) float32
    digits: torch.Tensor  # (n,) int64


def train() -> ModelCard:
    """Train on two thirds of the rows, measure on the others and install. Raises ModelRefused below 0.96."""
    features, rows = read_digits()
    learned, held_out = _thirds(rows)
    network = _fit(learned)
    accuracy = accuracy_of(network, held_out)
    if accuracy < ACCURACY:
        raise ModelRefused(
            f"The demo model is right for {accuracy:.4f} of the {len(held_out.digits)} held-out rows; "
            f"at least {ACCURACY} is asked."
        )
    described = registration.Described(
        name=NAME,
        version=VERSION,
        labels=[str(digit) for digit in range(10)],
        features=features,
        picture=PICTURE,
        examples=_examples(held_out),
        metrics={"accuracy": round(accuracy, 4), "held_out": len(held_out.digits)},
    )
    with tempfile.TemporaryDirectory() as folder:
        return registration.register(_export(network, Path(folder, "digits.pt2")), described)


def read_digits() -> tuple[list[str], Rows]:
    """The names of the 64 pixels, and all 1,797 rows."""
    with DIGITS.open(encoding="ascii") as file:
        names = file.readline().strip().split(",")
        table = np.loadtxt(file, delimiter=",", dtype=np.int64)  # (n, 65)
    return names[:-1], Rows(torch.from_numpy(table[:, :-1]).float(), torch.from_numpy(table[:, -1]))


def accuracy_of(network: nn.Module, rows: Rows) -> float:
    with torch.inference_mode():
        guesses = network(rows.pixels).argmax(dim=1)  # (n,)
    return float((guesses == rows.digits).float().mean())


def _thirds(rows: Rows) -> tuple[Rows, Rows]:
    """Two thirds to learn from, one to measure with, drawn with the fixed seed."""
    order = torch.randperm(len(rows.digits), generator=torch.Generator().manual_seed(SEED))
    cut = len(order) * 2 // 3
    return _some(rows, order[:cut]), _some(rows, order[cut:])


def _some(rows: Rows, which: torch.Tensor) -> Rows:
    return Rows(rows.pixels[which], rows.digits[which])


def _fit(rows: Rows) -> nn.Module:
    # One thread adds up in the same order everywhere, and two took 40 s instead of 1.3 s on two busy cores.
    torch.set_num_threads(1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        network = DigitNetwork()
        optimizer = torch.optim.Adam(network.parameters(), lr=3e-3, weight_decay=1e-4)
        for _ in range(EPOCHS):
            for batch in torch.split(torch.randperm(len(rows.digits)), BATCH):
                optimizer.zero_grad()
                loss = nn.functional.cross_entropy(network(rows.pixels[batch]), rows.digits[batch])
                torch.autograd.backward(loss)
                optimizer.step()
    return network.eval()


def _examples(rows: Rows) -> list[dict[str, Any]]:
    """The first row of each digit."""
    firsts = [int((rows.digits == digit).nonzero()[0]) for digit in range(10)]
    return [{"label": str(digit), "vector": rows.pixels[at].int().tolist()} for digit, at in enumerate(firsts)]


def _export(network: nn.Module, file: Path) -> Path:
    program = torch.export.export(
        network, (torch.zeros(2, 64),), dynamic_shapes=({0: torch.export.Dim("batch", min=1)},)
    )
    torch.export.save(program, file)
    return file
