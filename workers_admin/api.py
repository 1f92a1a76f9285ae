"""The JSON API's door to queues and workers; for who may see the console."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import Router

from predictions import workers
from predictions.api_answers import answer
from predictions.api_docs import answers
from predictions.callers import demand_console, user_of
from predictions.db_threads import in_broker_thread, in_db_thread
from workers_admin.api_schemas import QueuesOut, WorkersOut
from workers_admin.contract import queue_json, worker_json
from workers_admin.facts import depths_now

router = Router(tags=["operations"])


@router.get("/queues", response=QueuesOut, openapi_extra=answers(403))
async def list_queues(request: HttpRequest) -> HttpResponse:
    """How deep each queue is, and where Redis and the database disagree."""

    def read() -> dict[str, Any]:
        demand_console(user_of(request))
        return {"items": [queue_json(depth) for depth in depths_now()]}

    return answer(await in_broker_thread(read))


@router.get("/workers", response=WorkersOut, openapi_extra=answers(403))
async def list_workers(request: HttpRequest) -> HttpResponse:
    """Every worker that has not said goodbye, as it reports itself; a lost one stays in sight."""

    def read() -> dict[str, Any]:
        demand_console(user_of(request))
        return {"items": [worker_json(node) for node in workers.nodes()]}

    return answer(await in_db_thread(read))
