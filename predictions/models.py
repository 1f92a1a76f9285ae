"""What is remembered: jobs, their chunks, the uploads they read, and which state may follow which."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import uuid_utils
from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.urls import reverse

from predictions import rights
from predictions.clock import Clock
from predictions.pauses import in_paused


def new_id() -> UUID:
    """A UUIDv7: sorts by the time it was made."""
    return UUID(bytes=uuid_utils.uuid7().bytes)


def first_id_at(moment: datetime) -> UUID:
    """The smallest id that can have been made at `moment`: its milliseconds are a UUIDv7's first 48 bits."""
    return UUID(int=int(moment.timestamp() * 1000) << 80)


class State(models.TextChoices):
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    REVOKED = "revoked"
    EXPIRED = "expired"


MAY_BECOME = {
    State.RUNNING: (State.QUEUED,),
    State.QUEUED: (State.RUNNING,),
    State.SUCCEEDED: (State.RUNNING,),
    State.FAILED: (State.RUNNING, State.QUEUED),
    State.REVOKED: (State.RUNNING, State.QUEUED),
    State.EXPIRED: (State.SUCCEEDED,),
}
OPEN = (State.QUEUED, State.RUNNING)
ENDED = (State.SUCCEEDED, State.FAILED, State.REVOKED, State.EXPIRED)
REVOKING = "revoking"
STATUSES = (*State.values, REVOKING)


class Kind(models.TextChoices):
    REALTIME = "realtime"
    BATCH = "batch"


class Upload(models.Model):
    """A table that arrived, cut into parts in storage. A draft until a job refers to it."""

    class State(models.TextChoices):
        OPEN = "open"
        DONE = "done"
        SWEPT = "swept"

    id = models.UUIDField(primary_key=True, default=new_id)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    state = models.CharField(max_length=8, choices=State, default=State.OPEN)
    file_name = models.CharField(max_length=255, blank=True)
    model = models.CharField(max_length=120)
    sha256 = models.CharField(max_length=64, blank=True)
    size_bytes = models.PositiveBigIntegerField(default=0, db_default=0)
    plan = models.JSONField(default=dict)
    created = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes = [models.Index(fields=["state", "created"], name="upload_drafts")]

    def __str__(self) -> str:
        return self.file_name or str(self.id)


class JobQuerySet(models.QuerySet["Job"]):
    def move(self, job_id: UUID, to: State, **changes: Any) -> bool:
        """Move one job to `to`, or return False where its state forbids it.

        One conditional UPDATE: of two processes that race, exactly one gets the job.
        """
        return self.filter(pk=job_id, state__in=MAY_BECOME[to]).change(state=to, **changes) == 1

    def change(self, **changes: Any) -> int:
        """An UPDATE that counts as a new version, so that pages can tell old news from new."""
        return self.update(version=F("version") + 1, **changes)

    def of(self, user: Any) -> JobQuerySet:
        """Those that `user` may see: all, or their own."""
        return self if rights.has(user, rights.SEE_ANY_JOB) else self.filter(owner=user)

    def due(self) -> JobQuerySet:
        """Queued, and nobody confirmed in time that its message was sent. A paused queue is left alone."""
        return self.filter(~in_paused(), state=State.QUEUED, publish_at__lte=Clock())

    def lapsed(self) -> JobQuerySet:
        """Running under a lease that nobody renewed."""
        return self.filter(state=State.RUNNING, lease_until__lt=Clock())


