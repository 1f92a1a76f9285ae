"""Our envelopes against those that Celery writes for the same task: no field more, none less, none other."""

from __future__ import annotations

import base64
import json
from typing import Any, cast
from uuid import uuid4

import pytest
from celery import current_app

from predictions import broker
from predictions.dispatch import PREDICT, SCORE_CHUNK, Message, Sender
from predictions.queues import band_key, transport_priority

pytestmark = pytest.mark.usefixtures("clean_redis")
# What differs between any two messages, or names a mailbox that nobody opens.
OWN = ("delivery_tag", "reply_to")
JOB = uuid4()
MESSAGES = [
    Message(PREDICT, ([0.1, 1e-7, -2.5e300, 3.0, 7], "digits@1"), str(JOB), "realtime", 9, 0, JOB, None, 0),
    Message(PREDICT, ([0.5], "ö@2"), str(JOB), "realtime", 0, 1, JOB, None, 3),
    Message(SCORE_CHUNK, (str(JOB), 7, 2, "digits@1"), str(uuid4()), "batch", 1, 0, JOB, 7, 2),
]


def publish_with_celery(message: Message) -> None:
    current_app.send_task(
        message.name,
        args=message.args,
        task_id=message.task_id,
        queue=message.queue,
        priority=transport_priority(message.priority, message.lane),
        ignore_result=True,
        root_id=str(message.job_id),
        argsrepr="(…)",
        kwargsrepr="{}",
    )


def taken(message: Message) -> dict[str, Any]:
    """The message that waits in the band of `message`, decoded."""
    held = cast(bytes, broker.client().rpop(band_key(message.queue, message.priority, message.lane)))
    found: dict[str, Any] = json.loads(held)
    found["body"] = json.loads(base64.b64decode(found["body"]))
    assert all(isinstance(found["properties"].pop(name), str) for name in OWN)
    return found


@pytest.mark.parametrize("message", MESSAGES, ids=["urgent", "behind", "chunk"])
def test_an_envelope_is_what_celery_would_write(message: Message) -> None:
    publish_with_celery(message)
    theirs = taken(message)
    assert Sender().send([message]) == [message]
    assert taken(message) == theirs


def test_celery_reads_what_was_sent() -> None:
    Sender().send(MESSAGES[:1])
    with current_app.connection_for_read() as connection:
        message = connection.default_channel.basic_get("realtime")
        assert message is not None
        assert message.decode()[0] == [list(MESSAGES[0].args[0]), "digits@1"]
        assert (message.headers["id"], message.headers["ignore_result"]) == (str(JOB), True)


def test_no_two_messages_have_the_same_tag() -> None:
    Sender().send([MESSAGES[0]] * 3)
    held = cast(list[bytes], broker.client().lrange("realtime", 0, -1))
    assert len({json.loads(each)["properties"]["delivery_tag"] for each in held}) == 3
