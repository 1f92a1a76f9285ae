"""The address of the console's websocket."""

from __future__ import annotations

from django.urls import path

from workers_admin import consumers

websocket_urlpatterns = [path("ws/console/", consumers.ConsoleSocket.as_asgi())]