class Job(models.Model):
    """What a user submitted. Its id is also the id of its Celery task and of its TaskResult row."""

    id = models.UUIDField(primary_key=True, default=new_id)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="jobs")
    kind = models.CharField(max_length=8, choices=Kind)
    model = models.CharField(max_length=120, help_text="name@version")
    queue = models.CharField(max_length=16)
    priority = models.PositiveSmallIntegerField()
    # db_default: a web or worker of the release before may still write rows.
    lane = models.PositiveSmallIntegerField(
        default=0, db_default=0, help_text="1: behind the others of its priority, because its owner had many waiting"
    )
    source = models.CharField(max_length=3, default="api", choices={"web": "the web", "api": "the API"})
    store = models.BooleanField(default=True, help_text="false: no result is kept, only that the job ran")
    on_bad_row = models.CharField(max_length=6, default="reject")

    vector = models.JSONField(null=True)
    upload = models.ForeignKey(Upload, null=True, on_delete=models.SET_NULL, related_name="jobs")
    file_name = models.CharField(max_length=255, blank=True)

    state = models.CharField(max_length=9, choices=State, default=State.QUEUED)
    revoke_requested = models.BooleanField(default=False)
    version = models.PositiveIntegerField(default=1)
    attempt = models.PositiveIntegerField(default=0, help_text="the fencing token, and nothing else")
    crashes = models.PositiveSmallIntegerField(default=0)
    retries = models.PositiveSmallIntegerField(default=0)
    worker = models.CharField(max_length=120, blank=True)
    micro_batch = models.PositiveSmallIntegerField(null=True, help_text="vectors that were scored with it in one pass")
    # Seconds of the database's clock.
    lease_until = models.FloatField(null=True)
    publish_at = models.FloatField(null=True, help_text="when the steward may publish it; null: its message was sent")
    republished_at = models.FloatField(null=True, help_text="when a message that seemed lost was last replaced")
    run_after = models.FloatField(default=0)

    total = models.PositiveIntegerField(default=1, help_text="rows")
    done = models.PositiveIntegerField(default=0, help_text="rows scored or rejected")
    rejected = models.PositiveIntegerField(default=0, help_text="rows")
    chunks = models.PositiveIntegerField(default=0)
    chunks_done = models.PositiveIntegerField(default=0)
    spent_s = models.FloatField(default=0)
    summary = models.JSONField(null=True)
    error = models.JSONField(null=True)
    error_text = models.CharField(max_length=500, blank=True, help_text="the error's sentence, for the search")
    notes = models.JSONField(default=list)

    created = models.DateTimeField()
    published = models.DateTimeField(null=True)
    started = models.DateTimeField(null=True)
    finished = models.DateTimeField(null=True)
    expires = models.DateTimeField(null=True, help_text="when its result is removed; null: it has none, or it was")
    removed = models.DateTimeField(null=True, help_text="when its result was removed")
    files_removed = models.BooleanField(default=False, help_text="its result's files were deleted too, an hour later")
    kept = models.BooleanField(default=False, help_text="its result does not expire")
    freed_bytes = models.BigIntegerField(default=0, help_text="what expiry removed")

    retry_of = models.ForeignKey("self", null=True, on_delete=models.SET_NULL, related_name="retried_as")
    is_rest = models.BooleanField(
        default=False, db_default=False, help_text="it takes the rows that retry_of left when it was stopped"
    )
    result_sha256 = models.CharField(
        max_length=64, blank=True, default="", db_default="", help_text="of a batch's whole CSV"
    )
    idempotency_key = models.CharField(max_length=255, null=True)  # noqa: DJ001  null, so that many may have none
    request_hash = models.CharField(max_length=64, blank=True)

    objects = JobQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["owner", "idempotency_key"], name="one_job_an_idempotency_key")]
        indexes = [
            models.Index(fields=["owner", "-id"], name="job_my_list"),
            models.Index(fields=["state", "-id"], name="job_by_state"),
            models.Index(fields=["publish_at"], name="job_due", condition=Q(state="queued")),
            models.Index(fields=["lease_until"], name="job_lapsed", condition=Q(state="running")),
            models.Index(fields=["queue", "priority", "lane", "id"], name="job_waiting", condition=Q(state="queued")),
            models.Index(fields=["owner"], name="job_waiting_of_owner", condition=Q(state="queued")),
            models.Index(fields=["expires"], name="job_expiring", condition=Q(expires__isnull=False)),
            models.Index(
                fields=["removed"], name="job_files_to_delete", condition=Q(removed__isnull=False, files_removed=False)
            ),
            models.Index(fields=["finished"], name="job_finished"),
            models.Index(fields=["-id"], name="job_kept", condition=Q(kept=True)),
            models.Index(fields=["model", "-id"], name="job_by_model"),
            models.Index(fields=["-removed", "freed_bytes"], name="job_removed", condition=Q(removed__isnull=False)),
            # All that the search asks of failed jobs, so that it reads no rows but those it finds.
            models.Index(
                fields=["state", "-id", "error_text", "owner", "model"],
                name="job_why_failed",
                condition=Q(state="failed"),
            ),
        ]
        permissions = [*rights.AS_PERMISSIONS]

    def __str__(self) -> str:
        return f"{self.kind} job {self.id}"

    def get_absolute_url(self) -> str:
        return reverse("job", args=[self.id])

    @property
    def status(self) -> str:
        """The state as the contract names it."""
        return REVOKING if self.state == State.RUNNING and self.revoke_requested else str(self.state)

    @property
    def has_ended(self) -> bool:
        return self.state in ENDED


