"""Receives a file that is being sent: the event loop reads it, threads judge and store it block by block."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, ParamSpec, TypeVar

from asgiref.sync import sync_to_async
from django.db import close_old_connections

from predictions import model_cards, upload_limits, uploading
from predictions.arriving import Arriving
from predictions.db_threads import in_db_thread
from predictions.errors import InvalidInput
from predictions.incoming import Incoming
from predictions.model_cards import ModelCard
from predictions.models import Upload

P = ParamSpec("P")
T = TypeVar("T")
RESERVED_BYTES = 16 << 20
_threads = ThreadPoolExecutor(2, thread_name_prefix="upload")  # each keeps the memory that it worked with


async def receive(
    arriving: Arriving, owner: Any, file_name: str, card: ModelCard, kind: str | None, may_map: bool = False
) -> Upload:
    """The upload, its parts in storage. Raises Refused as soon as a fault is seen; then nothing is left of it.

    kind, may_map: as uploading.begin takes them. Nothing is left either where the client leaves, which cancels this.
    """
    # Who signed the sender in must hold no connection of the pool while a slow file comes.
    await sync_to_async(close_old_connections)()
    announced = arriving.announced_bytes or 0
    incoming = await in_db_thread(uploading.begin, owner, file_name, card, kind, may_map, announced)
    room = Room(incoming, announced)
    try:
        await _take_all(arriving, incoming, room)
        _refuse_another_model(arriving, card)
        plan = await _to_its_end(incoming.close)
        await room.demand()
        return await in_db_thread(uploading.complete, incoming.upload, plan, incoming.sha256, incoming.size_bytes)
    except BaseException:
        await asyncio.shield(sync_to_async(_undo)(incoming))
        raise


def _undo(incoming: Incoming) -> None:
    incoming.abandon()
    uploading.withdraw(incoming.upload)


class Room:
    """What is set aside for an upload: what its sender announced, and more once it has grown past that."""

    def __init__(self, incoming: Incoming, reserved_bytes: int) -> None:
        self._incoming = incoming
        self._reserved_bytes = reserved_bytes

    async def demand(self) -> None:
        """Raises TooLarge. Asked for in steps, as each is a commit."""
        size_bytes = self._incoming.size_bytes
        if size_bytes > self._reserved_bytes:
            await in_db_thread(upload_limits.reserve, self._incoming.upload, size_bytes)
            self._reserved_bytes = size_bytes + RESERVED_BYTES


async def _take_all(arriving: Arriving, incoming: Incoming, room: Room) -> None:
    """The first block is judged before any other is read; after it each is judged and stored while the next one comes."""

    def take(block: bytes) -> None:
        incoming.feed(arriving.take(block))

    if head := arriving.take_head():
        await _to_its_end(incoming.feed, head)
    blocks = arriving.blocks()
    if first := await anext(blocks, b""):
        await _to_its_end(take, first)
        await _take_rest(blocks, take, room)
    arriving.close()


async def _take_rest(blocks: AsyncIterator[bytes], take: Callable[[bytes], None], room: Room) -> None:
    working: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    working.set_result(None)  # nothing is in hand yet
    coming = asyncio.ensure_future(anext(blocks, None))
    try:
        while True:
            both: set[asyncio.Future[Any]] = {working, coming}
            await asyncio.wait(both, return_when=asyncio.FIRST_EXCEPTION)
            if working.done():
                working.result()
            await room.demand()
            if (block := coming.result()) is None:
                break
            working = _begin(take, block)
            coming = asyncio.ensure_future(anext(blocks, None))
    finally:
        coming.cancel()
        await asyncio.wait({working})  # nothing is written after it was withdrawn


def _refuse_another_model(arriving: Arriving, card: ModelCard) -> None:
    """Each field of a form may follow its file, but this one decides how the file is read."""
    asked = arriving.fields.get("model")
    if asked and model_cards.card(asked).ref != card.ref:
        raise InvalidInput(
            f"The form names the model after the file, which was read for {card.ref}; put the model before it."
        )


async def _to_its_end(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """In a thread, and waited for also where the request is cancelled: nothing is written after it was withdrawn."""
    working = _begin(work, *args, **kwargs)
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        await asyncio.wait([working])
        raise


def _begin(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> asyncio.Future[T]:
    return asyncio.get_running_loop().run_in_executor(_threads, partial(work, *args, **kwargs))
