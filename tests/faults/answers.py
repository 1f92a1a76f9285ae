"""What the model says when it is asked directly: the answers that the product's results must equal."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from predictions import model_cards
from predictions.worker import runtime, training
from predictions.worker.scoring import predict

Vector = list[float]


@cache
def rows() -> list[Vector]:
    """The 1,797 digits."""
    found: list[Vector] = training.read_digits()[1].pixels.tolist()
    return found


@cache
def predictions() -> list[dict[str, Any]]:
    """The direct model's answer to each digit."""
    return predict(runtime.load(model_cards.card("digits@1")), np.asarray(rows(), dtype=np.float32))


def csv_of(count: int, first: int = 0) -> bytes:
    """`count` digits as a CSV with a header, from the digit `first` on, round and round."""
    header = ",".join(training.read_digits()[0])
    lines = [",".join(f"{value:.0f}" for value in rows()[at % len(rows())]) for at in range(first, first + count)]
    return "\n".join([header, *lines]).encode() + b"\n"


def is_right(digit: int, answer: dict[str, Any]) -> bool:
    """The same class; the confidence within one step of its rounding, since other batch sizes add up in another order."""
    direct = predictions()[digit % len(rows())]
    return answer["class"] == direct["class"] and abs(answer["confidence"] - direct["confidence"]) <= 0.0002


def are_right(first: int, lines: list[str]) -> bool:
    """The lines of a batch's result CSV, without its header."""
    for at, line in enumerate(lines):
        row, of, _, sure = line.split(",")
        if int(row) != at + 1 or not is_right(first + at, {"class": int(of), "confidence": float(sure)}):
            return False
    return True
