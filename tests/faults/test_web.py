"""A web process that dies at the worst moments, or is started anew under load."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from django.utils.crypto import get_random_string

from predictions import expiry
from predictions.models import Job, Upload, utc_now
from tests.faults import answers
from tests.faults.report import Report
from tests.faults.watcher import CUT_OFF, Watcher
from tests.faults.world import World, kill, repeating
from tests.processes import end, eventually

pytestmark = pytest.mark.django_db(transaction=True)


def test_what_a_killed_web_had_committed_is_published_and_found_by_its_key(world: World, report: Report) -> None:
    world.redis(), world.steward()
    died_at = lose_a_publish(world)
    account = world.ledger.settle()
    report.add("kill -9 of the web between commit and publish", account, published_after_s(died_at))
    assert not account.faults and account.succeeded == Job.objects.count() == 1


def lose_a_publish(world: World) -> float:
    """A job that was committed and neither published nor answered, found again by its key. Returns when, since 1970."""
    victim = world.web("tests.faults.killed_web:application")
    assert world.ledger.submit_digit("once") is None and world.ledger.unanswered == 1
    died_at = time.time()
    assert victim.wait(10) < 0 and Job.objects.count() == 1
    world.web()
    world.worker("realtime")
    assert world.ledger.submit_digit("once") is not None and world.ledger.replayed == 1
    return died_at


def published_after_s(since: float) -> float:
    job = Job.objects.get()
    published = job.published or job.started  # a worker may be quicker than the note
    assert published is not None
    return published.timestamp() - since


# -- killed in mid-upload

ROWS = 300_000
Door = Callable[[World, Any], tuple[str, str]]


def api_door(world: World, user: Any) -> tuple[str, str]:
    """Where a program sends a file, and by what it is known there."""
    return "/api/v1/batch-predict", f"Authorization: Bearer {world.key}"


def browser_door(world: World, user: Any) -> tuple[str, str]:
    """Where the page's script sends a file."""
    client, token = Client(), get_random_string(32)
    client.force_login(user)
    return "/drafts/", f"Cookie: sessionid={client.session.session_key}; csrftoken={token}\r\nX-CSRFToken: {token}"


@pytest.mark.parametrize("door", [api_door, pytest.param(browser_door, marks=pytest.mark.long)])
def test_an_upload_that_dies_with_the_web_leaves_nothing(
    world: World, report: Report, user: Any, door: Door, tmp_path: Path
) -> None:
    """Once while half of the body has been sent and the rest is waited for, once with all of it on its way."""
    world.env["TMPDIR"] = str(tmp_path)
    body, others = answers.csv_of(ROWS), stored()
    for share in (0.5, 1.0):
        victim, before = world.web(), stored()
        with sending(world, *door(world, user), body[: int(len(body) * share)], len(body)):
            assert eventually(lambda: len(stored() - before) > 1, every_s=0.001)  # noqa: B023 - asked within the round
            kill(victim)
    left_mb = sum(file.stat().st_size for file in stored() - others) / 1e6
    assert [upload.state for upload in Upload.objects.all()] == [Upload.State.OPEN] * 2 and left_mb > 1
    Upload.objects.update(created=utc_now() - timedelta(hours=2))
    assert expiry.sweep_drafts() == 2
    account = world.ledger.settle()
    report.add(f"kill -9 of the web in mid-upload x2, {door.__name__}", account, swept_mb=left_mb)
    assert not account.faults and not Job.objects.exists() and not Upload.objects.exists()
    assert stored() <= others and list(tmp_path.iterdir()) == []


def stored() -> set[Path]:
    """Other tests have left theirs."""
    return {path for path in Path(settings.DATA_DIR, "files", "uploads").rglob("*") if path.is_file()}


@contextmanager
def sending(world: World, path: str, who: str, content: bytes, of_bytes: int) -> Iterator[None]:
    """A form's file of which `content` is sent, and no answer is awaited. of_bytes: what was announced."""
    before = (
        b'--line\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\nContent-Type: text/csv\r\n\r\n'
    )
    after = b"\r\n--line--\r\n"
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{world.web_port}\r\n{who}\r\n"
        f"Content-Type: multipart/form-data; boundary=line\r\nContent-Length: {len(before) + of_bytes + len(after)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", world.web_port)) as client:
        client.sendall(head.encode() + before + content + (after if len(content) == of_bytes else b""))
        yield


# -- started anew under load

COME_BACK = 1012


@pytest.mark.long
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, COME_BACK), (signal.SIGKILL, CUT_OFF)])
def test_a_web_that_is_started_anew_under_load_drops_nothing(
    world: World, report: Report, number: signal.Signals, code: int
) -> None:
    """Four clients that try again under their key, a socket that comes back, three restarts."""
    world.redis(), world.steward()
    web = world.web()
    world.worker("realtime")
    gaps_s = []
    with ExitStack() as stack:
        watcher = stack.enter_context(Watcher(world))
        for _ in range(4):
            stack.enter_context(repeating(world.ledger.submit_digit_until_accepted, every_s=0.02))
        for _ in range(3):
            assert eventually(lambda: hears_of_what_comes(world, watcher))
            time.sleep(2)
            began = time.monotonic()
            end(web, number)
            known = len(world.ledger.entries)
            web = world.web(ready=False)
            assert eventually(lambda: len(world.ledger.entries) > known)  # noqa: B023 - it is asked within the round
            gaps_s.append(time.monotonic() - began)
        assert eventually(lambda: hears_of_what_comes(world, watcher))
    account = world.ledger.settle()
    figures = {"unanswered": world.ledger.unanswered, "replayed": world.ledger.replayed}
    report.add(f"{number.name} of the web under load x3", account, max(gaps_s), **figures)
    assert not account.faults and account.succeeded == Job.objects.count()
    assert watcher.codes == [code] * 3


def hears_of_what_comes(world: World, watcher: Watcher) -> bool:
    """Of a job that was accepted after this was asked."""
    known = len(world.ledger.entries)
    return eventually(lambda: any(entry.id in watcher.heard for entry in world.ledger.entries[known:]), 2)
