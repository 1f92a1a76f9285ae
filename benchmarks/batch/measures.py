"""What is measured of batches: a million rows, the recipe's way, few rows, growth, bad rows."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import httpx

from benchmarks.batch.scoring import MB, WARM_UP_ROWS, Metrics, batch_workers, score
from benchmarks.batch.tables import table
from benchmarks.figures import Runs, alternate, percentile
from benchmarks.plain import Plain, plain_worker
from benchmarks.processes import ROOT
from benchmarks.product import Product, worker
from benchmarks.sides import bodies
from benchmarks.stage import IS_QUICK, ROUNDS, say

MILLION = 100_000 if IS_QUICK else 1_000_000
HUNDRED_THOUSAND = 10_000 if IS_QUICK else 100_000
GROWTH = (10_000, 100_000) if IS_QUICK else (10_000, 100_000, 300_000, 1_000_000)
FEW = 100
ASKED = 20 if IS_QUICK else 60
PYARROW_ALONE = "benchmarks.batch.pyarrow_alone"


@dataclass
class Scene:
    """The product and the recipe, both without workers, and a folder for files. results: the sha256s seen of a file."""

    served: Product
    recipe: Plain
    folder: Path
    results: dict[Path, set[str]] = field(default_factory=dict)

    @property
    def model_file(self) -> Path:
        return next((self.served.folder / "models").rglob("*.pt2"))

    def score(self, count: int, file: Path, app: str = "inference_site", on_bad_row: str = "reject") -> Metrics:
        """By so many batch workers, warm; whoever scores a file must come to the same bytes."""
        with batch_workers(self.served, count, app) as pids:
            score(self.served, pids, table(self.folder, WARM_UP_ROWS))
            metrics, sha256 = score(self.served, pids, file, on_bad_row)
        seen = self.results.setdefault(file, set())
        seen.add(sha256)
        if len(seen) > 1:
            raise SystemExit(f"Two runs over {file.name} came to different results.")
        return metrics


def million(on: Scene) -> Runs:
    """Against the text-book program, in one process; by two workers and by one, with the compiled reader and without."""
    file = table(on.folder, MILLION)
    sides = {
        "program": lambda: program(on, file),
        "floor": lambda: floor(on, file),
        "two": lambda: on.score(2, file),
        "one": lambda: on.score(1, file),
        "two, pyarrow": lambda: on.score(2, file, PYARROW_ALONE),
        "one, pyarrow": lambda: on.score(1, file, PYARROW_ALONE),
    }
    return alternate(ROUNDS, sides, say)


def program(on: Scene, file: Path) -> Metrics:
    words = [sys.executable, "-m", "benchmarks.batch.textbook", str(file), str(on.folder / "out.csv")]
    done = subprocess.run([*words, str(on.model_file)], cwd=ROOT, check=True, capture_output=True, text=True)
    found: Metrics = json.loads(done.stdout)
    return found | {"rest_s": found["whole_s"]}


def floor(on: Scene, file: Path) -> Metrics:
    """The same bytes received and written, and nothing else."""
    words = [sys.executable, "-m", "benchmarks.batch.floor", str(on.folder)]
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout
        with socket.create_connection(("127.0.0.1", int(child.stdout.readline()))) as to, file.open("rb") as content:
            to.sendfile(content)
        found: Metrics = json.loads(child.stdout.readline())
    return found | {"ingest_mb_per_s": file.stat().st_size / MB / found["cpu_s"]}


def recipe(on: Scene) -> Runs:
    """Against rows as JSON arguments."""
    file = table(on.folder, HUNDRED_THOUSAND)
    sides = {"ours": lambda: on.score(2, file), "plain": lambda: _as_json(on.recipe, file)}
    return alternate(ROUNDS, sides, say)


def _as_json(recipe: Plain, file: Path) -> Metrics:
    words = [sys.executable, "-m", "benchmarks.batch.json_client", str(file)]
    env = recipe.env | {"PYTHONPATH": os.pathsep.join([recipe.env["PYTHONPATH"], str(ROOT)])}
    with plain_worker(recipe, "batch"):
        done = subprocess.run(words, cwd=recipe.folder, env=env, check=True, capture_output=True, text=True)
    return {"whole_s": float(done.stdout)}


def few(on: Scene) -> Runs:
    """100 rows against one vector, both waited for on an idle system."""
    rows = table(on.folder, FEW).read_bytes()
    vector = next(iter(bodies()))
    with worker(on.served), batch_workers(on.served, 2), on.served.client() as client:
        sides = {
            "rows": partial(_waited, client, "/batch-predict", rows, "text/csv"),
            "vector": partial(_waited, client, "/predict", vector, "application/json"),
        }
        return alternate(ROUNDS, sides, say)


def _waited(client: httpx.Client, path: str, body: bytes, content_type: str) -> Metrics:
    headers = {"Content-Type": content_type, "Prefer": "wait=30"}
    took = []
    for _ in range(ASKED):
        begun = time.perf_counter()
        answer = client.post(path, content=body, headers=headers)
        took.append(time.perf_counter() - begun)
        if answer.status_code != 200:
            raise SystemExit(f"{path} answered {answer.status_code}: {answer.text[:500]}")
    return {"p50_ms": percentile(took, 0.5) * 1000}


def growth(on: Scene) -> Runs:
    sides: dict[str, Callable[[], Metrics]] = {
        f"{rows:,}": partial(on.score, 2, table(on.folder, rows)) for rows in GROWTH
    }
    return alternate(1, sides, say)


def bad_rows(on: Scene) -> Runs:
    """CPU of the worker for a file with every second row bad, which skips them, against the clean one."""
    clean, bad = (table(on.folder, HUNDRED_THOUSAND, is_bad) for is_bad in (False, True))
    sides = {
        "clean": lambda: on.score(1, clean),
        "bad": lambda: on.score(1, bad, on_bad_row="skip"),
        "clean, pyarrow": lambda: on.score(1, clean, PYARROW_ALONE),
        "bad, pyarrow": lambda: on.score(1, bad, PYARROW_ALONE, on_bad_row="skip"),
    }
    return alternate(ROUNDS, sides, say)
