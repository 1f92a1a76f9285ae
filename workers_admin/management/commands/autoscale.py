"""manage.py autoscale: keeps as many workers of one queue on this host as there is work for, until it is told to end."""

from __future__ import annotations

import logging
import signal
import threading
import time
from argparse import ArgumentParser
from collections.abc import Callable
from typing import Any

import redis
from django.core.management.base import BaseCommand, CommandError
from django.db import Error, connection

from predictions.queues import QUEUES
from workers_admin.autoscaling import Rules
from workers_admin.scaler_rows import AlreadyRuns
from workers_admin.scaling import Autoscaler

log = logging.getLogger(__name__)
EVERY_S = 2.0
LEAVING_EVERY_S = 0.5


class Command(BaseCommand):
    help = "Starts workers of a queue when much waits, and lets them finish and end when nothing does."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--queue", required=True, choices=QUEUES)
        parser.add_argument("--min", type=int, default=1, help="workers that always serve; those of others count too")
        parser.add_argument("--max", type=int, default=4, help="worker processes at most; those of others count too")
        parser.add_argument("--threshold", type=int, default=50, help="more are started when more than this waits")
        parser.add_argument("--gpus", default="", help="one worker each, for example 0,1,2,3")
        parser.add_argument("--idle", type=float, default=60.0, help="seconds of calm after which one worker ends")
        parser.add_argument("--cool-down", type=float, default=30.0, help="seconds between two changes")
        parser.add_argument("--dry-run", action="store_true", help="decide and say, but start and end nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        rules, gpus = _rules(options), _gpus(options)
        signals = Signals()
        try:
            scaler = Autoscaler(options["queue"], rules, gpus, options["dry_run"])
        except AlreadyRuns as other:
            raise CommandError(
                f"An autoscaler of {options['queue']} runs on this host already, process {other.pid}. "
                "Stop that one first; --dry-run may run beside it."
            ) from other
        while not signals.wait(1, EVERY_S):
            _try(lambda: scaler.turn(time.monotonic()))
        _leave(scaler, signals)


class Signals:
    """How often it was told to end: once, its workers finish first; twice, it leaves them to that."""

    def __init__(self) -> None:
        self._heard, self._event = 0, threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._hear)

    def _hear(self, *_: Any) -> None:
        self._heard += 1
        self._event.set()

    def wait(self, times: int, seconds: float) -> bool:
        if self._heard < times:
            self._event.wait(seconds)
            self._event.clear()
        return self._heard >= times


def _leave(scaler: Autoscaler, signals: Signals) -> None:
    if scaler.workers:
        log.info("Lets its workers finish; told once more, it ends before they do.")
    if not _try(scaler.drain_all):
        scaler.terminate_all()
    while not _try(scaler.have_left) and not signals.wait(2, LEAVING_EVERY_S):
        pass
    _try(scaler.end)
    connection.close()


def _try(act: Callable[[], Any]) -> Any:
    """None where the database did not answer: until it does all stays as it is."""
    try:
        return act()
    except (Error, redis.RedisError) as error:
        log.warning("Holds: the database or Redis did not answer: %s", error)
        connection.close()
        return None


def _rules(options: dict[str, Any]) -> Rules:
    least, most = options["min"], options["max"]
    if not 0 <= least <= most or not most:
        raise CommandError(
            f"--min {least} --max {most} cannot be used: give 0 or more, and --max at least 1 and --min."
        )
    if options["threshold"] < 1:
        raise CommandError(f"--threshold {options['threshold']} cannot be used: give 1 or more.")
    if options["idle"] < 0 or options["cool_down"] < 0:
        raise CommandError("--idle and --cool-down cannot be used: give seconds, 0 or more.")
    return Rules(least, most, options["threshold"], options["idle"], options["cool_down"])


def _gpus(options: dict[str, Any]) -> list[str]:
    gpus = [gpu.strip() for gpu in options["gpus"].split(",") if gpu.strip()]
    if len(set(gpus)) < len(gpus):
        raise CommandError(f"--gpus {options['gpus']} cannot be used: it names one twice, and a GPU has one worker.")
    if gpus and len(gpus) < options["max"]:
        raise CommandError(
            f"--max {options['max']} cannot be used with --gpus {options['gpus']}: give at most {len(gpus)}, one worker each."
        )
    return gpus
