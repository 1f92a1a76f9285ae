"""What is wrong with real workers and a real steward, caused, told in the strip, and sent out."""

from __future__ import annotations

import base64
import json
import shutil
import signal
import subprocess
import time
from contextlib import ExitStack
from email.message import Message
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from predictions import broker, dispatch, outcomes, recovery, ticks
from predictions.model_cards import ModelCard
from predictions.models import Job, State
from predictions.outcomes import Ending
from predictions.revocation import revoke
from tests import processes
from tests.conftest import StartWorker, database
from tests.predictions.jobs import SUCCESS, claimed, submit_digit
from tests.surroundings import free_port
from tests.workers_admin.receivers import Hook, hook, mail_server
from tests.workers_admin.test_causes import strip, told
from workers_admin.models import Incident

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long]
FAILURE = Ending(State.FAILED, error={"code": "worker_error", "message": "It broke."})
SECRET = b"a secret of thirty-two bytes ..."


def the_one(prefix: str, within_s: float) -> str:
    """The words of the condition whose key begins so."""

    def found() -> list[str]:
        return [condition.words for key, condition in strip().items() if key.startswith(prefix)]

    assert processes.eventually(found, within_s, 0.2), strip()
    return found()[0]


def test_a_worker_that_is_frozen_is_silent_then_lost_and_then_back(a_worker: StartWorker) -> None:
    worker = a_worker("realtime")
    worker.send_signal(signal.SIGSTOP)
    assert "is silent" in the_one("worker-realtime", 9)
    assert processes.eventually(lambda: "is lost" in the_one("worker-realtime", 1), 9, 0.2)
    worker.send_signal(signal.SIGCONT)
    assert processes.eventually(lambda: not any(key.startswith("worker-") for key in strip()), 9, 0.2)


def test_a_worker_that_was_killed_is_lost(a_worker: StartWorker) -> None:
    a_worker("realtime").kill()
    assert processes.eventually(lambda: "is lost" in the_one("worker-realtime", 9), 16, 0.2)


def test_a_steward_that_was_killed_is_silent(steward: subprocess.Popen[bytes]) -> None:
    assert processes.eventually(lambda: (ticks.age_s("steward") or 60) < 2, 30)
    assert "steward" not in strip()
    steward.kill()
    assert told("steward", 9).words.startswith("The steward has been silent for")


def test_a_model_whose_file_was_altered_is_told(a_worker: StartWorker, model_dir: Path, tmp_path: Path) -> None:
    altered = tmp_path / "models"
    shutil.copytree(model_dir, altered)
    with (altered / "digits/1/model.pt2").open("ab") as file:
        file.write(b"!")
    a_worker("realtime", env={"MODEL_DIR": str(altered)}, ready=False)
    assert "has no model. " in the_one("model-realtime", 60)


def test_failures_above_five_percent_are_told(steward: subprocess.Popen[bytes], user: Any, digits: ModelCard) -> None:
    for number in range(30):
        claim = claimed(submit_digit(user, digits))
        outcomes.finish(claim.job.pk, claim.attempt, FAILURE if number < 2 else SUCCESS)
    assert told("failures-realtime", 40).words == "realtime: 2 of 30 jobs failed in 5 min (6.7 %)."


def test_messages_that_redis_lost_are_told_after_five_seconds(clean_redis: None, user: Any, digits: ModelCard) -> None:
    ticks.tick("steward")
    submit_digit(user, digits)
    recovery.publish_all_due(dispatch.Sender())
    assert processes.eventually(lambda: broker.depths()["realtime"].waiting == 1)
    broker.client().flushall()
    begun = time.monotonic()
    assert told("missing-realtime", 9).words.startswith("realtime: 1 message missing for 5.")
    assert time.monotonic() - begun > 4.5


def test_a_queue_that_grows_for_five_minutes_is_told(
    steward: subprocess.Popen[bytes], user: Any, digits: ModelCard
) -> None:
    ends = time.monotonic() + 400
    while time.monotonic() < ends and "growing-realtime" not in strip():
        submit_digit(user, digits)
        time.sleep(4)
    assert strip()["growing-realtime"].words.startswith("realtime has grown for 5 min: ")


def test_the_command_that_is_shown_starts_a_worker_that_takes_the_jobs(
    clean_redis: None, steward: subprocess.Popen[bytes], model_dir: Path, user: Any, digits: ModelCard
) -> None:
    job = submit_digit(user, digits)
    shown = ["sh", "-c", f"exec env {told('idle-realtime').command}"]
    with processes.running("as-shown", shown, processes.database_env(database())):
        assert processes.eventually(lambda: Job.objects.get(pk=job.pk).state == State.SUCCEEDED, 180), processes.log_of(
            "as-shown"
        )
        assert "idle-realtime" not in strip()


def test_two_stewards_tell_a_webhook_and_a_mail_server_once_each_time(
    clean_redis: None, user: Any, digits: ModelCard
) -> None:
    receiver, mail_port = Hook(free_port()), free_port()
    told_to = {
        "ALERT_WEBHOOK_URL": receiver.address,
        "ALERT_WEBHOOK_SECRET": f"whsec_{base64.b64encode(SECRET).decode()}",
        "ALERT_EMAILS": "ops@example.com",
        "EMAIL_HOST": "127.0.0.1",
        "EMAIL_PORT": str(mail_port),
    }
    with ExitStack() as stack:
        receiver = stack.enter_context(hook(receiver.port))
        letters = stack.enter_context(mail_server(mail_port))
        for name in ("telling1", "telling2"):
            command = processes.manage_command("steward")
            stack.enter_context(processes.running(name, command, processes.database_env(database()) | told_to))
        job = submit_digit(user, digits)
        # A busy machine may have other troubles meanwhile.
        heard = partial(heard_of, "idle-realtime", receiver)
        written = partial(written_of, "realtime: 1 waiting", letters)
        assert processes.eventually(lambda: heard() and written(), 60), Incident.objects.values()
        revoke(job, user)
        assert processes.eventually(lambda: len(heard()) > 1 and len(written()) > 1, 60)
        time.sleep(5)
    assert heard() == ["incident.began", "incident.ended"]
    assert written() == ["[Wrong", "[Over"]


def heard_of(key: str, receiver: Hook) -> list[str]:
    said = [json.loads(body) for _, body in receiver.heard]
    return [each["type"] for each in said if each["data"]["key"] == key]


def written_of(words: str, letters: list[Message]) -> list[str]:
    return [letter["Subject"].split("]")[0] for letter in letters if words in letter["Subject"]]
