"""The request that made a job, as somebody would type it: with curl, or in Python."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest
from django.template.loader import render_to_string

from predictions.model_cards import ModelCard
from predictions.models import Job, Kind


@dataclass(frozen=True)
class Samples:
    """The same request three times; the key is read from the environment's KEY."""

    curl: str
    httpx: str
    urllib: str


def site_of(request: HttpRequest) -> str:
    """This site's address as its visitor typed it, without a slash at the end."""
    return request.build_absolute_uri("/").rstrip("/")


def of_job(site: str, job: Job) -> Samples:
    if job.kind == Kind.REALTIME and job.vector is not None:
        return of_vector(site, job.vector, job.model, job.priority)
    return of_file(site, job.file_name, job.model, job.priority, job.on_bad_row)


def of_example(site: str, card: ModelCard) -> Samples:
    vector = card.examples[0]["vector"] if card.examples else [0.0] * card.width
    return of_vector(site, vector, card.ref, 9)


def of_vector(site: str, vector: list[float], model: str, priority: int) -> Samples:
    body = {"input": [_short(value) for value in vector], "model": model, "priority": priority}
    return _rendered("vector", site, body=json.dumps(body), quoted=shlex.quote(json.dumps(body)))


def of_file(site: str, file_name: str, model: str, priority: int, on_bad_row: str) -> Samples:
    """file_name empty: the rows came as JSON, and a file of them stands for them."""
    name = file_name or "rows.csv"
    fields = {"model": model, "priority": str(priority), "on_bad_row": on_bad_row}
    options = [f"-F {shlex.quote(f'{key}={value}')}" for key, value in fields.items()]
    return _rendered(
        "file",
        site,
        name=json.dumps(name),
        attached=shlex.quote(f"file=@{_curl_name(name)}"),
        options=options,
        fields=fields,
    )


def of_follow_up(site: str) -> str:
    """What is asked about a job that was accepted, with curl."""
    return render_to_string("predictions/samples/follow.txt", {"site": site}).strip()


def _curl_name(name: str) -> str:
    """curl reads , and ; in a file's name as the start of something else, unless it stands in double quotes."""
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"' if set(name) & set(',;"') else name


def _rendered(what: str, site: str, **values: Any) -> Samples:
    def written(way: str) -> str:
        return render_to_string(f"predictions/samples/{what}_{way}.txt", {"site": site, **values}).strip()

    return Samples(written("curl"), written("httpx"), written("urllib"))


def _short(value: float) -> float | int:
    """5.0 reads as 5."""
    return int(value) if value == int(value) else value
