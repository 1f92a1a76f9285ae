"""Compiles the quick reader of numbers where there is a C compiler; elsewhere pyarrow reads them, to the same bits."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from predictions import quick_rows

OPTIONS = ["-std=c11", "-O3", "-ffp-contract=off", "-fPIC", "-shared"]


def compile_reader() -> None:
    target = quick_rows.path()
    if target.exists():
        return
    compiler = os.environ.get("CC") or shutil.which("cc")
    if compiler is None:
        print("No C compiler (cc) was found: CSV files are read by pyarrow, which takes some five times as long.")
        return
    made = target.with_suffix(f".{os.getpid()}")
    done = subprocess.run([compiler, *OPTIONS, "-o", made, quick_rows.SOURCE], check=False)
    if done.returncode:
        print("The quick reader could not be compiled: CSV files are read by pyarrow.")
        return
    made.replace(target)  # two set-ups at once both find a whole one


if __name__ == "__main__":
    compile_reader()
