"""What ends with time: results after RESULT_EXPIRES, jobs after HISTORY_DAYS, drafts nobody submitted."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now

from predictions import exports, files, outcomes
from predictions.live import say
from predictions.models import ENDED, Chunk, Export, Job, State, Upload

AT_ONCE = 200
DRAFT_LIVES = timedelta(hours=1)
FILES_LIVE_ON = timedelta(hours=1)


def expire_results() -> int:
    """Remove the results whose time has come, at most 200; returns how many jobs lost theirs."""
    ripe = Job.objects.filter(expires__lt=Now(), kept=False)
    if not ripe.exists():
        return 0
    with transaction.atomic():
        # Chosen under the lock: one that somebody keeps meanwhile is none of them.
        jobs = ripe.select_for_update(skip_locked=True).only("state", "store").order_by("expires")[:AT_ONCE]
        return _remove_results(list(jobs))


def expire(job: Job) -> bool:
    """Remove one job's result, be it kept or not; False where it has none any more."""
    with transaction.atomic():
        held = Job.objects.select_for_update().filter(pk=job.pk, expires__isnull=False)
        return bool(_remove_results(list(held)))


def _remove_results(jobs: list[Job]) -> int:
    """A job that succeeded becomes `expired`, the others keep their state. Their rows are locked by the caller."""
    ids = [job.pk for job in jobs]
    freed = outcomes.forget_results(ids) + _files_sizes(ids)
    for job in jobs:
        to = State.EXPIRED if job.state == State.SUCCEEDED and job.store else job.state
        gone = {"expires": None, "removed": Now(), "freed_bytes": F("freed_bytes") + freed[job.pk]}
        Job.objects.filter(pk=job.pk).change(state=to, **gone)
    exports.forget(ids)
    say.jobs_changed(ids)
    return len(jobs)


def delete_result_files() -> int:
    """Delete the files of results removed an hour ago: a download that had begun has ended by then."""
    waiting = Job.objects.filter(removed__lt=Now() - FILES_LIVE_ON, files_removed=False)
    ids = list(waiting.order_by("removed").values_list("pk", flat=True)[:AT_ONCE])
    for job_id in ids:
        files.delete(result_files(job_id))
    Job.objects.filter(pk__in=ids).update(files_removed=True)
    return len(ids)


def result_files(job_id: UUID) -> list[str]:
    """All that any attempt may have written: found by computed names, so that no orphan is left."""
    keys = []
    for number, attempt in Chunk.objects.filter(job_id=job_id).values_list("number", "attempt"):
        for tried in range(1, attempt + 1):
            keys += [files.result_key(job_id, number, tried), files.rejected_key(job_id, number, tried)]
    for attempt in Export.objects.filter(job_id=job_id).values_list("attempt", flat=True):
        keys += [files.export_key(job_id, tried) for tried in range(1, attempt + 1)]
    return keys


def _files_sizes(job_ids: list[UUID]) -> Counter[UUID]:
    """Bytes, by job."""
    sizes = Counter[UUID]()
    chunks = Chunk.objects.filter(job_id__in=job_ids)
    for job_id, result, rejected in chunks.values_list("job_id", "result_bytes", "rejected_bytes"):
        sizes[job_id] += result + rejected
    for job_id, size_bytes in Export.objects.filter(job_id__in=job_ids).values_list("job_id", "size_bytes"):
        sizes[job_id] += size_bytes
    return sizes


def forget_history() -> int:
    """Delete at most 200 jobs that ended HISTORY_DAYS ago, with their outcomes and the uploads nobody else refers to."""
    old = Job.objects.filter(state__in=ENDED, finished__lt=Now() - timedelta(days=settings.HISTORY_DAYS), kept=False)
    return sum(_forget(job) for job in old.order_by("finished")[:AT_ONCE])


def _forget(job: Job) -> bool:
    keys = result_files(job.pk)
    with transaction.atomic():
        if not Job.objects.select_for_update().filter(pk=job.pk, kept=False).exists():
            return False
        outcomes.delete_rows([job.pk])
        Job.objects.filter(pk=job.pk).delete()
        if job.upload_id and not Job.objects.filter(upload_id=job.upload_id).exists():
            _sweep(Upload.objects.get(pk=job.upload_id))
        transaction.on_commit(lambda: files.delete(keys))
    return True


def sweep_drafts() -> int:
    """Remove uploads that no job refers to an hour after they came, also those that broke off or were swept halfway."""
    drafts = Upload.objects.filter(created__lt=Now() - DRAFT_LIVES, jobs=None)
    return sum(_sweep(upload) for upload in drafts[:AT_ONCE])


def _sweep(upload: Upload) -> bool:
    """`open → swept` or `done → swept`, so that a submit that races finds it gone.

    Locked first and asked then: one UPDATE that joins the jobs does not see, on PostgreSQL, the one it waited for.
    """
    with transaction.atomic():
        held = Upload.objects.select_for_update().filter(pk=upload.pk, state=upload.state).first()
        if held is None or Job.objects.filter(upload=held).exists():
            return False
        Upload.objects.filter(pk=held.pk).update(state=Upload.State.SWEPT)
        kind = held.plan.get("format", "csv")
        keys = [files.input_key(held.pk, part["number"], kind) for part in held.plan.get("parts", [])]
        transaction.on_commit(lambda: _delete_upload(held, keys))
    return True


def _delete_upload(upload: Upload, keys: list[str]) -> None:
    files.delete(keys or files.list_inputs(upload.pk))
    upload.delete()
