"""`python -m benchmarks.batch.json_client FILE`: a batch as the plain recipe takes it, rows as JSON arguments; prints its seconds."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from benchmarks.batch.tables import rows_as_lists


def main(file: str) -> None:
    from celery_app import batch_predict  # type: ignore[import-not-found]  # the recipe's

    rows = rows_as_lists(Path(file))
    batch_predict.apply_async(args=[rows[:10]], queue="batch").get(timeout=60)
    begun = time.perf_counter()
    batch_predict.apply_async(args=[rows], queue="batch").get(timeout=600)
    print(time.perf_counter() - begun)


if __name__ == "__main__":
    main(sys.argv[1])
