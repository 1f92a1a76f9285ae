"""Queues and workers as the JSON contract shows them (docs: api.md of version 1)."""

from __future__ import annotations

from typing import Any

from predictions.models import time_of
from predictions.workers import Node
from workers_admin.depths import QueueDepth


def queue_json(depth: QueueDepth) -> dict[str, Any]:
    by_priority = depth.waiting_by_priority
    return {
        "name": depth.name,
        "waiting": depth.waiting,
        "waiting_by_priority": None if by_priority is None else _most_urgent_first(by_priority),
        "unacked": depth.unacked,
        "unpublished": depth.unpublished,
        "missing": depth.missing,
        "database_queued": depth.database_queued,
        "stale": depth.stale,
        "running": depth.running,
        "consumers": depth.consumers,
        "oldest_wait_s": depth.oldest_wait_s,
        "paused": depth.paused,
        "error": depth.broker_error or None,
    }


def _most_urgent_first(by_priority: dict[int, int]) -> dict[str, int]:
    return {str(priority): by_priority[priority] for priority in sorted(by_priority, reverse=True)}


def worker_json(node: Node) -> dict[str, Any]:
    """All processes of one node name; what they count is added up, what they are is told of the busiest."""
    first = node.first
    gpu = [process.gpu_memory_bytes for process in node.processes if process.gpu_memory_bytes is not None]
    return {
        "name": node.name,
        "host": node.host,
        "pid": None if node.state == "lost" else first.pid,
        "queues": node.queues,
        "state": node.state,
        "pool": first.pool,
        "pool_size": first.pool_size,
        "device": first.device or None,
        "model": first.model or None,
        "model_state": first.model_state,
        "model_error": first.model_error or None,
        "job": first.job or None,
        "processed": int(node.total("processed")),
        "failed": int(node.total("failed")),
        "rows_per_s": round(node.total("rows_per_s"), 1),
        "cpu_percent": round(node.total("cpu_percent"), 1),
        "memory_bytes": int(node.total("memory_bytes")),
        "gpu_memory_bytes": sum(gpu) if gpu else None,
        "gpu_percent": max((each.gpu_percent for each in node.processes if each.gpu_percent is not None), default=None),
        "heartbeat_age_s": round(node.heartbeat_age_s, 3),
        "celery_age_s": _rounded(node.celery_age_s),
        "progress_age_s": _rounded(node.progress_age_s),
        "started": time_of(first.started),
        "versions": first.versions,
    }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)
