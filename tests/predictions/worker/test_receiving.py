"""One contract for kombu's transport and ours, each test against both; then what ours alone promises."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from django.conf import settings
from kombu import Connection, Consumer, Exchange, Queue
from kombu.asynchronous import Hub
from kombu.transport.redis import Transport as KombusTransport
from kombu.utils.json import dumps

from predictions import broker
from predictions.queues import TRANSPORT_BANDS
from predictions.worker.receiving import UNREADABLE, Transport
from tests.faults.proxy import Line
from tests.processes import eventually
from tests.surroundings import REDIS_PORT

pytestmark = pytest.mark.usefixtures("clean_redis")
QUEUES = ("first", "second")
BOTH = pytest.mark.parametrize("transport", [KombusTransport, Transport], ids=["kombu's", "ours"])
TURNS = 400


def options(**more: Any) -> dict[str, Any]:
    """polling_interval: for so long BRPOP waits, and closing with it."""
    bands = {"priority_steps": [0, 3, 6, 9], "polling_interval": 0.05}
    return {**settings.CELERY_BROKER_TRANSPORT_OPTIONS, **bands, **more}


def connect(transport: type[KombusTransport], port: int = REDIS_PORT, **more: Any) -> Connection:
    connection = Connection(f"redis://127.0.0.1:{port}/0", transport_options=options(**more))
    connection.transport_cls = transport
    return connection


class Receiver:
    """A consumer on kombu's event loop, as a worker has it."""

    def __init__(self, connection: Connection, queues: tuple[str, ...], prefetch: int, **consuming: Any) -> None:
        self.got: list[Any] = []
        self.most_in_hand = 0
        self.hub = Hub()
        self.connection = connection
        self.channel = connection.default_channel
        connection.transport.register_with_event_loop(connection.connection, self.hub)
        self.channel.basic_qos(0, prefetch, False)
        self.consumer = Consumer(
            self.channel, [Queue(name, routing_key=name) for name in queues], on_message=self.take, **consuming
        )
        self.consumer.consume()

    def take(self, message: Any) -> None:
        self.got.append(message)
        self.most_in_hand = max(self.most_in_hand, broker.client().hlen("unacked"))

    @property
    def names(self) -> list[str]:
        return [message.payload for message in self.got]

    def until(self, holds: Callable[[], object]) -> bool:
        for _ in range(TURNS):
            if holds():
                return True
            self.hub.run_once()
        return False

    def receive(self, count: int) -> list[str]:
        assert self.until(lambda: len(self.got) >= count), self.names
        return self.names


@contextmanager
def a_receiver(
    transport: type[KombusTransport],
    *queues: str,
    prefetch: int = 100,
    port: int = REDIS_PORT,
    more: dict[str, Any] | None = None,
    **consuming: Any,
) -> Iterator[Receiver]:
    with ExitStack() as stack:
        connection = stack.enter_context(connect(transport, port, **(more or {})))
        receiver = Receiver(connection, queues or QUEUES, prefetch, **consuming)
        stack.callback(receiver.hub.close)
        yield receiver


def send(*names: str, queue: str = "first", priority: int = 0, **more: Any) -> None:
    with connect(KombusTransport, **more) as connection:
        producer = connection.Producer()
        for name in names:
            producer.publish(name, routing_key=queue, priority=priority, serializer="json")


def waiting(queue: str = "first", band: int = 0) -> list[str]:
    """What waits in a band, the next to be taken first."""
    key = f"{queue}\x06\x16{band}" if band else queue
    found = reversed(broker.client().lrange(key, 0, -1))
    with connect(KombusTransport) as connection:
        return [
            connection.default_channel.Message(json.loads(raw), connection.default_channel).payload for raw in found
        ]


def unacked() -> int:
    return int(broker.client().hlen("unacked"))


@BOTH
def test_the_most_urgent_comes_first_and_of_equals_the_oldest(transport: type[KombusTransport]) -> None:
    for priority in (9, 0, 6, 3):
        send(f"{priority} a", f"{priority} b", priority=priority)
    with a_receiver(transport) as receiver:
        assert receiver.receive(8) == ["0 a", "0 b", "3 a", "3 b", "6 a", "6 b", "9 a", "9 b"]


@BOTH
def test_in_one_band_the_queue_that_was_named_first_comes_first(transport: type[KombusTransport]) -> None:
    send("c", "d", queue="second")
    send("a", "b")
    send("e", queue="first", priority=3)
    with a_receiver(transport) as receiver:
        assert receiver.receive(5) == ["a", "b", "c", "d", "e"]


