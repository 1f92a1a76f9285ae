"""How soon a screen of the console tells that a worker died and that a job changed."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection, connect

from benchmarks.figures import percentile
from benchmarks.processes import process
from benchmarks.product import Product, worker_command
from benchmarks.sides import bodies

KILLS = 3
CHANGES = 200
WITHIN_S = 60.0


def after_a_kill(served: Product) -> dict[str, float]:
    """Seconds from kill -9 of an idle worker to Silent and to Lost on the screen, the longest of three."""
    found = [_killed(served, f"killed{number}") for number in range(KILLS)]
    return {"silent_s": max(silent for silent, _ in found), "lost_s": max(lost for _, lost in found)}


def _killed(served: Product, name: str) -> tuple[float, float]:
    with process(worker_command("realtime", name), served.env, name=name) as child:
        return asyncio.run(_watch_the_kill(served, child.pid))


async def _watch_the_kill(served: Product, pid: int) -> tuple[float, float]:
    async with _screen(served) as screen:
        name = await _seen(screen, lambda worker: worker["pid"] == pid and worker["state"] == "idle")
        os.kill(pid, signal.SIGKILL)
        begun = time.monotonic()
        await _seen(screen, lambda worker: worker["name"] == name and worker["state"] == "silent")
        silent = time.monotonic() - begun
        await _seen(screen, lambda worker: worker["name"] == name and worker["state"] == "lost")
        return silent, time.monotonic() - begun


async def _seen(screen: ClientConnection, is_it: Callable[[dict[str, Any]], bool]) -> str:
    """The name of the worker, once it is seen so."""
    async with asyncio.timeout(WITHIN_S):
        while True:
            told = json.loads(await screen.recv())
            for worker in told["items"] if told["type"] == "workers" else ():
                if is_it(worker):
                    return str(worker["name"])


def after_a_change(served: Product) -> dict[str, float]:
    """Milliseconds from a job's end, as the database wrote it, to the list of all jobs; a worker is there."""
    return asyncio.run(_watch_changes(served))


async def _watch_changes(served: Product) -> dict[str, float]:
    took: list[float] = []
    headers = {"Authorization": f"Bearer {served.key}"}
    address = f"ws://127.0.0.1:{served.port}/ws/jobs/?format=json"
    body = next(iter(bodies()))
    async with connect(address, additional_headers=headers) as screen, httpx.AsyncClient(headers=headers) as client:
        for _ in range(CHANGES):
            answer = await client.post(f"{served.address}/api/v1/predict", content=body)
            took.append(await _ended(screen, answer.json()["id"]))
    return {"p50_ms": percentile(took, 0.5), "p99_ms": percentile(took, 0.99)}


async def _ended(screen: ClientConnection, job_id: str) -> float:
    async with asyncio.timeout(WITHIN_S):
        while True:
            told, now = json.loads(await screen.recv()), time.time()
            job = told["job"] if told["type"] == "job" else {"id": ""}
            if job["id"] == job_id and job["finished"]:
                return (now - datetime.fromisoformat(job["finished"]).timestamp()) * 1000


def _screen(served: Product) -> connect:
    address = f"ws://127.0.0.1:{served.port}/ws/console/?format=json"
    return connect(address, additional_headers={"Authorization": f"Bearer {served.key}"})
