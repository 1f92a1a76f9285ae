"""What the console remembers: samples over time, what was wrong and since when, and the autoscalers that run."""

from __future__ import annotations

from django.db import models
from django.db.models import Q


class Sample(models.Model):
    """One stretch of time of a queue, or of one model on it. at: when it began, in seconds since 1970, a multiple of every_s.

    model "": the queue as a whole; only these know its depth, as it stood at the stretch's end. waits, runs: {bucket: jobs}
    by the time they waited and ran; micro_batches: {vectors in a pass: passes}.
    """

    at = models.BigIntegerField()
    every_s = models.PositiveIntegerField()
    queue = models.CharField(max_length=16)
    model = models.CharField(max_length=120, blank=True)
    waiting = models.PositiveIntegerField(null=True)
    unacked = models.PositiveIntegerField(null=True)
    unpublished = models.PositiveIntegerField(null=True)
    missing = models.PositiveIntegerField(null=True)
    running = models.PositiveIntegerField(null=True)
    oldest_wait_s = models.FloatField(null=True)
    workers = models.PositiveSmallIntegerField(null=True)
    submitted = models.PositiveIntegerField(default=0)
    succeeded = models.PositiveIntegerField(default=0)
    failed = models.PositiveIntegerField(default=0)
    revoked = models.PositiveIntegerField(default=0)
    waits = models.JSONField(default=dict)
    runs = models.JSONField(default=dict)
    micro_batches = models.JSONField(default=dict)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["every_s", "at", "queue", "model"], name="one_sample_a_stretch"),
        ]

    def __str__(self) -> str:
        return f"{self.queue} {self.model} at {self.at} for {self.every_s} s"


class Incident(models.Model):
    """Something that was wrong, from when it began to when it ended. key: of the condition, one open incident each."""

    key = models.CharField(max_length=200)
    words = models.CharField(max_length=500)
    is_bad = models.BooleanField(default=True)
    began = models.DateTimeField()
    ended = models.DateTimeField(null=True)
    begin_told = models.DateTimeField(null=True)
    end_told = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["key"], condition=Q(ended=None), name="one_open_incident_a_key")]
        indexes = [models.Index(fields=["-began"], name="incident_newest")]

    def __str__(self) -> str:
        return self.key


class Scaler(models.Model):
    """One autoscaler as it reports itself. workers: [{name, pid, gpu, state}] of those it started; threshold: in units of depth."""

    queue = models.CharField(max_length=16)
    host = models.CharField(max_length=120)
    pid = models.PositiveIntegerField()
    least = models.PositiveSmallIntegerField()
    most = models.PositiveSmallIntegerField()
    threshold = models.PositiveIntegerField()
    is_dry_run = models.BooleanField(default=False)
    workers = models.JSONField(default=list)
    depth = models.PositiveIntegerField(null=True)
    decision = models.CharField(max_length=300, blank=True, help_text="its last one, and why")
    decided = models.DateTimeField(null=True)
    beat_at = models.FloatField()
    ended = models.BooleanField(default=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["queue", "host", "pid"], name="one_row_a_scaler")]

    def __str__(self) -> str:
        return f"autoscaler of {self.queue} [{self.pid}]"
