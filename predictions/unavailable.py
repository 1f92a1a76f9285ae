"""Which errors mean that the database or the storage takes nothing now, and the sentence that is told then."""

from __future__ import annotations

import errno

from django.db import InterfaceError, OperationalError

from predictions.errors import Unavailable

TRY_AGAIN_S = 5
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO}


def unavailable_for(error: BaseException | None) -> Unavailable | None:
    """None for an error of any other kind."""
    if isinstance(error, (OperationalError, InterfaceError)):
        return _unavailable("database")
    if isinstance(error, OSError) and error.errno in FULL:
        return _unavailable("storage")
    return None


def _unavailable(what: str) -> Unavailable:
    return Unavailable(f"The {what} cannot take this now. Try again in {TRY_AGAIN_S} s.", retry_after_s=TRY_AGAIN_S)
