"""Every refusal and failure the product can name; the docstring is the title, the detail is the sentence people read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

SHOWN = 100
Place = dict[str, Any]


class Refused(Exception):
    """The request was refused"""

    status = 400
    code = "refused"

    def __init__(
        self,
        detail: str,
        errors: Sequence[Place] = (),
        error_count: int | None = None,
        retry_after_s: int | None = None,
    ) -> None:
        """errors: the places that are wrong; only the first 100 are kept, error_count says how many there were."""
        super().__init__(detail)
        self.detail = detail
        self.errors = list(errors[:SHOWN])
        self.error_count = len(errors) if error_count is None else error_count
        self.retry_after_s = retry_after_s

    @property
    def title(self) -> str:
        return (type(self).__doc__ or "Refused").strip()

    def as_json(self) -> dict[str, Any]:
        """The error as a job keeps it and shows it."""
        body: dict[str, Any] = {"code": self.code, "message": self.detail}
        if self.errors:
            body |= {"errors": self.errors, "error_count": self.error_count}
        return body


class Unreadable(Refused):
    """The body cannot be read"""

    code = "unreadable"


class NotSignedIn(Refused):
    """No valid API key or session"""

    status = 401
    code = "not_signed_in"


class NotPermitted(Refused):
    """Not permitted"""

    status = 403
    code = "not_permitted"


class LacksPermission(NotPermitted):
    """Not permitted"""

    def __init__(self, detail: str, permission: str) -> None:
        super().__init__(detail)
        self.permission = permission


class NotFound(Refused):
    """Not found"""

    status = 404
    code = "not_found"


class WrongState(Refused):
    """The job's state does not allow this"""

    status = 409
    code = "wrong_state"


class KeyReused(Refused):
    """The idempotency key was used with another body"""

    status = 409
    code = "idempotency_key_reused"


class ResultExpired(Refused):
    """The result has expired"""

    status = 410
    code = "expired"


class PreconditionFailed(Refused):
    """The file is another one by now"""

    status = 412
    code = "precondition_failed"


class NotSatisfiableRange(Refused):
    """The file has no such range"""

    status = 416
    code = "range_not_satisfiable"


class TooLarge(Refused):
    """The body is too large"""

    status = 413
    code = "too_large"


class UnsupportedType(Refused):
    """The content type is not supported"""

    status = 415
    code = "unsupported_type"


class InvalidInput(Refused):
    """The input is not valid"""

    status = 422
    code = "invalid_input"


class UnknownModel(InvalidInput):
    """The model is not known"""

    code = "unknown_model"


class TooMany(Refused):
    """Too many requests"""

    status = 429
    code = "too_many"


class Unavailable(Refused):
    """The service cannot take this now"""

    status = 503
    code = "unavailable"


class ExportFailed(Refused):
    """The file could not be made"""

    status = 503
    code = "export_failed"


class ModelRefused(Exception):
    """A model's file cannot be used: it is missing, altered or does not load. Jobs wait until it can."""


class AppendOnly(Exception):
    """The audit is append-only: an entry can neither be changed nor deleted."""


class NonFiniteOutput(Exception):
    """The model's output is not finite; a class cannot be told from it."""


class NotAllowed(Refused):
    """The method is not allowed here"""

    status = 405
    code = "method_not_allowed"


class Internal(Refused):
    """Something broke on our side"""

    status = 500
    code = "internal"
