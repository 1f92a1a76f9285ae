"""The browser libraries in the repository are the ones that were verified, and pages stay light."""

from __future__ import annotations

import gzip
import importlib.util
import re
import shutil
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parent.parent
FIRST_LOAD = (
    "static/vendor/tabler.min.css",
    "static/vendor/htmx.min.js",
    "static/vendor/hx-ws.min.js",
    "static/vendor/icons.svg",
)
OURS = ("static/app.css", "static/app.js", "static/theme.js", "static/favicon.svg")


def vendor() -> ModuleType:
    spec = importlib.util.spec_from_file_location("vendor", ROOT / "deploy/vendor.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for room in vendor().ROOMS:
        shutil.copytree(ROOT / room, tmp_path / room)
    return tmp_path


def test_every_vendored_file_matches_the_lock() -> None:
    assert vendor().faults() == []


def test_an_altered_file_is_named(copy: Path) -> None:
    (copy / "static/vendor/htmx.min.js").write_text("alert(1)")
    assert vendor().faults(copy) == ["static/vendor/htmx.min.js differs from its hash in the lock."]


def test_a_file_nobody_pinned_is_named(copy: Path) -> None:
    (copy / "static/vendor/stray.js").write_text("")
    assert vendor().faults(copy) == ["static/vendor/stray.js is here and not in the lock."]


def test_a_missing_licence_is_named(copy: Path) -> None:
    (copy / "static/vendor/LICENSE-tabler.txt").unlink()
    assert vendor().faults(copy) == ["static/vendor/LICENSE-tabler.txt is in the lock and not here."]


def test_no_vendored_file_points_to_a_source_map() -> None:
    files = [file for file in (ROOT / "static").rglob("*") if file.suffix in {".js", ".css"}]
    assert [file.name for file in files if "sourceMappingURL" in file.read_text()] == []


def test_what_every_page_loads_is_below_120_kilobytes_gzipped() -> None:
    """150 KB is the promise for a whole page; the rest is for the page's own markup and script."""
    assert sum(len(gzip.compress((ROOT / path).read_bytes())) for path in (*FIRST_LOAD, *OURS)) < 120_000


def test_every_icon_that_is_used_is_in_the_sprite() -> None:
    sprite = set(re.findall(r'<symbol id="([^"]+)"', (ROOT / "static/vendor/icons.svg").read_text()))
    markup = "".join(file.read_text() for file in (ROOT / "templates").rglob("*.html"))
    used = set(re.findall(r'(?:icons\.svg" %}#|_icon\.html" with name="|icon=")([a-z0-9-]+)"', markup))
    assert used - sprite == set()


def test_no_template_carries_inline_style_or_script() -> None:
    forbidden = re.compile(r"\sstyle=|<style|<script(?![^>]*\ssrc=)|\shx-on|\son[a-z]+=|[\"']js:")
    templates = (ROOT / "templates").rglob("*.html")
    assert [str(file) for file in templates if forbidden.search(file.read_text())] == []
