"""Settings come from the environment alone, and a bad value names the variable, the value and the cure."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import ROOT

KNOWN = re.compile(r"^#?([A-Z0-9_]+)=", re.MULTILINE)
READ = re.compile(
    r"""(?:environ\.get|whole_number|one_of|folder|rate|hosts|checked|matching|endpoint|addresses|web_address|webhook_secret|token|on)\(\s*"([A-Z0-9_]+)\""""
)


def loaded(tmp_path: Path, look: str, **given: str) -> subprocess.CompletedProcess[str]:
    code = f"from django.conf import settings; print({look})"
    environment = {
        "PATH": os.environ["PATH"],
        "DATA_DIR": str(tmp_path),
        "DJANGO_SETTINGS_MODULE": "inference_site.settings",
    }
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment | given, capture_output=True, text=True
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "eighty"),
        ("PORT", "70000"),
        ("REALTIME_WORKERS", "-1"),
        ("RESULT_EXPIRES", "1h"),
        ("BATCH_TIME_LIMIT", "1"),
        ("BATCH_SOFT_TIME_LIMIT", "0"),
        ("REDIS_URL", "http://127.0.0.1"),
        ("DATABASE_URL", "mysql://u:p@h/n"),
        ("DATABASE_URL", "postgres://"),
        ("RATE_LIMIT", "many"),
        ("ALLOWED_HOSTS", "http://dashboard.example.com"),
        ("DATA_DIR", "/proc/nowhere"),
        ("FILES_S3_BUCKET", "s3://predictions"),
        ("FILES_S3_PREFIX", "../others"),
        ("FILES_S3_ENDPOINT", "s3.example.com"),
        ("MODEL_DIR", "/proc/nowhere"),
        ("ALERT_EMAILS", "ops@example.com; olga"),
        ("ALERT_WEBHOOK_URL", "hooks.example.com"),
        ("EMAIL_USE_TLS", "1"),
    ],
)
def test_a_bad_value_is_named_with_its_cure(tmp_path: Path, name: str, value: str) -> None:
    done = loaded(tmp_path, "settings.PORT", **{name: value})
    assert done.returncode == 1
    assert f"{name}='{value}' cannot be used: give " in done.stderr


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"SOFT_TIME_LIMIT": "300"},
            "SOFT_TIME_LIMIT=300 cannot be used: it must be below TIME_LIMIT=300; give a smaller",
        ),
        (
            {"SOFT_TIME_LIMIT": "20", "BATCH_TIME_LIMIT": "10"},
            "SOFT_TIME_LIMIT=20 cannot be used: it must be below BATCH",
        ),
        ({"BATCH_SOFT_TIME_LIMIT": "90", "TIME_LIMIT": "60"}, "for example BATCH_SOFT_TIME_LIMIT=54, or a larger TIME"),
        ({"BATCH_SOFT_TIME_LIMIT": "9", "BATCH_TIME_LIMIT": "9"}, "BATCH_SOFT_TIME_LIMIT=9 cannot be used: it must"),
    ],
)
def test_time_limits_that_contradict_each_other_are_named_with_the_cure(
    tmp_path: Path, given: dict[str, str], said: str
) -> None:
    done = loaded(tmp_path, "settings.PORT", **given)
    assert done.returncode == 1 and said in done.stderr


@pytest.mark.parametrize(
    ("given", "limits"),
    [
        ({"TIME_LIMIT": "60"}, "60 60 54"),
        ({"SOFT_TIME_LIMIT": "50", "REALTIME_TIME_LIMIT": "5"}, "5 300 50"),
        ({"SOFT_TIME_LIMIT": "400", "BATCH_TIME_LIMIT": "900"}, "300 900 400"),
        ({"TIME_LIMIT": "60", "BATCH_TIME_LIMIT": "600", "BATCH_SOFT_TIME_LIMIT": "500"}, "60 600 500"),
    ],
)
def test_each_queue_may_have_its_own_time_limits(tmp_path: Path, given: dict[str, str], limits: str) -> None:
    names = ("REALTIME_TIME_LIMIT", "BATCH_TIME_LIMIT", "BATCH_SOFT_TIME_LIMIT")
    look = ", ".join(f"settings.{name}" for name in names)
    assert loaded(tmp_path, look, **given).stdout.strip() == limits


