"""Reads the environment; a bad value stops the start with the variable's name, the value and the cure."""

from __future__ import annotations

import base64
import os
import re
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

T = TypeVar("T")
LOOPBACK_HOSTS = {"localhost", "127.0.0.1", "[::1]", "::1"}
POSTGRESQL = {
    # Each thread that asks keeps its connection: eight of the web's, the writer's, the publisher's and the live pages'.
    "pool": {"min_size": 1, "max_size": 20, "timeout": 10},
    # A client that froze or vanished must not keep its locks until TCP gives up, two hours later.
    "options": "-c idle_in_transaction_session_timeout=20000",
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}
BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
PREFIX = re.compile(r"(?!.*\.\.)[A-Za-z0-9_-][A-Za-z0-9._/-]*")
ADDRESS = re.compile(r"[^@\s,;<>]+@[^@\s,;<>]+")
TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]{16,200}")
HOST = re.compile(r"\*|\.?[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*|\[?[0-9A-Fa-f:]+\]?")


def checked(name: str, default: str, read: Callable[[str], T], cure: str) -> T:
    """The variable `name`, read by `read`; a ValueError or OSError becomes a sentence that names it and says the cure."""
    given = os.environ.get(name) or default
    try:
        return read(given)
    except (ValueError, OSError) as error:
        raise ImproperlyConfigured(f"{name}={given!r} cannot be used: {cure}.") from error


def whole_number(name: str, default: int, low: int, high: int) -> int:
    def read(given: str) -> int:
        number = int(given.replace("_", ""))
        if not low <= number <= high:
            raise ValueError
        return number

    return checked(
        name, str(default), read, f"give a whole number from {low:,} to {high:,}, for example {name}={default}"
    )


def one_of(name: str, *words: str) -> str:
    """One of `words`; the first where nothing is given."""

    def read(given: str) -> str:
        if given not in words:
            raise ValueError
        return given

    return checked(name, words[0], read, f"give {' or '.join(words)}")


def demand_below(low_names: tuple[str, ...], low: int, high_names: tuple[str, ...], high: int) -> None:
    """Refuse a soft limit that is not below its hard one. names: the variables that may have said it, the first first."""
    if low < high:
        return
    soft, hard = _sayer(low_names), _sayer(high_names)
    raise ImproperlyConfigured(
        f"{soft}={low} cannot be used: it must be below {hard}={high}; "
        f"give a smaller {soft}, for example {soft}={high * 9 // 10}, or a larger {hard}."
    )


def _sayer(names: tuple[str, ...]) -> str:
    """The first of `names` that is set; the last where none is."""
    return next((name for name in names if os.environ.get(name)), names[-1])


def folder(name: str, default: Path) -> Path:
    """The folder, made where it is missing."""

    def read(given: str) -> Path:
        path = Path(given).resolve()
        path.mkdir(parents=True, exist_ok=True)
        return path

    return checked(name, str(default), read, "give a folder that exists or can be made")


def rate(name: str) -> tuple[int, int] | None:
    """`N/s`, `N/m` or `N/h` as (N, seconds); None when unset or "off"."""

    def read(given: str) -> tuple[int, int] | None:
        if given == "off":
            return None
        count, _, unit = given.partition("/")
        if int(count) < 1 or unit not in {"s", "m", "h"}:
            raise ValueError
        return int(count), {"s": 1, "m": 60, "h": 3600}[unit]

    return checked(
        name,
        "off",
        read,
        f"give a number of requests a second, minute or hour, for example {name}=600/m, or {name}=off",
    )


def hosts(name: str) -> list[str]:
    def read(given: str) -> list[str]:
        names = [host.strip() for host in given.split(",") if host.strip()]
        if not all(map(HOST.fullmatch, names)):
            raise ValueError
        return names or sorted(LOOPBACK_HOSTS)

    return checked(name, "", read, f"give names alone, with commas between, for example {name}=dashboard.example.com")


def redis_url(data_dir: Path) -> str:
    """REDIS_URL, or the address that `manage.py up` left in the data folder, or Redis's usual port."""

    def read(given: str) -> str:
        parts = urlsplit(given)
        if parts.scheme not in {"redis", "rediss", "unix"}:
            raise ValueError
        _ = parts.port
        return given

    remembered = data_dir / "redis_url"
    default = remembered.read_text().strip() if remembered.exists() else "redis://127.0.0.1:6379/0"
    return checked("REDIS_URL", default, read, "give an address such as redis://127.0.0.1:6379/0")


