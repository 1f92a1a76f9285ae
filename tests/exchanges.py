"""One request to an ASGI application of this process: what its client sends, block by block, and what it is answered."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

BLOCK = 64 * 1024


class Exchange:
    """leaves: whether the client breaks off after its last block."""

    def __init__(self, path: str, blocks: Iterable[bytes], headers: dict[str, str], leaves: bool = False) -> None:
        encoded = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        address, _, query = path.partition("?")
        self.scope: dict[str, Any] = {
            "type": "http",
            "method": "POST",
            "path": address,
            "query_string": query.encode(),
            "headers": [(b"host", b"localhost"), *encoded],
        }
        self.sent: list[Any] = []
        self.read_bytes = 0
        self.read_before_answer: int | None = None
        self.has_more = True
        self._blocks = iter(blocks)
        self._leaves = leaves
        self._next = next(self._blocks, None)

    async def receive(self) -> dict[str, Any]:
        if not self.has_more:
            await asyncio.Event().wait()
        block, self._next = self._next, next(self._blocks, None)
        if block is None and self._leaves:
            return {"type": "http.disconnect"}
        self.read_bytes += len(block or b"")
        self.has_more = self._next is not None or self._leaves
        return {"type": "http.request", "body": block or b"", "more_body": self.has_more}

    async def send(self, message: Any) -> None:
        self.sent.append(message)
        if self.read_before_answer is None:
            self.read_before_answer = self.read_bytes

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])

    @property
    def headers(self) -> dict[str, str]:
        return {name.decode().lower(): value.decode() for name, value in self.sent[0]["headers"]}

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent)


def blocks_of(content: bytes, size: int = BLOCK) -> list[bytes]:
    return [content[start : start + size] for start in range(0, len(content), size)]
