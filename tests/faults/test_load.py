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
from tests.faults.world import Process, World, repeating
from tests.processes import eventually

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long]
BURST, CLIENTS = 10_000, 16
ROWS = 200_000
DRAINS_WITHIN_S = 400.0


def test_a_burst_of_vectors_is_accepted_and_scored_while_batches_drain(world: World, report: Report) -> None:
    """A big file comes every ten seconds for as long as the burst lasts."""
    world.redis(), world.web(), world.steward()
    world.worker("realtime")
    world.worker("batch")
    began = time.monotonic()
    with repeating(lambda: world.ledger.submit_file(ROWS), every_s=10):
        assert len(world.ledger.submit_digits(BURST, CLIENTS)) == BURST
    assert has_drained()
    files = Job.objects.filter(kind=Kind.BATCH).count()
    figures = {"drain_s": time.monotonic() - began, "batch_rows": files * ROWS}
    account = world.ledger.settle()
    report.add(f"burst of {BURST:,} vectors while batches drain", account, **figures, **latencies(world))
    assert not account.faults and account.succeeded == account.accepted == BURST + files


def has_drained() -> bool:
    return eventually(lambda: not Job.objects.filter(state__in=OPEN).exists(), DRAINS_WITHIN_S, every_s=0.2)


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


# -- readers that do not read

CHANGED = 2_000
GROWS_LESS_THAN_MB = 60


@pytest.mark.parametrize("readers", [1, 20])
def test_readers_that_never_read_are_dropped_and_what_they_cost_is_bounded(
    world: World, report: Report, readers: int
) -> None:
    world.redis(), world.steward()
    web = world.web()
    world.worker("realtime")
    with ExitStack() as stack:
        watcher = stack.enter_context(Watcher(world))
        world.ledger.submit_digits(200)
        before_mb = memory_mb(web)
        deaf = [stack.enter_context(never_reading(world)) for _ in range(readers)]
        world.ledger.submit_digits(CHANGED)
        assert eventually(lambda: not connected(web, deaf), 60)
        assert eventually(lambda: all(entry.id in watcher.heard for entry in world.ledger.entries[-20:]), 120)
    assert has_drained()
    account = world.ledger.settle()
    grown_mb = memory_mb(web) - before_mb
    figures = {"grown_mb": grown_mb, "another_sockets_p99_s": delay_p99_s(watcher)}
    report.add(f"{readers} sockets that never read, {CHANGED:,} jobs", account, **figures)
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
