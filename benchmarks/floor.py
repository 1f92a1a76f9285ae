"""`python -m benchmarks.floor PORT MODEL`: the least that a queue before a model can do, with nothing kept or promised.

BRPOP of a vector, one forward pass, LPUSH of the answer.
"""

from __future__ import annotations

import json
import sys
import warnings

import redis
import torch

ASKED, ANSWERED = "floor:asked", "floor:answered"


@torch.inference_mode()
def main(port: str, file: str) -> None:
    torch.set_num_threads(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        model = torch.jit.load(file).eval()  # type: ignore[no-untyped-call]
    broker = redis.Redis(port=int(port), socket_timeout=None)
    while True:
        taken = broker.brpop(ASKED)
        assert taken, "without a timeout it waits until there is one"
        x = torch.tensor([json.loads(taken[1])], dtype=torch.float32)  # (1, 64)
        confidence, found = torch.softmax(model(x), dim=1).max(dim=1)
        broker.lpush(ANSWERED, json.dumps({"class": found.item(), "confidence": confidence.item()}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
