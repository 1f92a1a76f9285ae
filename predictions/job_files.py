"""The files that the page of a batch offers, and how the one stands that is made on demand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.urls import reverse

from predictions import digests, exports, result_files, result_rows, workers
from predictions.downloads import Download
from predictions.models import Export, Job, State
from predictions.pauses import is_paused
from predictions.queues import DEFAULT, start_command


@dataclass(frozen=True)
class Offered:
    """sha256: "" where it is not known yet, or the file still grows."""

    words: str
    address: str
    size_bytes: int
    sha256: str = ""


def files_context(job: Job) -> dict[str, Any]:
    if not result_rows.may_download(job):
        return {"files": [*_so_far(job), *_rejected(job)]}
    export = exports.export_of(job)
    offered = [_result(job), *_rejected(job), *_exported(job, export)]
    return {"files": offered, "may_export": True, "export": export} | _export_context(job, export)


def _result(job: Job) -> Offered:
    file = result_files.result(job)
    return _offered("Result CSV", "job_result", job, file, digests.of(job, file, is_result=True))


def _rejected(job: Job) -> list[Offered]:
    if not result_rows.may_download_rejected(job):
        return []
    file = result_files.rejected(job)
    return [_offered("Rejected rows CSV", "job_rejected", job, file, digests.of(job, file))]


def _exported(job: Job, export: Export | None) -> list[Offered]:
    if export is None or export.state != Export.State.DONE:
        return []
    return [_offered("Parquet", "job_parquet", job, exports.download(job, export), export.sha256)]


def _so_far(job: Job) -> list[Offered]:
    if job.state != State.RUNNING or not job.store or not (size := result_files.size_so_far(job)):
        return []
    return [Offered("Finished rows so far, CSV", f"{reverse('job_result', args=[job.pk])}?partial=true", size)]


def _offered(words: str, url: str, job: Job, file: Download, sha256: str) -> Offered:
    return Offered(words, reverse(url, args=[job.pk]), file.size_bytes, sha256)


def _export_context(job: Job, export: Export | None) -> dict[str, Any]:
    if export is None or export.state != Export.State.QUEUED:
        rows = job.done - job.rejected
        return {"export_percent": 100 * export.done // max(1, rows) if export else 0}
    served = bool(workers.live_workers(DEFAULT))
    return {
        "export_is_paused": is_paused(DEFAULT),
        "export_is_served": served,
        "export_command": start_command(DEFAULT),
    }