@BOTH
def test_what_was_delivered_stands_in_unacked_as_kombu_writes_it(transport: type[KombusTransport]) -> None:
    send("a", "b", "c")
    begun = time.time()
    with a_receiver(transport) as receiver:
        receiver.receive(3)
        kept = {tag.decode(): entry.decode() for tag, entry in broker.client().hgetall("unacked").items()}
        assert kept == {message.delivery_tag: dumps([message._raw, "", "first"]) for message in receiver.got}
        index = dict(broker.client().zrange("unacked_index", 0, -1, withscores=True))
        assert {tag.decode() for tag in index} == set(kept)
        assert all(begun <= score <= time.time() for score in index.values())


@BOTH
def test_the_prefetch_is_never_exceeded(transport: type[KombusTransport]) -> None:
    send(*"abcdefgh")
    with a_receiver(transport, prefetch=3) as receiver:
        for received in (3, 6, 8):
            receiver.receive(received)
            assert len(waiting()) == 8 - received
            for message in receiver.got[-3:]:
                if not message.acknowledged:
                    message.ack()
        assert receiver.most_in_hand == 3


@BOTH
def test_without_a_prefetch_everything_is_taken(transport: type[KombusTransport]) -> None:
    send(*map(str, range(150)))
    with a_receiver(transport, prefetch=0) as receiver:
        assert receiver.receive(150) == list(map(str, range(150)))


@BOTH
@pytest.mark.parametrize("phase", ["where the message comes", "as Celery does", "in a tick"])
def test_an_acknowledgement_waits_for_no_other_event(transport: type[KombusTransport], phase: str) -> None:
    """The next event is the end of a BRPOP, 0.8 s later."""
    send(*"abcdefghijkl")
    with a_receiver(transport, more={"polling_interval": 0.8}) as receiver:
        acknowledge = {
            "where the message comes": lambda message: message.ack(),
            "as Celery does": lambda message: receiver.hub.call_soon(message.ack),
            # One each in many, which come in any order: some after the flush.
            "in a tick": lambda message: receiver.hub.on_tick.add(partial(ack_once, message)),
        }[phase]
        receiver.consumer.on_message = lambda message: (acknowledge(message), receiver.got.append(message))
        stopped = threading.Event()
        thread = threading.Thread(target=lambda: receiver.until(stopped.is_set))
        thread.start()
        assert eventually(lambda: len(receiver.got) == 12, every_s=0.001)
        gone = eventually(lambda: unacked() == 0, within_s=0.4, every_s=0.001)
        stopped.set()
        thread.join()
        assert gone
        assert broker.client().zcard("unacked_index") == 0


def ack_once(message: Any) -> None:
    if not message.acknowledged:
        message.ack()


@BOTH
def test_what_is_rejected_is_gone_and_what_is_requeued_waits_where_kombu_puts_it(
    transport: type[KombusTransport],
) -> None:
    send("a", "b", "c", "d", priority=3)
    with a_receiver(transport, prefetch=3) as receiver:
        receiver.receive(3)
        receiver.consumer.cancel()
        receiver.got[0].reject()
        receiver.got[1].requeue()
        assert (unacked(), waiting(band=3)) == (1, ["d", "b"])


@BOTH
def test_closing_gives_back_what_was_not_acknowledged_before_what_waits(transport: type[KombusTransport]) -> None:
    send("a", "b", "c", "d", "e", priority=6)
    with a_receiver(transport, prefetch=4) as receiver:
        receiver.receive(4)
        receiver.got[1].ack()
    assert (unacked(), waiting(band=6)) == (0, ["d", "c", "a", "e"])


@BOTH
def test_closing_tells_redis_of_the_last_acknowledgements(transport: type[KombusTransport]) -> None:
    send("a", "b")
    with a_receiver(transport) as receiver:
        receiver.receive(2)
        for message in receiver.got:
            message.ack()
    assert (unacked(), waiting()) == (0, [])


@BOTH
def test_closing_takes_no_more_than_what_was_on_its_way(transport: type[KombusTransport]) -> None:
    with a_receiver(transport) as receiver:
        send("warm")
        receiver.receive(1)
        receiver.channel._brpop_start(timeout=5)
        send("a", "b", "c")
    assert (receiver.names, waiting()[1:]) == (["warm", "a"], ["warm", "b", "c"])


@BOTH
def test_to_recover_gives_back_what_was_not_acknowledged(transport: type[KombusTransport]) -> None:
    send("a", "b", "c")
    with a_receiver(transport) as receiver:
        receiver.receive(3)
        receiver.consumer.cancel()
        receiver.got[2].ack()
        receiver.channel.basic_recover(requeue=True)
        assert (unacked(), waiting()) == (0, ["b", "a"])


