from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import Any
from uuid import UUID

import pytest

from predictions.live import broadcast, hub
from predictions.live.outbox import MOST_WAITING, Outbox, hand_out
from predictions.live.screen import FAILED, FELL_BEHIND, Message, Screen
from predictions.models import new_id
from tests.predictions.live import SOON_S

pytestmark = pytest.mark.django_db(transaction=True)


class Viewer:
    pk = 1
    is_active = False


class Counting(Screen):
    """Says how often it was built."""

    audience = hub.ALL

    def __init__(self, query: dict[str, str] | None = None) -> None:
        super().__init__(Viewer(), query or {})
        self.built = 0

    def first(self) -> Sequence[Message]:
        return [Message("", "snapshot")]

    def after(self, ids: Sequence[UUID]) -> Sequence[Message]:
        self.built += 1
        return [Message("", f"frame {self.built}")]


class OneThing(Counting):
    """Shows all there is with each news of it, and is looked at now and then without any."""

    refresh_s = quiet_refresh_s = 0.2
    news_shows_all = True

    def later(self) -> Sequence[Message]:
        return [Message("", "looked at")]


class Failing(Counting):
    def after(self, ids: Sequence[UUID]) -> Sequence[Message]:
        raise ZeroDivisionError


class Reader:
    """The other end of a socket: what it was sent, unless it stops reading."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.reads = asyncio.Event()
        self.reads.set()
        self.outbox = Outbox(self.take)

    async def take(self, event: dict[str, Any]) -> None:
        await self.reads.wait()
        self.texts.append(event["text"])


@pytest.fixture(autouse=True)
async def _hub(clean_redis: None) -> AsyncIterator[None]:
    yield
    await hub.stop()


async def soon(holds: Callable[[], object]) -> bool:
    async with asyncio.timeout(SOON_S):
        while not holds():  # noqa: ASYNC110  what is waited for has no event
            await asyncio.sleep(0.005)
    return True


def all_have(readers: Sequence[Reader], text: str) -> bool:
    return all(text in reader.texts for reader in readers)


def change_something() -> None:
    hub.of_this_loop().jobs_changed({"type": "jobs.changed", "jobs": [[str(new_id()), 1, 1, "queued", 0]]})


async def all_join(stack: AsyncExitStack, screens: Sequence[Screen], readers: Sequence[Reader]) -> None:
    for screen, reader in zip(screens, readers, strict=True):
        await stack.enter_async_context(broadcast.joined(screen, reader.outbox))
    await soon(lambda: all(reader.texts for reader in readers))
    await asyncio.sleep(0.1)  # the subscription began meanwhile, or will not hear in this test
    for reader in readers:
        reader.texts.clear()


async def test_a_frame_is_built_once_for_all_who_see_the_same() -> None:
    screens, readers = [Counting() for _ in range(100)], [Reader() for _ in range(100)]
    async with AsyncExitStack() as stack:
        await all_join(stack, screens, readers)
        change_something()
        await soon(lambda: all(reader.texts for reader in readers))
    assert sum(screen.built for screen in screens) == 1
    assert {tuple(reader.texts) for reader in readers} == {("frame 1",)}


async def test_who_asks_for_something_else_is_shown_something_else() -> None:
    screens, readers = [Counting(), Counting({"status": "failed"})], [Reader(), Reader()]
    async with AsyncExitStack() as stack:
        await all_join(stack, screens, readers)
        change_something()
        await soon(lambda: all(reader.texts for reader in readers))
    assert [screen.built for screen in screens] == [1, 1]


async def test_a_screen_that_news_shows_whole_is_not_looked_at_besides() -> None:
    reader = Reader()
    async with AsyncExitStack() as stack:
        await all_join(stack, [OneThing()], [reader])
        for _ in range(10):
            change_something()
            await asyncio.sleep(0.1)
        assert "looked at" not in reader.texts
        await soon(lambda: "looked at" in reader.texts)


async def test_readers_that_never_read_hold_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("predictions.live.outbox.SEND_WITHIN_S", 0.5)
    stuck, others = [Reader() for _ in range(20)], [Reader() for _ in range(20)]
    readers = [one for pair in zip(stuck, others, strict=True) for one in pair]
    async with AsyncExitStack() as stack:
        await all_join(stack, [Counting() for _ in readers], readers)
        for reader in stuck:
            reader.reads.clear()
        for number in range(1, 4):
            change_something()
            await soon(partial(all_have, others, f"frame {number}"))
        assert not any(reader.texts or reader.outbox.closing.done() for reader in stuck)
        await soon(lambda: all(reader.outbox.closing.done() for reader in stuck))
    assert {reader.outbox.closing.result().code for reader in stuck} == {FELL_BEHIND}
    assert not any(reader.outbox.closing.done() for reader in others)


async def test_who_reads_again_in_time_gets_the_newest_of_each_thing_and_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("predictions.live.outbox.SEND_WITHIN_S", 0.3)
    reader = Reader()
    reader.reads.clear()
    for number in range(5):
        await hand_out([Message("page", f"page {number}"), Message("", f"row {number}")], [reader.outbox])
    reader.reads.set()
    await soon(lambda: len(reader.texts) == 7)
    await asyncio.sleep(0.4)
    assert reader.texts == ["page 0", "row 0", "page 4", "row 1", "row 2", "row 3", "row 4"]
    assert not reader.outbox.closing.done()


async def test_what_waits_for_a_reader_is_bounded() -> None:
    reader = Reader()
    reader.reads.clear()
    for number in range(MOST_WAITING + 2):
        await hand_out([Message("", f"row {number}")], [reader.outbox])
    assert reader.outbox.closing.result().code == FELL_BEHIND
    assert not reader.outbox._waiting
    reader.reads.set()


async def test_a_screen_that_fails_closes_its_sockets_and_is_not_joined_again() -> None:
    reader, later = Reader(), Reader()
    async with AsyncExitStack() as stack:
        await all_join(stack, [Failing()], [reader])
        change_something()
        assert (await asyncio.wait_for(reader.outbox.closing, SOON_S)).code == FAILED
        await stack.enter_async_context(broadcast.joined(Failing(), later.outbox))
        await soon(lambda: later.texts)


async def test_the_last_to_leave_ends_the_broadcast() -> None:
    hub.of_this_loop()
    before = asyncio.all_tasks()
    async with AsyncExitStack() as stack:
        await all_join(stack, [Counting(), Counting()], [Reader(), Reader()])
    assert asyncio.all_tasks() == before
    assert hub.of_this_loop().load() == (0, 0)
