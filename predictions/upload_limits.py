"""How much room uploads may take: each user's and the whole store's, counted over those that are kept."""

from __future__ import annotations

from django.conf import settings
from django.db.models import Q, Sum

from predictions.errors import TooLarge
from predictions.models import Upload

KEPT = (Upload.State.OPEN, Upload.State.DONE)


def reserve(upload: Upload, size_bytes: int) -> None:
    """The upload counts with so many bytes from now on. Raises TooLarge where they are more than there is room for."""
    Upload.objects.filter(pk=upload.pk).update(size_bytes=size_bytes)
    upload.size_bytes = size_bytes
    demand_room(upload)


def demand_room(upload: Upload) -> None:
    """Raises TooLarge where there is none for the upload, which is counted already: of two that race, not both get it."""
    size_bytes = upload.size_bytes
    mine, all_of_them = _kept_bytes(upload.owner_id)
    if mine > settings.USER_UPLOAD_BYTES:
        raise TooLarge(
            f"You keep {mine - size_bytes:,} bytes of uploads and this one has {size_bytes:,} more; "
            f"{settings.USER_UPLOAD_BYTES:,} are allowed. Remove drafts you do not need; "
            f"a submitted file is removed {settings.HISTORY_DAYS:,} days after its job has ended."
        )
    if all_of_them > settings.STORE_UPLOAD_BYTES:
        raise TooLarge(
            f"All uploads together have {all_of_them - size_bytes:,} bytes and this one has {size_bytes:,} more; "
            f"the store has room for {settings.STORE_UPLOAD_BYTES:,}. Ask whoever runs this site to make room."
        )


def _kept_bytes(owner_id: int) -> tuple[int, int]:
    """The owner's, and everybody's."""
    sums = Upload.objects.filter(state__in=KEPT).aggregate(
        mine=Sum("size_bytes", filter=Q(owner=owner_id)), all_of_them=Sum("size_bytes")
    )
    return sums["mine"] or 0, sums["all_of_them"] or 0
