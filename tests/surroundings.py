"""Loaded before Django's settings (`-p tests.surroundings`): a data folder and a Redis address of this run's own."""

from __future__ import annotations

import atexit
import os
import shutil
import socket
import tempfile


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


DATA_DIR = tempfile.mkdtemp(prefix="dashboard-test-")
REDIS_PORT = free_port()
OWN = (
    *(
        "DATABASE_URL",
        "MODEL_DIR",
        "ALLOWED_HOSTS",
        "RATE_LIMIT",
        "SUBMITTERS",
        "RESULT_EXPIRES",
        "SECRET_KEY",
        "DEFAULT_MODEL",
    ),
    *("MAX_UPLOAD_BYTES", "USER_UPLOAD_BYTES", "STORE_UPLOAD_BYTES"),
    *("ALERT_EMAILS", "ALERT_WEBHOOK_URL", "ALERT_WEBHOOK_SECRET", "DISK_FREE_PERCENT"),
    *("TIME_LIMIT", "SOFT_TIME_LIMIT", "REALTIME_TIME_LIMIT", "BATCH_TIME_LIMIT", "BATCH_SOFT_TIME_LIMIT"),
)

for name in OWN:
    os.environ.pop(name, None)
# The suite also runs on PostgreSQL: postgres://user@127.0.0.1:5432/name, where "test_name" is made anew.
if TEST_DATABASE_URL := os.environ.get("TEST_DATABASE_URL"):
    os.environ["DATABASE_URL"] = TEST_DATABASE_URL
# A run within a run finds the model trained.
if TEST_MODEL_DIR := os.environ.get("TEST_MODEL_DIR"):
    os.environ["MODEL_DIR"] = TEST_MODEL_DIR
os.environ |= {
    "DATA_DIR": DATA_DIR,
    "REDIS_URL": f"redis://127.0.0.1:{REDIS_PORT}/0",
    # A file, so that real workers can open it too.
    "TEST_DATABASE_FILE": f"{DATA_DIR}/test.sqlite3",
    "CELERY_CUSTOM_WORKER_POOL": "predictions.worker.pool:ModelPool",
    # Playwright's sync API runs an event loop in the test's thread; its fixtures still need the database.
    "DJANGO_ALLOW_ASYNC_UNSAFE": "true",
}
atexit.register(shutil.rmtree, DATA_DIR, ignore_errors=True)
