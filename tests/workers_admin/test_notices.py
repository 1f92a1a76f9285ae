"""Real receivers on loopback hear of an incident, whatever they do meanwhile."""

from __future__ import annotations

import base64
import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from predictions.clock import now_s
from predictions.models import utc_now
from tests.processes import ROOT
from tests.surroundings import free_port
from tests.workers_admin.receivers import Hook, hook, mail_server
from workers_admin import incidents, notices, webhook
from workers_admin.incidents import KEPT, LATELY
from workers_admin.models import Incident, Notice

pytestmark = pytest.mark.django_db
SECRET = b"a secret of thirty-two bytes ..."


@pytest.fixture
def port(settings: Any) -> int:
    """Of the webhook; nobody listens there yet."""
    settings.ALLOWED_ORIGINS, port = ["http://localhost:8000"], free_port()
    settings.ALERT_WEBHOOK_URL = Hook(port).address
    settings.ALERT_WEBHOOK_SECRET = SECRET
    return port


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notices, "LONGEST_PAUSE_S", 0.01)


def begun(words: str = "Redis is down.", href: str = "") -> Incident:
    incident = Incident.objects.create(key="redis-down", words=words, href=href, began=utc_now(), seen_at=0.0)
    notices.plan(incident, of_end=False)
    return incident


def over(incident: Incident) -> None:
    incident.ended = utc_now()
    incident.save()
    notices.plan(incident, of_end=True)


def tell(way: str = "webhook", times: int = 3) -> int:
    """As the steward's loop does, again and again."""
    told = 0
    for _ in range(times):
        told += notices.send_due(way)
        time.sleep(0.06)
    return told


