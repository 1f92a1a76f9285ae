"""What tutorials put together, for comparison: Celery with late acknowledgement, one message ahead, results in Redis, no database."""

from __future__ import annotations

import os
import time
from pathlib import Path

from celery import Celery

app = Celery("plain_recipe", broker=os.environ["REDIS_URL"], backend=os.environ["REDIS_URL"])
app.conf.update(
    task_acks_late=True, worker_prefetch_multiplier=1, result_expires=3600, broker_connection_retry_on_startup=True
)


@app.task(name="plain.predict")
def predict(number: int) -> int:
    """Notes in EXECUTION_LOG that it ran to its end."""
    time.sleep(0.1)
    with Path(os.environ["EXECUTION_LOG"]).open("a") as log:
        log.write(f"{number}\n")
    return number
