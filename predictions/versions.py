"""Which releases a worker runs: of Python, Celery, Torch and the product."""

from __future__ import annotations

import platform
import tomllib
from functools import cache
from importlib import metadata
from pathlib import Path

from django.conf import settings

PROJECT = "pyproject.toml"


@cache
def versions() -> dict[str, str]:
    """Torch's is read from its package: whoever asks here need not import it. What is not installed is left out."""
    found = {"python": platform.python_version(), "celery": _of("celery"), "torch": _of("torch"), "product": _product()}
    return {name: version for name, version in found.items() if version}


def _of(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def _product() -> str:
    """The product runs from its source tree: no package of it is installed."""
    project = Path(settings.BASE_DIR, PROJECT)
    return str(tomllib.loads(project.read_text())["project"]["version"]) if project.exists() else ""
