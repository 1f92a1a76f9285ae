"""The addresses of the websockets about jobs."""

from __future__ import annotations

from django.urls import path

from predictions import consumers

websocket_urlpatterns = [
    path("ws/jobs/", consumers.JobsSocket.as_asgi()),
    path("ws/jobs/<uuid:job_id>/", consumers.JobSocket.as_asgi()),
]
