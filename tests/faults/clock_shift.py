"""Another time for one process, or for many at once: libfaketime, with the steady clock left as it is."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

MISSING = "faketime is missing: run `make test-all` or `make faults`, which install it"
MENDED = Path(__file__).parent / "under_faketime"


def shifted_by(offset_s: int) -> dict[str, str]:
    """What makes a child's clock differ from ours for its whole life."""
    return {**_preload(), "FAKETIME": f"{offset_s:+d}"}


class Clock:
    """One clock for all children that get its `env`; it can be set while they run."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.jump_to(0)

    @property
    def env(self) -> dict[str, str]:
        return {**_preload(), "FAKETIME_TIMESTAMP_FILE": str(self._file), "FAKETIME_NO_CACHE": "1"}

    def jump_to(self, offset_s: int) -> None:
        """Replaced whole, so that nobody reads half of it."""
        fresh = self._file.with_suffix(".new")
        fresh.write_text(f"{offset_s:+d}\n")
        fresh.replace(self._file)


def _preload() -> dict[str, str]:
    """Asked of the program, which knows where its library lies."""
    program = shutil.which("faketime")
    assert program, MISSING
    words = [program, "-m", "-f", "+0", "printenv", "LD_PRELOAD"]
    library = subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()
    return {
        "LD_PRELOAD": library,
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "DONT_FAKE_MONOTONIC": "1",
        "PYTHONPATH": os.pathsep.join([str(MENDED), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep),
    }