@pytest.mark.parametrize("by", [KombusTransport, Transport], ids=["by kombu's", "by ours"])
@BOTH
def test_what_a_dead_worker_had_is_given_back_by_either(
    transport: type[KombusTransport], by: type[KombusTransport]
) -> None:
    send("a", "b", "c", priority=3)
    with a_receiver(transport) as dead:
        dead.receive(3)
        with connect(by, visibility_timeout=-1) as living:
            living.default_channel.qos.restore_visible(num=None, interval=1)
            assert (unacked(), sorted(waiting(band=3))) == (0, ["a", "b", "c"])
        dead.channel.qos._delivered.clear()


@BOTH
def test_a_cancelled_queue_is_left_alone(transport: type[KombusTransport]) -> None:
    with a_receiver(transport) as receiver:
        send("warm")
        receiver.receive(1)
        receiver.consumer.cancel_by_queue("first")
        send("a", "b")
        send("c", "d", queue="second")
        assert receiver.receive(3) == ["warm", "c", "d"]
        assert waiting() == ["a", "b"]
        assert not any(b"redelivered" in raw for raw in broker.client().lrange("first", 0, -1))


@BOTH
def test_what_comes_for_a_queue_that_was_just_cancelled_goes_back(transport: type[KombusTransport]) -> None:
    with a_receiver(transport, more={"polling_interval": 5}) as receiver:
        receiver.connection.channel()  # kombu takes the first channel that it has, whosever the message is
        receiver.connection.transport.channels.reverse()
        receiver.connection.transport.cycle.on_poll_start()  # BRPOP is on its way
        receiver.consumer.cancel_by_queue("first")
        send("a")
        assert eventually(lambda: not waiting())
        receiver.channel._brpop_read()
        assert (receiver.names, waiting(), unacked()) == ([], ["a"], 0)
        assert receiver.channel.qos.can_consume_max_estimate() == 100


@BOTH
def test_a_consumer_without_acknowledgements_leaves_nothing_in_unacked(transport: type[KombusTransport]) -> None:
    send("a", "b")
    with a_receiver(transport, no_ack=True) as receiver:
        assert (receiver.receive(2), unacked()) == (["a", "b"], 0)


@BOTH
def test_the_depth_counts_every_band(transport: type[KombusTransport]) -> None:
    send("a", "b")
    send("c", priority=9)
    with connect(transport) as connection:
        assert connection.default_channel.queue_declare("first", passive=True).message_count == 3


@BOTH
def test_a_broadcast_comes_as_ever(transport: type[KombusTransport]) -> None:
    heard: list[str] = []
    with a_receiver(transport) as receiver:
        exchange = Exchange("all", type="fanout")
        mailbox = Queue("mailbox", exchange, durable=False, auto_delete=True)
        channel = receiver.connection.channel()
        Consumer(channel, [mailbox], on_message=lambda message: heard.append(message.payload), no_ack=True).consume()
        receiver.hub.run_once()
        with connect(KombusTransport) as connection:
            connection.Producer().publish("to all", exchange=exchange, declare=[exchange], serializer="json")
        assert receiver.until(lambda: heard)
    assert heard == ["to all"]


@BOTH
def test_nothing_is_lost_when_the_connections_are_cut(transport: type[KombusTransport]) -> None:
    send("a", "b")
    with a_receiver(transport) as receiver:
        receiver.receive(2)
        broker.client().client_kill_filter(_type="normal", skipme=True)
        with pytest.raises(receiver.connection.connection_errors):
            receiver.until(lambda: False)
        receiver.connection.collect()
    send("c")
    with a_receiver(transport) as receiver:
        assert sorted(receiver.receive(3)) == ["a", "b", "c"]


def test_one_wake_up_takes_what_there_is_credit_for() -> None:
    send(*"abc")
    send(*"defgh", priority=6)
    with a_receiver(Transport, prefetch=5) as receiver:
        receiver.receive(1)
        assert (receiver.names, waiting(band=6)) == (list("abcde"), list("fgh"))


def test_one_wake_up_takes_so_many_at_most() -> None:
    send(*"abcdefgh")
    with a_receiver(Transport, more={"receive_at_once": 3}) as receiver:
        receiver.receive(1)
        assert receiver.names == ["a", "b", "c"]


def test_the_acknowledgements_of_a_turn_are_one_command() -> None:
    send(*"abcdefgh")
    with a_receiver(Transport) as receiver:
        receiver.receive(8)
        broker.client().config_resetstat()
        for message in receiver.got:
            message.ack()
        receiver.until(lambda: unacked() == 0)
        assert broker.client().info("commandstats")["cmdstat_hdel"]["calls"] == 1


