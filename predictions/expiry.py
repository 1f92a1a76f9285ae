"""What ends with time: results after RESULT_EXPIRES, jobs after HISTORY_DAYS, drafts nobody submitted."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now

from predictions import files, outcomes
from predictions.live import say
from predictions.models import ENDED, Chunk, Job, State, Upload

AT_ONCE = 200
DRAFT_LIVES = timedelta(hours=1)
FILES_LIVE_ON = timedelta(hours=1)


def expire_results() -> int:
    """Remove the results whose time has come, at most 200; returns how many jobs lost theirs."""
    ripe = Job.objects.filter(expires__lt=Now(), kept=False)
    jobs = list(ripe.order_by("expires")[:AT_ONCE])
    return sum(expire(job) for job in jobs)


def expire(job: Job) -> bool:
    """Remove one job's result; a job that succeeded becomes `expired`, the others keep their state."""
    with transaction.atomic():
        held = Job.objects.filter(pk=job.pk, state=job.state, expires__isnull=False)
        to = State.EXPIRED if job.state == State.SUCCEEDED and job.store else State(job.state)
        if not held.change(state=to, expires=None, removed=Now()):
            return False
        freed = outcomes.forget_results([job.pk])
        freed += job_files_size(job.pk)
        Job.objects.filter(pk=job.pk).update(freed_bytes=F("freed_bytes") + freed)
    say.jobs_changed([job.pk])
    return True


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
    return keys


def job_files_size(job_id: UUID) -> int:
    sizes = Chunk.objects.filter(job_id=job_id).values_list("result_bytes", "rejected_bytes")
    return sum(result + rejected for result, rejected in sizes)


def forget_history() -> int:
    """Delete at most 200 jobs that ended HISTORY_DAYS ago, with their outcomes and the uploads nobody else refers to."""
    old = Job.objects.filter(state__in=ENDED, finished__lt=Now() - timedelta(days=settings.HISTORY_DAYS), kept=False)
    jobs = list(old.order_by("finished")[:AT_ONCE])
    for job in jobs:
        _forget(job)
    return len(jobs)


def _forget(job: Job) -> None:
    keys = result_files(job.pk)
    with transaction.atomic():
        outcomes.delete_rows([job.pk])
        Job.objects.filter(pk=job.pk).delete()
        if job.upload_id and not Job.objects.filter(upload_id=job.upload_id).exists():
            _sweep(Upload.objects.get(pk=job.upload_id))
        transaction.on_commit(lambda: files.delete(keys))


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
        keys = [files.input_key(held.pk, part["number"]) for part in held.plan.get("parts", [])]
        transaction.on_commit(lambda: _delete_upload(held, keys))
    return True


def _delete_upload(upload: Upload, keys: list[str]) -> None:
    files.delete(keys or files.list_inputs(upload.pk))
    upload.delete()
