"""The console's numbers as Prometheus reads them; all from the database and Redis, so every web process tells the same."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from predictions import ticks, workers
from predictions.workers import Node
from workers_admin.depths import QueueDepth, parts_not_due
from workers_admin.facts import depths_now
from workers_admin.models import Scaler, Total
from workers_admin.scaler_cards import living_scalers

COUNTED = ("waiting", "unacked", "unpublished", "missing", "stale", "running")
STATES = ("starting", "idle", "busy", "stopping", "silent", "lost")
OUTCOMES = ("succeeded", "failed", "revoked")
KEPT_S = 1.0
_lock = threading.Lock()
_kept = (-KEPT_S, b"")


def kept_text() -> bytes:
    """At most a second old: whoever asks more often costs no more."""
    global _kept
    with _lock:
        if time.monotonic() - _kept[0] > KEPT_S:
            _kept = time.monotonic(), text()
        return _kept[1]


def text() -> bytes:
    """Raises Django's errors of the database; a Redis that does not answer leaves out what it alone knows."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Numbers())
    return generate_latest(registry)


class Numbers(Collector):
    def describe(self) -> Iterable[Metric]:
        """Registering must not ask for the numbers."""
        return ()

    def collect(self) -> Iterator[Metric]:
        found = depths_now()
        yield from _queues(found)
        yield from _workers(workers.nodes(), found)
        yield from _jobs(Total.objects.all())
        yield from _scalers(living_scalers())
        yield from _around(found)


def _queues(found: Sequence[QueueDepth]) -> Iterator[Metric]:
    depth = GaugeMetricFamily(
        "inference_queue_depth",
        "Units by where they stand: jobs on realtime, parts that are due on batch, files to make on default.",
        labels=["queue", "kind"],
    )
    backlog = GaugeMetricFamily(
        "inference_queue_backlog",
        "What is still to be begun, wherever it stands, with the parts of batches that are not due yet. Scale by this.",
        labels=["queue"],
    )
    oldest = GaugeMetricFamily(
        "inference_queue_oldest_wait_seconds",
        "How long the oldest has waited; 0 where nothing waits.",
        labels=["queue"],
    )
    paused = GaugeMetricFamily("inference_queue_paused", "1 where the queue is paused.", labels=["queue"])
    for each in found:
        for kind in COUNTED:
            if (number := getattr(each, kind)) is not None:
                depth.add_metric([each.name, kind], number)
        backlog.add_metric([each.name], each.database_queued + parts_not_due(each.name))
        oldest.add_metric([each.name], each.oldest_wait_s or 0.0)
        paused.add_metric([each.name], each.paused)
    return iter((depth, backlog, oldest, paused))


def _workers(nodes: Sequence[Node], found: Sequence[QueueDepth]) -> Iterator[Metric]:
    by_state = GaugeMetricFamily("inference_workers", "Workers by state.", labels=["state"])
    states = Counter(node.state for node in nodes)
    for state in STATES:
        by_state.add_metric([state], states[state])
    consumers = GaugeMetricFamily("inference_queue_consumers", "Living workers that serve the queue.", labels=["queue"])
    for each in found:
        consumers.add_metric([each.name], each.consumers)
    return iter((by_state, consumers))


def _jobs(totals: Iterable[Total]) -> Iterator[Metric]:
    """They follow the samples, some twenty seconds late."""
    submitted = CounterMetricFamily("inference_jobs_submitted", "Jobs that were accepted.", labels=["queue"])
    ended = CounterMetricFamily("inference_jobs_ended", "Jobs that ended, by outcome.", labels=["queue", "outcome"])
    for total in totals:
        submitted.add_metric([total.queue], total.submitted)
        for outcome in OUTCOMES:
            ended.add_metric([total.queue, outcome], getattr(total, outcome))
    return iter((submitted, ended))


def _scalers(scalers: Iterable[Scaler]) -> Iterator[Metric]:
    size = GaugeMetricFamily(
        "inference_autoscaler_workers", "Workers that the autoscaler has started.", labels=["queue", "host"]
    )
    bounds = GaugeMetricFamily(
        "inference_autoscaler_bounds", "What it was started with.", labels=["queue", "host", "bound"]
    )
    does = GaugeMetricFamily(
        "inference_autoscaler_does", "1 for what it does now: holds, starts, drains.", labels=["queue", "host", "what"]
    )
    for scaler in scalers:
        where = [scaler.queue, scaler.host]
        size.add_metric(where, len(scaler.workers))
        for bound, number in (("min", scaler.least), ("max", scaler.most), ("threshold", scaler.threshold)):
            bounds.add_metric([*where, bound], number)
        does.add_metric([*where, scaler.standing.partition(" ")[0].lower().rstrip(":")], 1)
    return iter((size, bounds, does))


def _around(found: Sequence[QueueDepth]) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "inference_redis_up", "1 where Redis answers.", not any(each.broker_error for each in found)
    )
    if (age_s := ticks.age_s("steward")) is not None:
        yield GaugeMetricFamily("inference_steward_age_seconds", "Since the steward last looked.", age_s)
