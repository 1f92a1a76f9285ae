"""The shapes of the JSON API's answers and query strings, as its OpenAPI document shows them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from ninja import Schema
from pydantic import ConfigDict, Field, StringConstraints

Status = Literal["queued", "running", "revoking", "succeeded", "failed", "revoked", "expired"]
MOST_ROWS = 2**53
Text = Annotated[str, StringConstraints(max_length=200)]


class Exact(Schema):
    """Nothing beside the fields named here."""

    model_config = ConfigDict(extra="forbid")


class Place(Exact):
    row: int | None = Field(None, description="from 1, blank lines not counted")
    line: int | None = Field(None, description="of the file, from 1")
    column: str | None = None
    value: str | None = None
    message: str


class Problem(Exact):
    """application/problem+json (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str = Field(description="a sentence: what was given and what is allowed")
    code: str
    errors: list[Place] | None = Field(None, description="the places that are wrong, the first 100")
    error_count: int | None = Field(None, description="how many places are wrong in all")


class Candidate(Exact):
    class_: int = Field(alias="class")
    label: str
    confidence: float = Field(ge=0, le=1)


class Prediction(Candidate):
    device: str = Field(examples=["cpu"])
    top: list[Candidate] = Field(description="up to five classes, the likeliest first")


class Progress(Exact):
    done: int
    total: int


class Position(Exact):
    ahead: int = Field(description="jobs that go first")
    eta_s: tuple[float, float] | None = Field(description="low and high, until it starts; null where nothing is known")


class JobError(Exact):
    code: str
    message: str
    errors: list[Place] | None = None
    error_count: int | None = None


class Summary(Exact):
    rows: int
    rejected: int
    classes: dict[str, int] = Field(description="rows by label")
    confidence_histogram: list[int] = Field(description="rows by confidence, in 20 bins from 0 to 1")


class Links(Exact):
    self: str
    result: str
    page: str


class JobOut(Exact):
    """A job. `position` while it is queued, `result` of realtime jobs that succeeded, `summary` of batches."""

    id: str
    task_id: str = Field(description="the same value as id")
    kind: Literal["realtime", "batch"]
    status: Status
    queue: str
    priority: int = Field(ge=0, le=9, description="9 goes first")
    model: str = Field(examples=["digits@1"])
    created: datetime
    started: datetime | None
    finished: datetime | None
    expires: datetime | None = Field(description="when its result is removed")
    attempt: int
    progress: Progress
    position: Position | None = None
    result: Prediction | None = None
    summary: Summary | None = None
    error: JobError | None
    notes: list[str]
    retry_of: str | None
    links: Links


class JobsOut(Exact):
    items: list[JobOut]
    next: str | None = Field(description="the cursor of the next page; null on the last")


class ShortOut(Exact):
    """`result` when the job is completed, `error` when it failed."""

    status: Literal["completed", "queued", "running", "revoking", "failed", "revoked", "expired"]
    result: Prediction | Summary | None = None
    error: JobError | None = None


class ModelVersion(Exact):
    version: int
    ref: str = Field(examples=["digits@1"])
    width: int
    labels: list[str]
    features: list[str]
    created: str
    sha256: str
    size_bytes: int
    metrics: dict[str, Any]


class ServedBy(Exact):
    worker: str
    version: int
    queues: list[str]


class ModelOut(Exact):
    """`width` and `labels` are those of the newest version, which the bare name means."""

    name: str
    default: bool
    width: int
    labels: list[str]
    versions: list[ModelVersion] = Field(description="the newest first")
    served_by: list[ServedBy] = Field(description="living workers that have a version of it loaded")


class ModelsOut(Exact):
    items: list[ModelOut]


class JobFilters(Schema):
    """Which jobs, and which page of them."""

    status: Status | None = None
    kind: Literal["realtime", "batch"] | None = None
    queue: Literal["realtime", "batch", "default"] | None = None
    model: Text | None = Field(None, description="a model's name, or name@version")
    q: Text | None = Field(None, description="in the file's name or the error, or the beginning or end of an id")
    created_after: datetime | None = Field(None, description="RFC 3339; UTC where no zone is given")
    created_before: datetime | None = Field(None, description="RFC 3339; UTC where no zone is given")
    limit: int = Field(50, ge=1, le=200)
    cursor: str | None = Field(None, max_length=64, description="`next` of the page before")


class Wait(Schema):
    wait: float = Field(
        0, ge=0, le=60, allow_inf_nan=False, description="seconds to hold the answer until the job has ended"
    )


class ResultFormat(Schema):
    """Which rows of a batch, and how; a realtime prediction is JSON."""

    format: Literal["csv", "json", "parquet"] = Field(
        "csv", description="of a batch's rows; parquet, with the likeliest classes of each in `top`, is made on demand"
    )
    partial: bool = Field(False, description="of a batch that goes on: the rows finished so far, instead of 409")
    after_row: int = Field(0, ge=0, le=MOST_ROWS, description="of json: a page of the rows after this one")
    limit: int | None = Field(
        None, ge=1, le=10_000, description="of json: rows a page; 1,000 where only after_row is given"
    )

    @property
    def is_page(self) -> bool:
        return self.format == "json" and not {"after_row", "limit"}.isdisjoint(self.model_fields_set)

    @property
    def page_rows(self) -> int:
        return self.limit or 1_000
