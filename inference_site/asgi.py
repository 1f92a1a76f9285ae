"""What the web process serves: the doors for hot calls and for files, Django behind them, and websockets behind the check of origins."""

from __future__ import annotations

import gc
import os
from typing import Any

from channels.routing import ProtocolTypeRouter, URLRouter
from channels.sessions import CookieMiddleware
from django.core.asgi import get_asgi_application
from django.urls import re_path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "inference_site.settings")
pages: Any = get_asgi_application()

# Django is set up by the line above; what follows imports models.
from inference_site.body_limit import BodyLimit
from inference_site.origins import OriginCheck, deny
from predictions.lean import Lean
from predictions.live import hub
from predictions.routing import websocket_urlpatterns as job_sockets
from predictions.upload_door import UploadDoor
from workers_admin.routing import websocket_urlpatterns as console_sockets


async def lifespan(scope: Any, receive: Any, send: Any) -> None:
    """The hub listens from the beginning, as it also hears of revoked keys, until the server has closed every connection."""
    await receive()
    hub.of_this_loop()
    _leave_what_is_loaded_to_itself()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await hub.stop()
    await send({"type": "lifespan.shutdown.complete"})


def _leave_what_is_loaded_to_itself() -> None:
    """It stays as long as the process: the collector of garbage need not walk through it while requests wait."""
    gc.collect()
    gc.freeze()


elsewhere: Any = deny  # Channels uses Django's re_path for what is no view

application = ProtocolTypeRouter(
    {
        "http": BodyLimit(Lean(UploadDoor(pages))),
        "websocket": OriginCheck(CookieMiddleware(URLRouter([*job_sockets, *console_sockets, re_path("", elsewhere)]))),
        "lifespan": lifespan,
    }
)
