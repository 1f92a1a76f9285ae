"""Takes a table in: judged while it is written to storage in parts, remembered as an Upload."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from predictions import files, matching, upload_limits
from predictions.errors import InvalidInput
from predictions.incoming import Incoming
from predictions.json_rows import ingest_rows
from predictions.kept_parts import KeptParts
from predictions.model_cards import ModelCard
from predictions.models import Job, Upload
from predictions.parts import Plan
from predictions.syncing import without_waiting_for_the_disk


def begin(
    owner: Any, file_name: str, card: ModelCard, kind: str | None, may_map: bool, announced_bytes: int
) -> Incoming:
    """Room for a file that is on its way. Raises TooLarge where there is none.

    kind: None where its first bytes are to tell. may_map: a header of other names is read as the owner matched it
    before, or waits for that as a draft.
    """
    mapping = matching.remembered(owner, card.name) if may_map else None
    upload = Upload.objects.create(owner=owner, file_name=file_name[-255:], model=card.ref, size_bytes=announced_bytes)
    try:
        upload_limits.demand_room(upload)
    except BaseException:
        withdraw(upload)
        raise
    return Incoming(upload, card, kind, mapping, may_map)


def complete(upload: Upload, plan: Plan, sha256: str, size_bytes: int) -> Upload:
    """The upload as a draft: all of it has arrived and is in storage."""
    done = Upload.objects.filter(pk=upload.pk, state=Upload.State.OPEN)
    changes = {"state": Upload.State.DONE, "plan": plan.as_json(), "sha256": sha256, "size_bytes": size_bytes}
    with without_waiting_for_the_disk():  # nothing is promised yet: the job's own commit takes this one along
        is_done = done.update(**changes)
    if not is_done:
        raise InvalidInput("The upload took longer than an hour and was swept away. Send it again.")
    for name, value in changes.items():
        setattr(upload, name, value)
    return upload


def receive_rows(owner: Any, rows: list[list[float]], card: ModelCard) -> Upload:
    """Rows of a JSON body, already judged, become a table."""
    upload = Upload.objects.create(owner=owner, model=card.ref)
    parts = KeptParts(upload, "table")
    try:
        plan = ingest_rows(rows, card, parts)
        parts.finish()
        upload_limits.reserve(upload, plan.size_bytes)
        return complete(upload, plan, "", plan.size_bytes)
    except BaseException:
        parts.abandon()
        withdraw(upload)
        raise


def refusal_of(plan: Plan) -> InvalidInput | None:
    """Why a file is refused under `reject` before anything is scored; None where no bad row is known."""
    if not plan.bad_rows:
        return None
    many = "At least " if plan.truncated_judgement else ""
    sentence = f"{many}{plan.bad_rows:,} of {plan.rows:,} rows cannot be read. Correct them, or skip bad rows (on_bad_row=skip)."
    return InvalidInput(sentence, plan.places, plan.bad_cells)


def draft_of(owner: Any, upload_id: Any) -> Upload | None:
    """The owner's complete upload that may still be submitted."""
    return Upload.objects.filter(pk=upload_id, owner=owner, state=Upload.State.DONE).first()


def discard(draft: Upload) -> bool:
    """Remove a draft and its files; False where a job has taken it meanwhile."""
    with transaction.atomic():
        held = Upload.objects.select_for_update().filter(pk=draft.pk, state=Upload.State.DONE).first()
        if held is None or Job.objects.filter(upload=held).exists():
            return False
        Upload.objects.filter(pk=draft.pk).update(state=Upload.State.SWEPT)
    withdraw(draft)
    return True


def withdraw(upload: Upload) -> None:
    """The files first: a database on a full disk takes the rest once there is room. The sweep finds a row left behind."""
    files.delete(files.list_inputs(upload.pk))
    with transaction.atomic():
        Upload.objects.filter(pk=upload.pk).delete()
