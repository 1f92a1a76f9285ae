"""A program that calls the JSON API of this process with a key of its own."""

from __future__ import annotations

import json
from typing import Any

from asgiref.sync import async_to_sync
from django.http import HttpResponse
from django.test import AsyncClient, Client
from django.utils.crypto import get_random_string
from django.utils.module_loading import import_string

from predictions import keys
from tests.exchanges import Exchange, blocks_of

API = "/api/v1"


class Caller:
    def __init__(self, user: Any) -> None:
        self.headers = {"Authorization": f"Bearer {keys.create(user, 'test')[1]}"}
        self._client = Client()

    def get(self, path: str, **headers: str) -> Any:
        return self._client.get(API + path, headers=self.headers | headers)

    def post(self, path: str, body: object = b"", content_type: str = "application/json", **headers: str) -> Any:
        """body: bytes as they are, anything else as JSON. Headers are written with underscores."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        named = self.headers | {name.replace("_", "-"): value for name, value in headers.items()}
        if content_type != "application/json":
            return upload(API + path, data, {**named, "Content-Type": content_type})
        return self._client.generic("POST", API + path, data, content_type, headers=named)

    def call(self, method: str, path: str) -> Any:
        return self._client.generic(method, API + path, headers=self.headers)

    def send_file(self, content: bytes, name: str = "digits.csv", **fields: str) -> Any:
        return self.post("/batch-predict", form(content, name, **fields), "multipart/form-data; boundary=edge")

    def stream(self, path: str) -> tuple[Any, bytes]:
        """For what is streamed: the answer, and all of its body."""
        return async_to_sync(self._stream)(path)

    async def _stream(self, path: str) -> tuple[Any, bytes]:
        answer: Any = await AsyncClient().get(API + path, headers=self.headers)
        if not answer.streaming:
            return answer, answer.content
        return answer, b"".join([block async for block in answer.streaming_content])


class Answer(HttpResponse):
    def json(self) -> Any:
        return json.loads(self.content)


def upload(path: str, body: bytes, headers: dict[str, str]) -> Answer:
    """A file through the whole application, as its server calls it."""
    exchange = Exchange(path, blocks_of(body), {**headers, "Content-Length": str(len(body))})
    application = import_string(
        "inference_site.asgi.application"
    )  # asks for the static files, so not before the first test
    async_to_sync(application)(exchange.scope, exchange.receive, exchange.send)
    return Answer(exchange.body, status=exchange.status, headers=exchange.headers)


def upload_from(browser: Client, path: str, body: bytes, content_type: str, **headers: str) -> Answer:
    """As a signed-in browser sends a file, with its CSRF token."""
    token = get_random_string(32)
    cookies = "; ".join(f"{name}={morsel.value}" for name, morsel in browser.cookies.items())
    sent = {"Cookie": f"{cookies}; csrftoken={token}", "X-CSRFToken": token, "Content-Type": content_type}
    return upload(path, body, {**sent, **{name.replace("_", "-"): value for name, value in headers.items()}})


def form(content: bytes, name: str, **fields: str) -> bytes:
    parts = [f'name="{field}"\r\n\r\n{value}'.encode() for field, value in fields.items()]
    parts.append(f'name="file"; filename="{name}"\r\nContent-Type: text/csv\r\n\r\n'.encode() + content)
    return b"".join(b"--edge\r\nContent-Disposition: form-data; " + part + b"\r\n" for part in parts) + b"--edge--\r\n"


def detail(answer: Any) -> str:
    return str(answer.json()["detail"])
