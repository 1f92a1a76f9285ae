"""`make first-look`: what a new user feels, measured against a product that runs (`make run`, in another terminal).

Latency of 200 single predictions on an idle system; the demo's CSV from upload to result, and its agreement with the
model run directly.
"""

from __future__ import annotations

import io
import os
import statistics
import time
from pathlib import Path

import django
import httpx
import numpy as np

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "inference_site.settings")
django.setup()

from predictions import keys, model_cards, sign_in

DIGITS = Path(__file__).resolve().parent.parent / "predictions" / "demo" / "digits.csv"
REQUESTS = 200
WARM_UP = 20


def main() -> None:
    row, key = keys.create(sign_in.administrator(), "first look")
    rows = np.loadtxt(DIGITS, delimiter=",", skiprows=1, dtype=np.float32)[:, :64]  # (1797, 64)
    with httpx.Client(
        base_url=f"{sign_in.site_address()}/api/v1", headers={"Authorization": f"Bearer {key}"}, timeout=90
    ) as client:
        say_latency(client, rows)
        say_file(client, rows)
    keys.revoke(row.owner, row.pk)


def say_latency(client: httpx.Client, rows: np.ndarray) -> None:
    took_ms = []
    for row in rows[: WARM_UP + REQUESTS]:
        begun = time.perf_counter()
        answer = client.post("/predict", json=row.tolist(), headers={"Prefer": "wait=5"})
        took_ms.append((time.perf_counter() - begun) * 1000)
        assert answer.json()["status"] == "succeeded", answer.text
    took_ms = sorted(took_ms[WARM_UP:])
    p50, p99 = statistics.median(took_ms), took_ms[int(len(took_ms) * 0.99) - 1]
    print(
        f"POST predict, Prefer: wait=5, idle, n={REQUESTS}: p50 {p50:.1f} ms, p99 {p99:.1f} ms, max {took_ms[-1]:.1f} ms"
    )


def say_file(client: httpx.Client, rows: np.ndarray) -> None:
    begun = time.perf_counter()
    with DIGITS.open("rb") as file:
        job = client.post("/batch-predict", files={"file": ("digits.csv", file)}, headers={"Prefer": "wait=60"}).json()
    result = client.get(f"/jobs/{job['id']}/result").text
    took_s = time.perf_counter() - begun
    classes = np.loadtxt(io.StringIO(result), delimiter=",", skiprows=1, usecols=1, dtype=int)
    agree = float((classes == direct_classes(rows)).mean())
    print(
        f"CSV of {len(rows):,} rows, upload to result: {took_s:.2f} s; agreement with the model run directly: {agree:.2%}"
    )


def direct_classes(rows: np.ndarray) -> np.ndarray:
    """The same file of the same model, without anything of ours between."""
    import torch

    model = torch.export.load(model_cards.card("digits@1").path).module()
    with torch.inference_mode():
        return model(torch.from_numpy(rows)).argmax(dim=1).numpy()


if __name__ == "__main__":
    main()
