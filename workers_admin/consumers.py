"""The console's websocket."""

from __future__ import annotations

import json
from collections.abc import Hashable, Sequence
from typing import Any
from uuid import UUID

from django.template.loader import render_to_string

from predictions import workers
from predictions.errors import NotFound
from predictions.live import hub
from predictions.live.screen import NOT_FOUND, NOT_PERMITTED, Closed, Message, Screen
from predictions.live.socket import LiveSocket
from workers_admin import permissions
from workers_admin.console_page import console_context
from workers_admin.contract import queue_json, worker_json
from workers_admin.facts import depths_now
from workers_admin.permissions import acts_of


class ConsoleSocket(LiveSocket):
    """`/ws/console/?view=<page>`, or `?format=json` for queues and workers as the JSON API lists them."""

    def screen(self, viewer: Any, query: dict[str, str]) -> Screen:
        if not permissions.has(viewer, permissions.SEE):
            raise Closed(NOT_PERMITTED, "The console is for those who operate the workers.")
        return (JsonScreen if query.get("format") == "json" else PageScreen)(viewer, query)


class ConsoleScreen(Screen):
    """Ages tick and depths change without news, so it is looked at every two seconds at the latest."""

    refresh_s = quiet_refresh_s = 2.0
    pace_s = 0.5
    audience = hub.CONSOLE

    def __init__(self, viewer: Any, query: dict[str, str]) -> None:
        super().__init__(viewer, query)
        self._may = frozenset(acts_of(viewer).items())

    @property
    def seen_by(self) -> Hashable:
        """Who may do something else sees other buttons."""
        return super().seen_by, self._may

    def after(self, ids: Sequence[UUID]) -> Sequence[Message]:
        return self.first()


class PageScreen(ConsoleScreen):
    def first(self) -> Sequence[Message]:
        view = self.query.get("view", "overview")
        try:
            context = console_context(view, self.viewer, self.query)
        except NotFound as refused:
            raise Closed(NOT_FOUND, f"The console has no view '{view[:40]}'.") from refused
        return [Message("page", render_to_string("workers_admin/_console_live.html", context))]


class JsonScreen(ConsoleScreen):
    def first(self) -> Sequence[Message]:
        queues = [queue_json(depth) for depth in depths_now()]
        nodes = [worker_json(node) for node in workers.nodes()]
        return [_json("queues", queues), _json("workers", nodes)]


def _json(about: str, items: list[dict[str, Any]]) -> Message:
    return Message(about, json.dumps({"type": about, "items": items}))
