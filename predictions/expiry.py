"""What ends with time: results after RESULT_EXPIRES, jobs after HISTORY_DAYS, drafts nobody submitted."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import BigIntegerField, Case, CharField, F, Q, Value, When
from django.db.models.functions import Now

from predictions import exports, files, outcomes
from predictions.live import say
from predictions.models import Chunk, Export, Job, State, Upload

AT_ONCE = 200
CHORE_S = 5.0
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
        return len(_remove_results(list(jobs)))


def expire(job: Job) -> bool:
    """Remove one job's result, be it kept or not; False where it has none any more."""
    return bool(expire_many([job.pk]))


def expire_many(job_ids: Sequence[UUID]) -> dict[UUID, int]:
    """Remove the results of these, kept or not, and keep none of them; returns the bytes freed, of those that had one."""
    with transaction.atomic():
        held = Job.objects.select_for_update().filter(pk__in=job_ids, expires__isnull=False)
        jobs = list(held.only("state", "store").order_by("pk"))
        Job.objects.filter(pk__in=[job.pk for job in jobs], kept=True).update(kept=False)
        return _remove_results(jobs)


def _remove_results(jobs: list[Job]) -> dict[UUID, int]:
    """A job that succeeded becomes `expired`, the others keep their state. Their rows are locked by the caller."""
    ids = [job.pk for job in jobs]
    if not ids:
        return {}
    freed = outcomes.forget_results(ids) + _files_sizes(ids)
    gone = {"expires": None, "removed": Now(), "freed_bytes": F("freed_bytes") + _by_job(freed)}
    had_result = Q(state=State.SUCCEEDED, store=True)
    to = Case(When(had_result, then=Value(State.EXPIRED)), default=F("state"), output_field=CharField())
    Job.objects.filter(pk__in=ids).change(state=to, **gone)
    exports.forget(ids)
    say.jobs_changed(ids)
    return {job_id: freed[job_id] for job_id in ids}


def _by_job(numbers: Counter[UUID]) -> Case:
    """Each job's own number, for one UPDATE of all."""
    whens = [When(pk=job_id, then=Value(number)) for job_id, number in numbers.items() if number]
    return Case(*whens, default=Value(0), output_field=BigIntegerField())


def delete_result_files() -> int:
    """Delete the files of results removed an hour ago: a download that had begun has ended by then."""
    return _while_there_are_more(_delete_some_result_files)


def _delete_some_result_files() -> int:
    waiting = Job.objects.filter(removed__lt=Now() - FILES_LIVE_ON, files_removed=False)
    ids = list(waiting.order_by("removed").values_list("pk", flat=True)[:AT_ONCE])
    files.delete(result_files(ids))
    Job.objects.filter(pk__in=ids).update(files_removed=True)
    return len(ids)


def _while_there_are_more(some: Callable[[], int]) -> int:
    """One part of a chore after the other, until there is little left or others should have their turn."""
    began, done = time.monotonic(), 0
    while (number := some()) == AT_ONCE and time.monotonic() < began + CHORE_S:
        done += number
    return done + number


def result_files(job_ids: Collection[UUID]) -> list[str]:
    """All that any attempt may have written: found by computed names, so that no orphan is left."""
    keys = []
    tried = Chunk.objects.filter(job_id__in=job_ids, attempt__gt=0)
    for job_id, number, attempt in tried.values_list("job_id", "number", "attempt"):
        for each in range(1, attempt + 1):
            keys += [files.result_key(job_id, number, each), files.rejected_key(job_id, number, each)]
    for job_id, attempt in Export.objects.filter(job_id__in=job_ids).values_list("job_id", "attempt"):
        keys += [files.export_key(job_id, each) for each in range(1, attempt + 1)]
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
    """Delete jobs that ended HISTORY_DAYS ago, with their outcomes and the uploads nobody else refers to."""
    return _while_there_are_more(_forget_some)


def _forget_some() -> int:
    """At most 200 in a transaction; what somebody has locked or keeps meanwhile is left."""
    # Only what has ended is finished. Asked for the states too, SQLite sorts the whole history by time.
    old = Job.objects.filter(finished__lt=Now() - timedelta(days=settings.HISTORY_DAYS), kept=False)
    if not old.exists():
        return 0
    with transaction.atomic():
        jobs = list(old.select_for_update(skip_locked=True).only("upload").order_by("finished")[:AT_ONCE])
        _forget([job.pk for job in jobs], {job.upload_id for job in jobs if job.upload_id})
    return len(jobs)


def _forget(job_ids: list[UUID], upload_ids: set[UUID]) -> None:
    """Their rows are locked by the caller's transaction."""
    keys = result_files(job_ids)
    outcomes.delete_rows(job_ids)
    Job.objects.filter(pk__in=job_ids).delete()
    for upload in Upload.objects.filter(pk__in=upload_ids, jobs=None).order_by("pk"):
        _sweep(upload)
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
        kind = held.plan.get("format", "csv")
        keys = [files.input_key(held.pk, part["number"], kind) for part in held.plan.get("parts", [])]
        transaction.on_commit(lambda: _delete_upload(held, keys))
    return True


def _delete_upload(upload: Upload, keys: list[str]) -> None:
    files.delete(keys or files.list_inputs(upload.pk))
    upload.delete()
