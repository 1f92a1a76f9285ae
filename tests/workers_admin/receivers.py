"""A webhook's receiver and a mail server on loopback, which keep what they hear."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Hook:
    """What one address heard: (headers, body) of each POST. status and headers: what it answers."""

    def __init__(self, port: int, status: int = 204, **headers: str) -> None:
        self.port = port
        self.address = f"http://127.0.0.1:{port}/hook?from=dashboard"
        self.heard: list[tuple[dict[str, str], bytes]] = []
        self.status, self.headers = status, headers


@contextmanager
def hook(port: int, status: int = 204, **headers: str) -> Iterator[Hook]:
    heard = Hook(port, status, **headers)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            heard.heard.append(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(heard.status)
            for name, value in heard.headers.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with _serving(ThreadingHTTPServer(("127.0.0.1", port), Handler)):
        yield heard


@contextmanager
def mail_server(port: int) -> Iterator[list[Message]]:
    """Yields the letters it took."""
    letters: list[Message] = []

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self._say("220 here")
            while line := self.rfile.readline().strip():
                verb = line[:4].upper()
                if verb == b"DATA":
                    self._say("354 go on")
                    letters.append(message_from_bytes(b"".join(iter(self.rfile.readline, b".\r\n"))))
                self._say("221 bye" if verb == b"QUIT" else "250 ok")

        def _say(self, line: str) -> None:
            self.wfile.write(f"{line}\r\n".encode())

    with _serving(Server(("127.0.0.1", port), Handler)):
        yield letters


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


@contextmanager
def _serving(server: socketserver.BaseServer) -> Iterator[None]:
    with server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield
        server.shutdown()
