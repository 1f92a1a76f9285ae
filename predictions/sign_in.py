"""Who may sign in: one-time links, and a limit on wrong passwords."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth import authenticate, get_user_model
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import User
from django.contrib.auth.tokens import PasswordResetTokenGenerator
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.crypto import constant_time_compare, salted_hmac
from django.utils.http import base36_to_int, int_to_base36

from predictions.errors import TooMany
from predictions.people import SignInAttempt

LINK_LIVES = timedelta(minutes=15)
ADMINISTRATOR = "admin"


@dataclass(frozen=True)
class Limit:
    """At most `failures` of one kind within a time."""

    failures: int
    within: timedelta
    by: tuple[str, ...]
    whose: str


LIMITS = (
    Limit(5, timedelta(minutes=5), ("name_hash", "address"), "for this name from this address"),
    Limit(100, timedelta(hours=1), ("name_hash",), "for this name"),  # ASVS 2.2.1: at most 100 an hour for one account
    Limit(100, timedelta(hours=1), ("address",), "from this address"),
)
LONGEST = max(limit.within for limit in LIMITS)


class _Links(PasswordResetTokenGenerator):
    """Django's reset tokens, spent by the sign-in itself: they are bound to the time of the last one, to the microsecond."""

    key_salt = "predictions.sign_in"

    def _make_hash_value(self, user: Any, timestamp: int) -> str:
        return f"{user.pk} {user.password} {user.last_login and user.last_login.isoformat()} {timestamp}"

    def is_good(self, user: User, token: str) -> bool:
        """Django's own check_token counts by PASSWORD_RESET_TIMEOUT, in days."""
        made_at = _number(token.partition("-")[0])
        if made_at is None:
            return False
        is_ours = constant_time_compare(self._make_token_with_timestamp(user, made_at, self.secret), token)
        return is_ours and 0 <= self._num_seconds(self._now()) - made_at <= LINK_LIVES.total_seconds()


_links = _Links()


def administrator() -> User:
    """The first administrator, who has no password until one is set through a link."""
    fresh = {"is_staff": True, "is_superuser": True, "password": make_password(None)}
    return User.objects.get_or_create(username=ADMINISTRATOR, defaults=fresh)[0]


def link(user: User) -> str:
    """A link that signs `user` in once, within 15 minutes, unless they sign in otherwise or change the password first."""
    token = f"{int_to_base36(user.pk)}-{_links.make_token(user)}"
    return site_address() + reverse("sign_in_by_link", args=[token])


def site_address() -> str:
    """Where this installation is reached: the first host that is not loopback, else loopback with PORT."""
    if settings.IS_LOOPBACK_ONLY or not (named := [host for host in settings.ALLOWED_HOSTS if host != "*"]):
        return f"http://127.0.0.1:{settings.PORT}"
    return f"https://{named[0].removeprefix('.')}"


def spend(token: str) -> User | None:
    """The user whose good link this was, or None. Of two that open it at once, one gets in."""
    person, _, rest = token.partition("-")
    user_id = _number(person)
    user = None if user_id is None else User.objects.filter(pk=user_id, is_active=True).first()
    if user is None or not _links.is_good(user, rest):
        return None
    unspent = User.objects.filter(pk=user.pk, last_login=user.last_login, password=user.password)
    return user if unspent.update(last_login=timezone.now()) == 1 else None


def with_password(request: HttpRequest, name: str, password: str) -> User | None:
    """The user whose password this is, or None. Raises TooMany after too many failures.

    The attempt is written before it is judged and taken back when it succeeds, so that many at once are counted too.
    """
    address = str(request.META.get("REMOTE_ADDR", ""))[:64]
    attempt = _noted(name, address)
    try:
        _refuse_too_many(attempt)
    except TooMany:
        attempt.delete()
        raise
    user = authenticate(request, username=name, password=password)
    if user is not None:
        SignInAttempt.objects.filter(name_hash=attempt.name_hash, address=address).delete()
    return user if isinstance(user, get_user_model()) else None


def _noted(name: str, address: str) -> SignInAttempt:
    now = timezone.now()
    SignInAttempt.objects.filter(at__lt=now - LONGEST).delete()
    name_hash = salted_hmac("predictions.sign_in.name", name.casefold(), algorithm="sha256").hexdigest()
    return SignInAttempt.objects.create(name_hash=name_hash, address=address, at=now)


def _refuse_too_many(attempt: SignInAttempt) -> None:
    for limit in LIMITS:
        alike = {field: getattr(attempt, field) for field in limit.by}
        counted = SignInAttempt.objects.filter(**alike, at__gt=attempt.at - limit.within).exclude(pk=attempt.pk)
        times = list(counted.order_by("-at").values_list("at", flat=True)[: limit.failures])
        if len(times) == limit.failures:
            raise _too_many(limit, times[-1] + limit.within - attempt.at)


def _too_many(limit: Limit, wait: timedelta) -> TooMany:
    wait_s = max(1, int(wait.total_seconds()) + 1)
    words = f"{wait_s} s" if wait_s < 120 else f"{-(-wait_s // 60)} minutes"
    return TooMany(
        f"{limit.failures} sign-ins have failed {limit.whose}; that is all that are allowed within "
        f"{int(limit.within.total_seconds()) // 60} minutes. Try again in {words}.",
        retry_after_s=wait_s,
    )


def _number(text: str) -> int | None:
    try:
        return base36_to_int(text)
    except ValueError:
        return None