def test_without_an_event_loop_an_acknowledgement_goes_at_once() -> None:
    send("a")
    with connect(Transport) as connection:
        message = connection.default_channel.basic_get("first")
        assert message is not None
        message.ack()
        assert unacked() == 0


@BOTH
def test_a_band_above_nine_is_given_back_to_its_own(transport: type[KombusTransport]) -> None:
    send("a", priority=13, priority_steps=TRANSPORT_BANDS)
    with a_receiver(transport, more={"priority_steps": TRANSPORT_BANDS}) as receiver:
        receiver.receive(1)
    assert waiting(band=13) == ["a"]


def test_what_failed_while_it_was_handed_over_is_given_back() -> None:
    def refuse(message: Any) -> None:
        raise ConnectionError(message.payload)

    send("a", "b", "c")
    with a_receiver(Transport) as receiver:
        receiver.consumer.on_message = refuse
        with pytest.raises(ConnectionError):
            receiver.receive(1)
    assert (unacked(), sorted(waiting())) == (0, ["a", "b", "c"])


STRANGE = [
    b"",
    b"not JSON",
    b"[1, 2]",
    b'"text"',
    b"null",
    b"{}",
    b'{"properties": null}',
    b'{"properties": {"delivery_tag": 1, "delivery_info": {"exchange": "", "routing_key": "first"}}}',
    b'{"properties": {"delivery_tag": "x", "delivery_info": {"exchange": null, "routing_key": "first"}}}',
    b'{"properties": {"delivery_tag": "x", "delivery_info": {"exchange": "", "routing_key": "first"}}, "y": 0x10}',
    b"[" * 2000,
]


@pytest.mark.parametrize("strange", STRANGE)
def test_a_strangers_message_is_set_aside_and_the_others_come(strange: bytes) -> None:
    send("a", "b")
    broker.client().lpush("first", strange)
    send("c", "d")
    with a_receiver(Transport) as receiver:
        assert receiver.receive(4) == ["a", "b", "c", "d"]
        assert (broker.client().lrange(UNREADABLE, 0, -1), unacked()) == ([strange], 4)


@BOTH
@pytest.mark.parametrize(
    "written, read",
    [
        ("NaN", float),
        ('"\\ud800"', str),
        (f'{{"__type__": "uuid", "__value__": {{"hex": "{UUID(int=7).hex}"}}}}', UUID),
    ],
)
def test_what_orjson_reads_otherwise_comes_as_kombu_reads_it(
    transport: type[KombusTransport], written: str, read: type
) -> None:
    send("a")
    raw = broker.client().rpop("first")
    assert raw is not None
    broker.client().lpush("first", raw, raw.replace(b'"headers": {', b'"headers": {"odd": ' + written.encode(), 1))
    with a_receiver(transport) as receiver:
        receiver.receive(2)
        assert isinstance(receiver.got[1].headers["odd"], read)


def test_a_redis_that_has_forgotten_the_script_is_told_it_again() -> None:
    with a_receiver(Transport) as receiver:
        send("a")
        receiver.receive(1)
        broker.client().script_flush()
        send("b", "c")
        assert receiver.receive(3) == ["a", "b", "c"]


def test_a_redis_that_is_full_gives_nothing_away() -> None:
    send("a", "b", "c")
    with a_receiver(Transport) as receiver:
        broker.client().config_set("maxmemory", 1)
        try:
            with pytest.raises(receiver.connection.channel_errors):
                receiver.receive(1)
            assert waiting() == ["b", "c"]  # kombu loses the first as well; the steward sends it again
        finally:
            broker.client().config_set("maxmemory", 0)


class HangingUp(Line):
    """Passes our script on to Redis, and hangs up instead of passing on the answer."""

    is_answer = False

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            if self.is_answer:
                raise OSError
            self.is_answer = b"EVALSHA" in data and b"first" in data  # kombu has scripts too
            writer.write(data)
        writer.close()


def test_what_was_popped_for_a_line_that_broke_is_in_unacked() -> None:
    with a_receiver(Transport) as receiver:
        send("warm")
        receiver.receive(1)  # Redis knows the script from now on
        receiver.got[0].ack()
    line, started = HangingUp(REDIS_PORT), threading.Event()
    thread = threading.Thread(target=line.run, args=[started])
    thread.start()
    assert started.wait(10)
    try:
        send("a", "b", "c")
        with a_receiver(Transport, port=line.port) as receiver:
            with pytest.raises(receiver.connection.connection_errors):
                receiver.receive(1)
            assert eventually(lambda: (waiting(), unacked()) == ([], 3))
    finally:
        line.end()
        thread.join(10)
    with a_receiver(Transport, more={"visibility_timeout": -1}) as receiver:
        assert sorted(receiver.receive(3)) == ["a", "b", "c"]