def database(data_dir: Path) -> dict[str, Any]:
    """DATABASE_URL as Django's settings; SQLite in the data folder by default, tuned as facts 20 and 60 say."""

    def read(given: str) -> dict[str, Any]:
        settings = environ.Env.db_url_config(given)
        if settings.get("ENGINE") not in {"django.db.backends.sqlite3", "django.db.backends.postgresql"}:
            raise ValueError
        if not settings.get("NAME"):
            raise ValueError
        return dict(settings)

    default = f"sqlite:///{data_dir / 'dashboard.sqlite3'}"
    cure = "give sqlite:////path/to/file.sqlite3 or postgres://user:password@host:5432/name"
    settings = checked("DATABASE_URL", default, read, cure)
    if settings["ENGINE"].endswith("sqlite3"):
        settings["ENGINE"] = "inference_site.sqlite_in_turn"
        settings["OPTIONS"] = {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-16000;",
        }
        settings["TEST"] = {"NAME": os.environ.get("TEST_DATABASE_FILE") or None}
    else:
        settings["OPTIONS"] = POSTGRESQL | settings.get("OPTIONS", {})
    return settings


def storage(data_dir: Path) -> dict[str, Any]:
    """Where job files are kept, as Django's settings: an S3 bucket where FILES_S3_BUCKET names one, else the data folder."""
    bucket = matching("FILES_S3_BUCKET", BUCKET, "give the name of a bucket, for example FILES_S3_BUCKET=predictions")
    prefix = matching("FILES_S3_PREFIX", PREFIX, "give a path within the bucket, for example FILES_S3_PREFIX=live")
    address = endpoint("FILES_S3_ENDPOINT")
    if bucket:
        options = {"bucket_name": bucket, "location": prefix.strip("/"), "endpoint_url": address or None}
        return {"BACKEND": "predictions.s3_files.S3Files", "OPTIONS": options}
    for name in ("FILES_S3_PREFIX", "FILES_S3_ENDPOINT"):
        if os.environ.get(name):
            raise ImproperlyConfigured(f"{name}={os.environ[name]!r} cannot be used: FILES_S3_BUCKET names no bucket.")
    return {"BACKEND": "predictions.local_files.LocalFiles", "OPTIONS": {"location": data_dir / "files"}}


def matching(name: str, pattern: re.Pattern[str], cure: str) -> str:
    """Nothing, or what matches."""

    def read(given: str) -> str:
        if given and not pattern.fullmatch(given):
            raise ValueError
        return given

    return checked(name, "", read, cure)


def endpoint(name: str) -> str:
    def read(given: str) -> str:
        parts = urlsplit(given)
        if given and (parts.scheme not in {"http", "https"} or not parts.hostname or parts.path.strip("/")):
            raise ValueError
        _ = parts.port
        return given

    return checked(name, "", read, f"give an address such as {name}=https://s3.example.com")


def addresses(name: str) -> list[str]:
    """Of e-mail, separated by commas."""

    def read(given: str) -> list[str]:
        found = [address.strip() for address in given.split(",") if address.strip()]
        for address in found:
            if not ADDRESS.fullmatch(address):
                raise ValueError
        return found

    return checked(name, "", read, f"give addresses with commas between, for example {name}=ops@example.com")


def web_address(name: str) -> str:
    """Nothing, or an address of http or https, with a path where it has one."""

    def read(given: str) -> str:
        parts = urlsplit(given)
        if given and (parts.scheme not in {"http", "https"} or not parts.hostname or parts.username):
            raise ValueError
        _ = parts.port
        return given

    return checked(name, "", read, f"give an address such as {name}=https://hooks.example.com/dashboard")


def webhook_secret(name: str, address_name: str) -> bytes:
    """The key of signatures: 24 to 64 bytes, written as Standard Webhooks are; b"" where there is no webhook. Never told back."""
    given = os.environ.get(name) or ""
    try:
        key = base64.b64decode(given.removeprefix("whsec_"), validate=True)
    except ValueError:
        key = b""
    if (given or os.environ.get(address_name)) and not 24 <= len(key) <= 64:
        cure = 'give "whsec_" and 24 to 64 random bytes in base64, for example whsec_$(openssl rand -base64 32)'
        raise ImproperlyConfigured(f"{name} cannot be used, and {address_name} needs it: {cure}.")
    return key


def token(name: str) -> str:
    """What a caller must send; "" where none is asked for. Never told back."""
    given = os.environ.get(name) or ""
    if given and not TOKEN.fullmatch(given):
        raise ImproperlyConfigured(
            f"{name} cannot be used: give 16 to 200 letters, digits and -._~+/=, or leave it unset."
        )
    return given


def on(name: str) -> bool:
    return one_of(name, "off", "on") == "on"


def demand_not_both(one: str, other: str) -> None:
    if on(one) and on(other):
        raise ImproperlyConfigured(f"{one}='on' cannot be used: {other} is on; give one of them.")


def secret_key(data_dir: Path) -> str:
    """SECRET_KEY, or one generated once and kept in the data folder."""
    if given := os.environ.get("SECRET_KEY"):
        return given
    kept = data_dir / "secret_key"
    if not kept.exists():
        data_dir.mkdir(parents=True, exist_ok=True)
        fresh = data_dir / f"secret_key.{os.getpid()}"
        fresh.touch(mode=0o600)
        fresh.write_text(secrets.token_urlsafe(64))
        with suppress(FileExistsError):
            os.link(fresh, kept)
        fresh.unlink()
    return kept.read_text().strip()
