"""`python -m benchmarks.under_profile FILE MODULE WORDS…`: runs `python -m MODULE WORDS…` and writes where its time went.

Every thread is profiled, by the processor's time that it spends: what waits costs nothing. Threads whose names differ in
their number are one entry of FILE; those that spent most come first. SIGUSR2 forgets all until now: send it when the start
is over. SIGTERM or SIGINT ends it.
"""

from __future__ import annotations

import cProfile
import io
import pstats
import re
import runpy
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

LINES = 40
Profiles = list[tuple[str, cProfile.Profile]]


def main(file: str, module: str, *words: str) -> None:
    profiles: Profiles = []
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    signal.signal(signal.SIGUSR2, lambda *_: forget(profiles))
    profile_threads(profiles)
    sys.argv = [module, *words]
    mine = cProfile.Profile(time.thread_time)
    profiles.append(("main", mine))
    try:
        mine.enable()
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    finally:
        mine.disable()
        Path(file).write_text(said(profiles), encoding="utf-8")


def forget(profiles: Profiles) -> None:
    for _, profile in profiles:
        profile.clear()


def profile_threads(profiles: Profiles) -> None:
    run = threading.Thread.run

    def profiled(thread: threading.Thread) -> None:
        profile = cProfile.Profile(time.thread_time)
        profiles.append((thread.name, profile))
        profile.enable()
        try:
            run(thread)
        finally:
            profile.disable()

    threading.Thread.run = profiled  # type: ignore[method-assign,assignment]


def said(profiles: Profiles) -> str:
    by_name: dict[str, Any] = {}
    for name, profile in profiles:
        stats, kind = stats_of(profile), re.sub(r"[-_]?\d+", "", name)
        if stats:
            by_name[kind] = by_name[kind].add(stats) if kind in by_name else stats
    whole = sum(stats.total_tt for stats in by_name.values())
    ordered = sorted(by_name.items(), key=lambda one: -one[1].total_tt)
    parts = [f"{whole:.2f} s of CPU"]
    parts += [f"== {name}: {one.total_tt:.2f} s\n{listed(one)}" for name, one in ordered if one.total_tt > whole / 50]
    return "\n\n".join(parts) + "\n"


def stats_of(profile: cProfile.Profile) -> Any:
    """Of a thread that may still run: `create_stats` would switch the profiler of this thread off. None: it did nothing."""
    profile.snapshot_stats()
    profile.create_stats = lambda: None  # type: ignore[method-assign]
    return pstats.Stats(profile) if profile.stats else None


def listed(stats: Any) -> str:
    stats.stream = io.StringIO()
    stats.strip_dirs().sort_stats("tottime").print_stats(LINES)
    by_own_time = stats.stream.getvalue().split("filename:lineno(function)\n", 1)[-1].rstrip()
    stats.stream = io.StringIO()
    stats.sort_stats("cumulative").print_stats(LINES)
    by_all_time = stats.stream.getvalue().split("filename:lineno(function)\n", 1)[-1].rstrip()
    head = "   ncalls  tottime  percall  cumtime  percall  function"
    return f"-- by own time\n{head}\n{by_own_time}\n-- with what it calls\n{head}\n{by_all_time}"


if __name__ == "__main__":
    main(*sys.argv[1:])
