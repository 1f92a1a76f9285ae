"""What the OpenAPI document says beyond the shapes: bodies, headers, examples, and which problems each call can answer with."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from predictions import problems

Extra = dict[str, Any]
PROBLEM = {problems.MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
ALWAYS = (401, 413, 415, 422, 503)
WHEN = {
    400: "The body cannot be read, or is nested too deep",
    401: "No valid API key or session",
    403: "Not permitted, or the CSRF token is missing",
    404: "Unknown, or not yours",
    409: "Not in a state that allows it, or the idempotency key was used with another body",
    410: "The result has expired",
    412: "The file is not the one that If-Match names",
    413: "The body is over the limit, or there is no room for it among the uploads that are kept",
    415: "The body's type or encoding is not taken",
    416: "The range begins past the end of the file",
    422: "Readable, but not valid; `errors` names the places",
    429: "Over the rate limit",
    503: "The database cannot take it now",
}
RETRY_AFTER = {"Retry-After": {"schema": {"type": "integer"}, "description": "seconds"}}
LOCATION = {"Location": {"schema": {"type": "string"}, "description": "of the job"}}
REPLAYED = {"Idempotent-Replayed": {"schema": {"const": "true"}, "description": "an earlier job is answered again"}}
NUMBERS = {"type": "array", "items": {"type": "number"}, "description": "exactly the model's width, finite"}
CHOICES: Extra = {
    "model": {
        "type": "string",
        "description": "a model's name, or name@version; the default model where none is given",
    },
    "priority": {
        "type": "integer",
        "minimum": 0,
        "maximum": 9,
        "description": "9 goes first; realtime 9, batch 1 where none is given",
    },
    "store": {"type": "boolean", "default": True, "description": "false: no result is kept, only that the job ran"},
}
ON_BAD_ROW: Extra = {
    "on_bad_row": {
        "enum": ["reject", "skip"],
        "default": "reject",
        "description": "of a file: refuse it, or skip bad rows into a rejected-rows file. Rows in JSON are always judged whole.",
    }
}
COUNT = {"type": "integer", "minimum": 0}
EXAMPLE_VECTOR = [0.0, 0.0, 5.0, 13.0, 9.0, 1.0, 0.0, 0.0]
HEADERS = [
    {
        "in": "header",
        "name": "Idempotency-Key",
        "required": False,
        "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
        "description": "Same key and body: the same job again. Same key, other body: 409.",
    },
    {
        "in": "header",
        "name": "Prefer",
        "required": False,
        "schema": {"type": "string"},
        "example": "wait=5",
        "description": "wait=N, 0 to 60 s: 200 with the finished job if it ends within N seconds, 202 otherwise.",
    },
]


def answers(*statuses: int) -> Extra:
    """The problems of a call, beside those any call can have."""
    return {"responses": {status: _problem(status) for status in sorted({*ALWAYS, *statuses})}}


def _problem(status: int) -> Extra:
    described: Extra = {"description": f"{HTTPStatus(status).phrase}. {WHEN[status]}.", "content": PROBLEM}
    return described | ({"headers": RETRY_AFTER} if status in {429, 503} else {})


def _accepts(content: Extra) -> Extra:
    extra = answers(400, 403, 409, 429)
    extra["responses"] |= {200: {"headers": REPLAYED}, 202: {"headers": LOCATION | REPLAYED}}
    return extra | {"parameters": HEADERS, "requestBody": {"required": True, "content": content}}


def _object(properties: Extra, required: str) -> Extra:
    return {"type": "object", "properties": properties, "required": [required]}


PREDICT = _accepts(
    {
        "application/json": {
            "schema": {"oneOf": [NUMBERS, _object({"input": NUMBERS} | CHOICES, "input")]},
            "examples": {
                "bare": {"summary": "a bare list (shortened: the model digits takes 64)", "value": EXAMPLE_VECTOR},
                "object": {"value": {"input": EXAMPLE_VECTOR, "model": "digits", "priority": 9, "store": True}},
            },
        }
    }
)
TABLES = {
    "application/vnd.apache.arrow.stream": "An Arrow IPC stream: columns of numbers named like the model's features in any "
    "order, or one column of lists of its width. A record batch may have 64 MiB.",
    "application/vnd.apache.parquet": "A Parquet file with such columns.",
    "application/x-npy": "A NumPy array (rows, width) of integers or floats, in the model's order. Objects are never unpickled.",
    "application/octet-stream": "Any of these or a CSV, told by its first bytes; also an Arrow file.",
}


def _table(described: str) -> Extra:
    fields = "The fields stand in the query string."
    return {"schema": {"type": "string", "format": "binary", "description": f"{described} {fields}"}}


BATCH = _accepts(
    {
        "application/json": {
            "schema": _object(
                {"inputs": {"type": "array", "items": NUMBERS, "minItems": 1}} | CHOICES | ON_BAD_ROW, "inputs"
            ),
            "example": {"inputs": [EXAMPLE_VECTOR], "model": "digits", "priority": 1},
        },
        "text/csv": {
            "schema": {"type": "string", "description": "The fields stand in the query string."},
            "example": "pixel_0_0,pixel_0_1\n0,5\n",
        },
        **{media_type: _table(described) for media_type, described in TABLES.items()},
        "multipart/form-data": {
            "schema": _object(
                {"file": {"type": "string", "description": "CSV, Parquet, Arrow or .npy, told by its first bytes"}}
                | CHOICES
                | ON_BAD_ROW,
                "file",
            ),
        },
    }
)
BATCH["parameters"] = HEADERS + [
    {"in": "query", "name": name, "required": False, "schema": schema, "description": "For a body that is a file."}
    for name, schema in (CHOICES | ON_BAD_ROW).items()
]


RETRIED = answers(403, 404, 409, 429)
RETRIED["responses"][202] = {"headers": LOCATION}


def _header(description: str, kind: str = "string") -> Extra:
    return {"schema": {"type": kind}, "description": description}


OF_FILES = {
    "Content-Length": _header("bytes", "integer"),
    "ETag": _header("of CSV and Parquet: as long as it is the same, so is every byte"),
    "Accept-Ranges": _header("bytes: of CSV and Parquet"),
    "Repr-Digest": _header("the sha256 of the whole file, once it is known (RFC 9530)"),
}
ASKED_OF_FILES = [
    {"in": "header", "name": name, "required": False, "schema": {"type": "string"}, "description": description}
    for name, description in (
        ("Range", "bytes=first-last, bytes=first- or bytes=-count; several ranges are answered with the whole file"),
        ("If-Range", "the ETag of what is there already: the whole file is given if it has changed"),
        ("If-None-Match", "304 where the file is still the same"),
    )
]


def _file(description: str, media_types: Extra) -> Extra:
    """The answers and headers of a call that gives a file."""
    extra = answers(404, 409, 410, 412, 416)
    extra["responses"] |= {
        200: {"description": description, "headers": OF_FILES, "content": media_types},
        206: {
            "description": "The range that was asked for.",
            "headers": OF_FILES | {"Content-Range": _header("bytes first-last/size")},
            "content": {name: media for name, media in media_types.items() if name != "application/json"},
        },
        304: {"description": "The file is still the one that If-None-Match names."},
    }
    extra["responses"][416]["headers"] = {"Content-Range": _header("bytes */size")}
    return extra | {"parameters": ASKED_OF_FILES}


RESULT = _file(
    "Realtime: the prediction. Batch: the rows, as `format` says; of a stopped batch those that were scored.",
    {
        "application/json": {
            "schema": {
                "anyOf": [
                    {"$ref": "#/components/schemas/Prediction"},
                    {"type": "array", "items": {"type": "object"}},
                    {
                        "type": "object",
                        "description": "a page, where after_row or limit is given",
                        "properties": {
                            "items": {"type": "array", "items": {"type": "object"}},
                            "next": {"type": ["integer", "null"], "description": "after_row of the next page"},
                        },
                        "required": ["items", "next"],
                    },
                ]
            }
        },
        "text/csv": {"schema": {"type": "string"}, "example": "row,class,label,confidence\n1,3,3,0.9871\n"},
        "application/vnd.apache.parquet": {"schema": {"type": "string", "format": "binary"}},
    },
)
RESULT["parameters"] = [
    *ASKED_OF_FILES,
    HEADERS[1] | {"description": "wait=N, 0 to 60 s: how long to wait for a Parquet file that is being made; 30 s."},
]
RESULT["responses"][202] = {
    "description": "The Parquet file is being made. Ask again after `Retry-After` seconds.",
    "headers": RETRY_AFTER,
    "content": {
        "application/json": {
            "schema": _object(
                {
                    "status": {"const": "preparing"},
                    "progress": {"type": "object", "properties": {"done": COUNT, "total": COUNT}},
                },
                "status",
            )
        }
    },
}
REJECTED = _file(
    "The rejected cells.",
    {
        "text/csv": {
            "schema": {"type": "string"},
            "example": "line,row,column,value,reason\n7,6,pixel_0_3,abc,'abc' is not a number\n",
        }
    },
)
