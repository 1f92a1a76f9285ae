"""What a batch has to download: its scored rows and its rejected rows, as CSV, from the parts in their order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import PurePath
from typing import NamedTuple
from uuid import UUID

from django.db.models import QuerySet, Sum
from django.utils.text import get_valid_filename

from predictions import files
from predictions.downloads import CSV, Download, Stored
from predictions.errors import NotFound, ResultExpired, WrongState
from predictions.models import Chunk, Job, Kind, State
from predictions.parts import Plan

REJECTED_HEADER = b"line,row,column,value,reason\n"


def demand_result(job: Job, partial: bool = False) -> None:
    """Raise WrongState, ResultExpired or NotFound where there is no result to give. partial: what is finished will do."""
    _demand_kept(job, "result", partial)
    if not job.store:
        raise NotFound("No result was stored: the job was submitted with store=false.")
    if job.kind == Kind.REALTIME:
        if job.state != State.SUCCEEDED:
            raise NotFound(f"The job is {job.status}; no result was stored.")
    elif is_refused_file(job):
        raise NotFound(
            "Bad rows failed the job, so no result was kept (on_bad_row=reject). Its error names the places."
        )
    elif job.has_ended and job.state != State.SUCCEEDED and not _done(job).exists():
        raise NotFound(f"The job is {job.status}; no row of it was scored.")


def demand_rejected(job: Job) -> None:
    """Raise WrongState, ResultExpired or NotFound where there are no rejected rows to give."""
    if job.kind != Kind.BATCH or (job.on_bad_row != "skip" and not is_refused_file(job)):
        raise NotFound(
            "Rejected rows are kept of batches that skip bad rows (on_bad_row=skip), or that bad rows failed; "
            "this job is neither."
        )
    _demand_kept(job, "rejected rows")


def is_refused_file(job: Job) -> bool:
    """A bad row was met while the file was scored, and the submitter wanted all or nothing."""
    return job.state == State.FAILED and job.on_bad_row == "reject" and job.rejected > 0


def result(job: Job) -> Download:
    """The header, then the rows in the input's order: of a job that goes on, those of the parts that are finished."""
    name = file_name(job, "result" if job.has_ended else "result-so-far")
    made = _download(job, name, header(job), _parts(job, "result_bytes"), files.result_key)
    return replace(made, sha256=job.result_sha256)


def rejected(job: Job) -> Download:
    """The rejected cells: line and row in the file, the column, what stood there, and why it was refused."""
    parts = [part._replace(sha256="") for part in _parts(job, "rejected_bytes")]
    return _download(job, file_name(job, "rejected"), REJECTED_HEADER, parts, files.rejected_key)


def header(job: Job) -> bytes:
    return f"{','.join(columns_of(job))}\n".encode()


def columns_of(job: Job) -> list[str]:
    has_id = job.upload is not None and Plan.from_json(job.upload.plan).columns.id_position is not None
    return ["row", *(["id"] if has_id else []), "class", "label", "confidence"]


def size_so_far(job: Job) -> int:
    """Bytes of the rows that are finished."""
    return int(_done(job).aggregate(all=Sum("result_bytes"))["all"] or 0)


def file_name(job: Job, word: str, ending: str = "csv") -> str:
    """digits.csv of job …0a1b2c3d → digits-result-0a1b2c3d.csv"""
    stem = PurePath(job.file_name).stem if job.file_name else job.model.replace("@", "-")
    return get_valid_filename(f"{stem}-{word}-{str(job.pk)[-8:]}.{ending}")


def finished_parts(job: Job) -> QuerySet[Chunk]:
    """Those that have a file of rows, in order."""
    return _done(job).filter(result_bytes__gt=0).order_by("number")


def _demand_kept(job: Job, what: str, partial: bool = False) -> None:
    if not job.has_ended and not (partial and job.kind == Kind.BATCH):
        more = "" if job.kind == Kind.REALTIME or what != "result" else "; ?partial=true gives the rows finished so far"
        raise WrongState(f"The job is {job.status}; its {what} can be fetched once it has ended{more}.")
    if job.has_ended and job.store and job.expires is None:
        raise ResultExpired(f"The job's {what} expired and was removed; the job itself stays in the history.")


def _done(job: Job) -> QuerySet[Chunk]:
    return Chunk.objects.filter(job_id=job.pk, result_attempt__isnull=False)


def _download(
    job: Job, name: str, head: bytes, parts: list[_Part], key_of: Callable[[UUID, int, int], str]
) -> Download:
    stored = [Stored(key_of(job.pk, part.number, part.attempt), part.size_bytes) for part in parts]
    return Download(name, CSV, _etag(job, head, parts), stored, head, job.finished)


class _Part(NamedTuple):
    number: int
    attempt: int
    size_bytes: int
    sha256: str


def _parts(job: Job, sizes: str) -> list[_Part]:
    """Those that have such a file, in order."""
    done = _done(job).filter(**{f"{sizes}__gt": 0}).order_by("number")
    return [_Part(*values) for values in done.values_list("number", "result_attempt", sizes, "result_sha256")]


def _etag(job: Job, head: bytes, parts: list[_Part]) -> str:
    """Of what the parts hold. Where no sha256 of it is kept, the attempt that wrote the file stands for it."""
    said = sha256(f"{job.pk} ".encode() + head)
    for part in parts:
        said.update(f"{part.number} {part.sha256 or part.attempt}\n".encode())
    return said.hexdigest()[:32]