def test_a_bad_value_is_said_by_the_command_line_in_one_line(tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "DATA_DIR": str(tmp_path), "PORT": "eighty"}
    done = subprocess.run(
        [sys.executable, "manage.py", "up"], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1 and done.stderr.startswith("PORT='eighty' cannot be used: give ")


def test_a_place_within_no_bucket_is_named(tmp_path: Path) -> None:
    done = loaded(tmp_path, "settings.PORT", FILES_S3_PREFIX="live")
    assert "FILES_S3_PREFIX='live' cannot be used: FILES_S3_BUCKET names no bucket." in done.stderr


def test_files_lie_in_the_data_folder_or_in_a_bucket(tmp_path: Path) -> None:
    look = "settings.STORAGES['default']['OPTIONS']"
    assert str(tmp_path / "files") in loaded(tmp_path, look).stdout
    given = {"FILES_S3_BUCKET": "predictions", "FILES_S3_PREFIX": "live/", "FILES_S3_ENDPOINT": "http://127.0.0.1:9000"}
    named = {"bucket_name": "predictions", "location": "live", "endpoint_url": "http://127.0.0.1:9000"}
    assert loaded(tmp_path, look, **given).stdout.strip() == str(named)


@pytest.mark.parametrize("secret", ["", "whsec_c2hvcnQ="])
def test_a_webhook_needs_a_secret_of_good_length_which_is_never_told_back(tmp_path: Path, secret: str) -> None:
    given = {"ALERT_WEBHOOK_URL": "https://hooks.example.com/x", "ALERT_WEBHOOK_SECRET": secret}
    done = loaded(tmp_path, "settings.PORT", **given)
    assert "ALERT_WEBHOOK_SECRET cannot be used, and ALERT_WEBHOOK_URL needs it: give " in done.stderr
    assert not secret or f"{secret}'" not in done.stderr


def test_mail_is_sent_as_the_environment_says(tmp_path: Path) -> None:
    look = "settings.ALERT_EMAILS, settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_USE_TLS"
    given = {"ALERT_EMAILS": "a@example.com, b@example.com", "EMAIL_HOST": "mail", "EMAIL_USE_TLS": "on"}
    assert loaded(tmp_path, look, **given).stdout.strip() == "['a@example.com', 'b@example.com'] mail 25 True"
    both = loaded(tmp_path, look, EMAIL_USE_TLS="on", EMAIL_USE_SSL="on")
    assert "EMAIL_USE_TLS='on' cannot be used: EMAIL_USE_SSL is on; give one of them." in both.stderr


def test_https_settings_are_off_on_loopback_and_on_elsewhere(tmp_path: Path) -> None:
    look = "settings.SECURE_SSL_REDIRECT, settings.SESSION_COOKIE_SECURE"
    assert loaded(tmp_path, look).stdout.strip() == "False False"
    assert loaded(tmp_path, look, ALLOWED_HOSTS="dashboard.example.com").stdout.strip() == "True True"


def test_debug_is_off_whatever_is_asked(tmp_path: Path) -> None:
    assert loaded(tmp_path, "settings.DEBUG", DEBUG="1").stdout.strip() == "False"


def test_a_generated_secret_is_kept(tmp_path: Path) -> None:
    first = loaded(tmp_path, "settings.SECRET_KEY").stdout
    assert first == loaded(tmp_path, "settings.SECRET_KEY").stdout
    assert len(first.strip()) >= 50
    assert (tmp_path / "secret_key").stat().st_mode & 0o077 == 0


def test_a_second_terminal_reads_the_redis_that_up_chose(tmp_path: Path) -> None:
    (tmp_path / "redis_url").write_text("redis://127.0.0.1:12345/0\n")
    assert loaded(tmp_path, "settings.REDIS_URL").stdout.strip() == "redis://127.0.0.1:12345/0"


def test_the_example_lists_every_setting_that_is_read(tmp_path: Path) -> None:
    sources = "".join((ROOT / "inference_site" / name).read_text() for name in ("settings.py", "environment.py"))
    read = set(READ.findall(sources)) | {"REDIS_URL", "SECRET_KEY", "DATABASE_URL"}
    assert read - {"TEST_DATABASE_FILE"} == set(KNOWN.findall((ROOT / ".env.example").read_text()))
