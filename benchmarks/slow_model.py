"""`python -m benchmarks.slow_model FILE`: a model whose pass takes about 20 ms on one core, for 1 row as for 64."""

from __future__ import annotations

import sys
import time

import torch

PASS_S = 0.020
SIDE = 384
TRIES = 10


class Slow(torch.nn.Module):
    """What it does besides is a chain of products of matrices that no row takes part in."""

    def __init__(self, products: int) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(64, 10)
        self.products = products
        self.work = torch.nn.Buffer(torch.eye(SIDE))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        product: torch.Tensor = self.work  # (SIDE, SIDE)
        for _ in range(self.products):
            product = product @ self.work
        logits: torch.Tensor = self.layer(x) * product[0, 0]  # (n, 10)
        return logits


@torch.inference_mode()
def products() -> int:
    """How many fit into one pass on this machine, by the quickest of some tries."""
    took_s = []
    work = torch.eye(SIDE)
    for _ in range(TRIES):
        begun = time.perf_counter()
        for _ in range(5):
            work = work @ work
        took_s.append((time.perf_counter() - begun) / 5)
    return max(1, round(PASS_S / min(took_s)))


def main(file: str) -> None:
    torch.set_num_threads(1)
    program = torch.export.export(
        Slow(products()).eval(), (torch.zeros(2, 64),), dynamic_shapes=({0: torch.export.Dim("batch", min=1)},)
    )
    torch.export.save(program, file)


if __name__ == "__main__":
    main(sys.argv[1])