def is_genuine(headers: dict[str, str], body: bytes) -> bool:
    """By the example that docs/alerts.md gives to receivers."""
    (example,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs/alerts.md").read_text(), re.DOTALL)
    told: dict[str, Any] = {}
    exec(example, told)
    return bool(told["is_genuine"](f"whsec_{base64.b64encode(SECRET).decode()}", headers, body))


def test_a_webhook_hears_once_that_it_began_and_once_that_it_ended(port: int) -> None:
    with hook(port) as receiver:
        incident = begun(href="/jobs/?status=failed")
        tell()
        over(incident)
        tell()
    types = [json.loads(body)["type"] for _, body in receiver.heard]
    assert types == ["incident.began", "incident.ended"]
    data = json.loads(receiver.heard[0][1])["data"]
    assert (data["key"], data["words"], data["severity"], data["ended"]) == (
        "redis-down",
        "Redis is down.",
        "bad",
        None,
    )
    assert data["see"] == "http://localhost:8000/jobs/?status=failed"
    assert notices.told(incident) == ["webhook to 127.0.0.1: begin, end"]


def test_what_a_webhook_hears_is_signed(port: int) -> None:
    with hook(port) as receiver:
        begun()
        tell()
    ((headers, body),) = receiver.heard
    assert is_genuine(headers, body) and not is_genuine(headers, body + b" ")
    assert not is_genuine(headers | {"webhook-id": "another"}, body)
    assert not is_genuine(headers | {"webhook-timestamp": str(int(headers["webhook-timestamp"]) - 1)}, body)
    assert abs(int(headers["webhook-timestamp"]) - time.time()) < 60


def test_a_webhook_that_was_down_hears_both_in_order_once_it_is_back(port: int) -> None:
    incident = begun()
    assert tell() == 0
    over(incident)
    assert tell() == 0 and "Connection refused" in notices.told(incident)[0]
    with hook(port) as receiver:
        tell()
    assert [json.loads(body)["type"] for _, body in receiver.heard] == ["incident.began", "incident.ended"]


def test_an_end_waits_until_its_beginning_was_told(port: int) -> None:
    with hook(port) as receiver:
        incident = begun()
        Notice.objects.update(due=now_s() + 60)
        over(incident)
        assert tell() == 0
        Notice.objects.update(due=0.0)
        assert tell() == 2
    assert len(receiver.heard) == 2


def test_each_try_says_the_same_under_the_same_id(port: int) -> None:
    with hook(port, status=503) as receiver:
        begun()
        tell(times=2)
        receiver.status = 200
        tell(times=2)
    ids, bodies = ([headers["webhook-id"] for headers, _ in receiver.heard], [body for _, body in receiver.heard])
    assert len(ids) == 3 and len(set(ids)) == len(set(bodies)) == 1


def test_it_is_tried_less_and_less_often(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notices, "LONGEST_PAUSE_S", 600.0)
    begun()
    pauses = []
    for tries in (0, 1, 2, 30):
        Notice.objects.update(due=0.0, tries=tries)
        tell(times=1)
        pauses.append(pause_s())
    assert pauses == [pytest.approx(pause, abs=0.5) for pause in (2, 4, 8, 600)]


def pause_s() -> float:
    return (Notice.objects.get().due or 0.0) - now_s()


def test_after_a_day_it_is_given_up(port: int) -> None:
    incident = begun()
    Incident.objects.update(began=utc_now() - LATELY - LATELY)
    tell(times=1)
    assert "given up" in notices.told(incident)[0] and tell() == 0


def test_a_redirect_is_not_followed(port: int) -> None:
    with hook(free_port()) as elsewhere, hook(port, 307, Location=elsewhere.address) as receiver:
        begun()
        tell(times=1)
    assert len(receiver.heard) == 1 and not elsewhere.heard
    assert Notice.objects.get().error == "127.0.0.1 answered 307."


@pytest.fixture
def dribbling(port: int) -> Iterator[None]:
    """A server that sends a byte now and then and never comes to an end."""
    listener = socket.create_server(("127.0.0.1", port))

    def serve() -> None:
        taken, _ = listener.accept()
        with taken:
            try:
                while True:
                    taken.sendall(b"H")
                    time.sleep(0.05)
            except OSError:
                pass

    threading.Thread(target=serve, daemon=True).start()
    with listener:
        yield


def test_who_answers_without_end_is_cut_off(dribbling: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook, "DEADLINE_S", 0.3)
    begun()
    tell(times=1)
    assert Notice.objects.get().error.startswith("127.0.0.1 gave no answer")


def test_who_does_not_answer_is_waited_for_a_short_time_only(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook, "TIMEOUT_S", 0.2)
    with socket.create_server(("127.0.0.1", port)):
        begun()
        tell(times=1)
    assert Notice.objects.get().error == "timed out"


def test_letters_go_out_once_at_the_beginning_and_once_at_the_end(settings: Any) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", free_port()
    settings.ALERT_EMAILS = ["ops@example.com", "olga@example.com"]
    with mail_server(settings.EMAIL_PORT) as letters:
        incident = begun("batch: 812 waiting,\nno worker.")
        tell("e-mail")
        over(incident)
        tell("e-mail")
    assert [letter["Subject"] for letter in letters] == [
        "[Wrong] batch: 812 waiting, no worker.",
        "[Over] batch: 812 waiting, no worker.",
    ]
    assert letters[0]["To"] == "ops@example.com, olga@example.com"
    assert letters[0]["Message-ID"] != letters[1]["Message-ID"]
    assert "/console/" in str(letters[0].get_payload())


def test_a_mail_server_that_is_down_keeps_no_webhook_from_hearing(port: int, settings: Any) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", free_port()
    settings.ALERT_EMAILS = ["ops@example.com"]
    with hook(port) as receiver:
        begun()
        assert tell("e-mail", 1) == 0 and tell("webhook", 1) == 1
    assert len(receiver.heard) == 1


def test_nobody_is_told_where_nobody_is_named() -> None:
    begun()
    assert notices.ways() == [] and not Notice.objects.exists()


def test_an_end_is_told_to_those_alone_who_heard_of_the_beginning(settings: Any) -> None:
    incident = begun()
    settings.ALERT_EMAILS = ["ops@example.com"]
    over(incident)
    assert not Notice.objects.exists()


def test_old_incidents_are_forgotten_with_their_notices(port: int) -> None:
    incident = begun()
    over(incident)
    Incident.objects.update(ended=utc_now() - KEPT - LATELY)
    incidents.forget_old()
    assert not Incident.objects.exists() and not Notice.objects.exists()