class Chunk(models.Model):
    """One part of a batch's file: the same life in small."""

    class State(models.TextChoices):
        QUEUED = "queued"
        RESERVED = "reserved"
        RUNNING = "running"
        DONE = "done"

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="parts")
    number = models.PositiveIntegerField()
    first_row = models.PositiveBigIntegerField()
    first_line = models.PositiveBigIntegerField()
    rows = models.PositiveIntegerField()
    start = models.PositiveBigIntegerField(
        default=0, db_default=0, help_text="where in its part it begins: bytes of a CSV, rows of a table"
    )
    state = models.CharField(max_length=8, choices=State, default=State.QUEUED)
    attempt = models.PositiveIntegerField(default=0)
    crashes = models.PositiveSmallIntegerField(default=0)
    worker = models.CharField(max_length=120, blank=True)
    lease_until = models.FloatField(null=True)
    publish_at = models.FloatField(null=True)
    republished_at = models.FloatField(null=True)
    scored = models.PositiveIntegerField(default=0)
    rejected = models.PositiveIntegerField(default=0)
    result_bytes = models.PositiveBigIntegerField(default=0)
    rejected_bytes = models.PositiveBigIntegerField(default=0)
    result_attempt = models.PositiveIntegerField(null=True, help_text="whose file holds the part's result")
    result_sha256 = models.CharField(max_length=64, blank=True, default="", db_default="")
    stopped_at = models.PositiveBigIntegerField(
        null=True, help_text="where in its part it was stopped; null: it was not"
    )
    stopped_line = models.PositiveBigIntegerField(null=True, help_text="the number of the first line it left")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["job", "number"], name="one_chunk_a_number")]
        indexes = [
            models.Index(fields=["lease_until"], name="chunk_lapsed", condition=Q(state="running")),
            models.Index(fields=["publish_at"], name="chunk_due", condition=Q(state="reserved")),
        ]

    def __str__(self) -> str:
        return f"chunk {self.number} of {self.job_id}"


class Export(models.Model):
    """A result in another format, made on demand by a task on `default`: the same life in small, one a job and format."""

    class State(models.TextChoices):
        QUEUED = "queued"
        RUNNING = "running"
        DONE = "done"
        FAILED = "failed"

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="exports")
    format = models.CharField(max_length=8, default="parquet")
    state = models.CharField(max_length=8, choices=State, default=State.QUEUED)
    attempt = models.PositiveIntegerField(default=0)
    crashes = models.PositiveSmallIntegerField(default=0)
    worker = models.CharField(max_length=120, blank=True)
    lease_until = models.FloatField(null=True)
    publish_at = models.FloatField(null=True)
    done = models.PositiveIntegerField(default=0, help_text="rows written")
    size_bytes = models.PositiveBigIntegerField(default=0)
    sha256 = models.CharField(max_length=64, blank=True)
    error_text = models.CharField(max_length=500, blank=True)
    created = models.DateTimeField(auto_now_add=True)
    finished = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["job", "format"], name="one_export_a_format")]
        indexes = [
            models.Index(fields=["lease_until"], name="export_lapsed", condition=Q(state="running")),
            models.Index(fields=["publish_at"], name="export_due", condition=Q(state="queued")),
        ]

    def __str__(self) -> str:
        return f"{self.format} of {self.job_id}"


class ColumnMapping(models.Model):
    """Which of a user's columns stand for which features of a model, as they last said it. columns: {feature: column}."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    model = models.CharField(max_length=120, help_text="the name, without a version")
    columns = models.JSONField(default=dict)
    changed = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["owner", "model"], name="one_mapping_a_model")]

    def __str__(self) -> str:
        return f"columns for {self.model}"


class Event(models.Model):
    """What happened to a job out of the ordinary, for its timeline: a worker died, a retry, a publish that waited."""

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="events")
    at = models.DateTimeField()
    attempt = models.PositiveIntegerField(default=0)
    text = models.CharField(max_length=500)

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return self.text


def utc_now() -> datetime:
    """For the times that people read; never for a lease."""
    return datetime.now(UTC)


def time_of(moment: datetime | None) -> str | None:
    """As people and programs are told it: RFC 3339, UTC, to the millisecond."""
    return None if moment is None else moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def note(job: Job, text: str) -> None:
    """A line in the job's timeline."""
    note_each([job], text)


def note_each(jobs: Iterable[Job], text: str) -> None:
    """The same line in the timeline of each."""
    at = utc_now()
    Event.objects.bulk_create(Event(job=job, at=at, attempt=job.attempt, text=text[:500]) for job in jobs)
