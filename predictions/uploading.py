"""Takes a table in: judged while it is written to storage in parts, remembered as an Upload."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.db import transaction

from predictions import files
from predictions.errors import InvalidInput
from predictions.ingest import Ingest, ingest_rows
from predictions.model_cards import ModelCard
from predictions.models import Job, Upload
from predictions.parts import Plan
from predictions.unavailable import unavailable_for


def receive(owner: Any, file_name: str, blocks: Iterable[bytes], card: ModelCard) -> Upload:
    """The upload, its parts in storage. Raises Refused where the outside is wrong; then nothing is left of it."""
    upload = Upload.objects.create(owner=owner, file_name=file_name[-255:], model=card.ref)
    digest = hashlib.sha256()
    try:
        ingest = Ingest(card, _keep(upload), settings.MAX_UPLOAD_BYTES)
        for block in blocks:
            digest.update(block)
            ingest.feed(block)
        return _complete(upload, ingest.close(), digest.hexdigest())
    except BaseException:
        _withdraw(upload)
        raise


def receive_rows(owner: Any, rows: list[list[float]], card: ModelCard) -> Upload:
    """Rows of a JSON body, already judged, become parts of the same kind."""
    upload = Upload.objects.create(owner=owner, model=card.ref)
    try:
        return _complete(upload, ingest_rows(rows, card, _keep(upload)), "")
    except BaseException:
        _withdraw(upload)
        raise


def refuse_bad_rows(upload: Upload) -> None:
    """With `reject`: what is known to be bad before anything is scored refuses the file, and nothing of it is kept."""
    if refusal := refusal_of(Plan.from_json(upload.plan)):
        _withdraw(upload)
        raise refusal


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
    _withdraw(draft)
    return True


def _keep(upload: Upload) -> Any:
    """Where the storage is full, the sender is told so."""

    def keep(number: int, content: bytes) -> None:
        try:
            files.write(files.input_key(upload.pk, number), content)
        except OSError as error:
            if unavailable := unavailable_for(error):
                raise unavailable from error
            raise

    return keep


def _complete(upload: Upload, plan: Plan, sha256: str) -> Upload:
    done = Upload.objects.filter(pk=upload.pk, state=Upload.State.OPEN)
    if not done.update(state=Upload.State.DONE, plan=plan.as_json(), sha256=sha256):
        raise InvalidInput("The upload took longer than an hour and was swept away. Send it again.")
    upload.refresh_from_db()
    return upload


def _withdraw(upload: Upload) -> None:
    """The files first: a database on a full disk takes the rest once there is room. The sweep finds a row left behind."""
    files.delete(files.list_inputs(upload.pk))
    with transaction.atomic():
        Upload.objects.filter(pk=upload.pk).delete()
