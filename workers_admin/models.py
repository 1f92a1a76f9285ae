"""What the console remembers: samples over time, what was wrong and since when, and the autoscalers that run."""

from __future__ import annotations

from django.db import models
from django.db.models import Q


class Sample(models.Model):
    """One stretch of time of a queue, or of one model on it. at: when it began, in seconds since 1970, a multiple of every_s.

    model "": the queue as a whole; only these know how it stood: soon after the end of ten seconds, and the most of that
    in a longer stretch. waits, runs: {bucket of histograms.py: jobs}; micro_batches: {vectors in a pass: jobs scored so}.
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
    command = models.CharField(max_length=500, blank=True, help_text="what to type about it")
    href = models.CharField(max_length=200, blank=True, help_text="where to go about it")
    is_bad = models.BooleanField(default=True)
    began = models.DateTimeField()
    seen_at = models.FloatField(help_text="when a steward last found it so, in seconds of the database's clock")
    ended = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["key"], condition=Q(ended=None), name="one_open_incident_a_key")]
        indexes = [models.Index(fields=["-began"], name="incident_newest")]

    def __str__(self) -> str:
        return self.key


class Notice(models.Model):
    """Somebody to be told, by one way, that an incident began or ended. due: null once it was told or given up."""

    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="notices")
    of_end = models.BooleanField()
    way = models.CharField(max_length=8)
    whom = models.CharField(max_length=500, help_text="addresses, or the host of the webhook")
    tries = models.PositiveSmallIntegerField(default=0)
    due = models.FloatField(null=True, help_text="when it may be tried, in seconds of the database's clock")
    told = models.DateTimeField(null=True)
    error = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering = ["pk"]
        constraints = [models.UniqueConstraint(fields=["incident", "of_end", "way"], name="told_once_a_way")]
        indexes = [models.Index(fields=["way", "due"], name="notice_due", condition=Q(due__isnull=False))]

    def __str__(self) -> str:
        return f"{'end' if self.of_end else 'begin'} of {self.incident_id} by {self.way}"


class Scaler(models.Model):
    """One autoscaler as it reports itself. workers: [{name, pid, gpu, state, started}] of those it started; threshold: of depth."""

    queue = models.CharField(max_length=16)
    host = models.CharField(max_length=120)
    pid = models.PositiveIntegerField()
    least = models.PositiveSmallIntegerField()
    most = models.PositiveSmallIntegerField()
    threshold = models.PositiveIntegerField()
    is_dry_run = models.BooleanField(default=False)
    command = models.CharField(max_length=300, blank=True, db_default="", help_text="what starts it again")
    workers = models.JSONField(default=list)
    depth = models.PositiveIntegerField(null=True)
    standing = models.CharField(max_length=300, blank=True, help_text="what it does now, and why")
    decision = models.CharField(max_length=300, blank=True, help_text="the last by which it changed anything, and why")
    decided = models.DateTimeField(null=True)
    beat_at = models.FloatField()
    ended = models.BooleanField(default=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["queue", "host", "pid"], name="one_row_a_scaler")]

    def __str__(self) -> str:
        return f"autoscaler of {self.queue} [{self.pid}]"


class Total(models.Model):
    """The jobs of one queue since it was first counted; until: the samples before then are in it. It never goes back."""

    queue = models.CharField(max_length=16, primary_key=True)
    submitted = models.PositiveBigIntegerField(default=0)
    succeeded = models.PositiveBigIntegerField(default=0)
    failed = models.PositiveBigIntegerField(default=0)
    revoked = models.PositiveBigIntegerField(default=0)
    until = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return self.queue
