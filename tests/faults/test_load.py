"""More work than usual, and readers that do not read: what the others feel of it is measured."""

from __future__ import annotations

import socket
import time
from contextlib import ExitStack

import psutil
import pytest

from predictions.models import OPEN, Job, Kind
from tests.faults.ledger import percentile
from tests.faults.report import Report
from tests.faults.watcher import Watcher
from tests.faults.world import Process, World
from tests.processes import eventually

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long]
BURST, CLIENTS = 10_000, 16
FILES, ROWS = 3, 200_000
DRAINS_WITHIN_S = 400.0


def test_a_burst_of_vectors_is_accepted_and_scored_while_batches_drain(world: World, report: Report) -> None:
    world.redis(), world.web(), world.steward()
    for _ in range(FILES):
        assert world.ledger.submit_file(ROWS)
    world.worker("realtime")
    world.worker("batch")
    began = time.monotonic()
    assert len(world.ledger.submit_digits(BURST, CLIENTS)) == BURST
    eventually(lambda: not Job.objects.filter(state__in=OPEN).exists(), DRAINS_WITHIN_S, every_s=0.2)
    figures = {"drain_s": time.monotonic() - began, "batches_s": seconds_of_batches()}
    account = world.ledger.settle()
    report.add(f"burst of {BURST:,} while {FILES} x {ROWS:,} rows drain", account, **figures, **latencies(world))
    assert not account.faults and account.succeeded == account.accepted == BURST + FILES


def latencies(world: World) -> dict[str, float]:
    """submit: as the clients saw it. wait: from a vector's commit until a worker had it."""
    took_ms = [entry.took_s * 1000 for entry in world.ledger.entries if entry.kind == Kind.REALTIME]
    times = Job.objects.filter(kind=Kind.REALTIME).values_list("created", "started")
    waits_s = [(started - created).total_seconds() for created, started in times if started]
    return {
        "submit_p50_ms": percentile(took_ms, 0.5),
        "submit_p99_ms": percentile(took_ms, 0.99),
        "wait_p50_s": percentile(waits_s, 0.5),
        "wait_p99_s": percentile(waits_s, 0.99),
    }


def seconds_of_batches() -> float:
    """From the first that was begun to the last that ended."""
    times = Job.objects.filter(kind=Kind.BATCH).values_list("started", "finished")
    begun, ended = zip(*times, strict=True)
    return float((max(filter(None, ended)) - min(filter(None, begun))).total_seconds())


# -- readers that do not read

READERS = 20
CHANGED = 2_000
GROWS_LESS_THAN_MB = 60


def test_readers_that_never_read_are_dropped_and_cost_the_others_nothing(world: World, report: Report) -> None:
    world.redis(), world.steward()
    web = world.web()
    world.worker("realtime")
    with ExitStack() as stack:
        watcher = stack.enter_context(Watcher(world))
        world.ledger.submit_digits(200)
        before_mb = memory_mb(web)
        deaf = [stack.enter_context(never_reading(world)) for _ in range(READERS)]
        world.ledger.submit_digits(CHANGED)
        assert eventually(lambda: not connected(web, deaf), 60)
        assert eventually(lambda: all(entry.id in watcher.heard for entry in world.ledger.entries[-20:]))
    account = world.ledger.settle()
    grown_mb = memory_mb(web) - before_mb
    report.add(
        f"{READERS} readers that never read, {CHANGED:,} jobs", account, grown_mb=grown_mb, p99_s=delay_p99_s(watcher)
    )
    assert not account.faults and account.succeeded == CHANGED + 200
    assert grown_mb < GROWS_LESS_THAN_MB and watcher.codes == []


def never_reading(world: World) -> socket.socket:
    """A websocket whose client has read the handshake's answer and reads no more, with little room for what comes."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    client.connect(("127.0.0.1", world.web_port))
    client.sendall(
        f"GET /ws/jobs/?format=json HTTP/1.1\r\nHost: 127.0.0.1:{world.web_port}\r\nAuthorization: Bearer {world.key}\r\n"
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: bm90aGluZyBpcyByZWFkIQ==\r\n\r\n".encode()
    )
    assert client.recv(12) == b"HTTP/1.1 101"
    return client


def connected(web: Process, clients: list[socket.socket]) -> bool:
    """Whether the web still holds a connection to any of them."""
    ports = {client.getsockname()[1] for client in clients}
    held = psutil.Process(web.pid).net_connections("tcp")
    return any(each.raddr and each.raddr.port in ports for each in held)


def memory_mb(web: Process) -> float:
    return float(psutil.Process(web.pid).memory_info().rss) / 1e6


def delay_p99_s(watcher: Watcher) -> float:
    """From a job's commit until the socket that does read told of it."""
    created = dict(Job.objects.values_list("pk", "created"))
    return percentile((at - created[job].timestamp() for job, at in watcher.heard.items()), 0.99)
