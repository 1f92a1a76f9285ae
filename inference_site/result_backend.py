"""What Celery knows of results here: it reads the rows that predictions/outcomes.py writes, and writes none itself."""

from __future__ import annotations

from typing import Any, NoReturn
from uuid import UUID

from django.db import close_old_connections
from django_celery_results.backends import DatabaseBackend

from predictions.revocation import revoke_by_celery

REFUSED = "Results are written by the jobs alone: {} cannot be kept here. Submit the jobs one by one and await them."


class ReadingBackend(DatabaseBackend):  # type: ignore[misc]
    """`AsyncResult(id)` reads as ever. A STARTED, REVOKED or FAILURE of Celery's own would overwrite an outcome."""

    def store_result(self, task_id: str, result: Any, state: str, *_: Any, **__: Any) -> Any:
        return result

    def mark_as_revoked(self, task_id: str, reason: str = "", request: Any = None, *_: Any, **__: Any) -> None:
        """Without a request: a worker heard `control.revoke`. With one it throws away a message: see control_revokes.py."""
        job_id = _as_job_id(task_id)
        if request is None and job_id:
            close_old_connections()
            try:
                revoke_by_celery(job_id)
            finally:
                close_old_connections()

    def forget(self, task_id: str) -> NoReturn:
        raise NotImplementedError("An outcome is removed with its job, in the console or when it expires.")

    def cleanup(self) -> None:
        """The steward removes what expired."""

    def save_group(self, *_: Any, **__: Any) -> NoReturn:
        raise NotImplementedError(REFUSED.format("a group's result"))

    def apply_chord(self, *_: Any, **__: Any) -> NoReturn:
        raise NotImplementedError(REFUSED.format("a chord's state"))


def _as_job_id(task_id: str) -> UUID | None:
    try:
        return UUID(task_id)
    except ValueError:
        return None
