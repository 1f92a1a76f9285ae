"""What can be wrong with a watched worker: a digit that kills it, a pass that lets no other thread run, a database out of reach."""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import numpy as np
from django.db import OperationalError
from django.db.backends.signals import connection_created

Forward = Callable[..., Any]


def poisoned(forward: Forward, digit: int) -> Forward:
    """The process dies of the row, alone or among others."""
    from tests.faults import answers

    row = np.asarray(answers.rows()[digit], dtype=np.float32)

    @wraps(forward)
    def watched(model: Any, x: Any) -> Any:
        if (np.asarray(x) == row).all(axis=1).any():
            os.kill(os.getpid(), signal.SIGKILL)
        return forward(model, x)

    return watched


def holding_the_gil(forward: Forward, hold_s: int) -> Forward:
    """PyDLL, unlike CDLL, does not let go of the interpreter while C runs."""

    @wraps(forward)
    def watched(*given: Any) -> Any:
        ctypes.PyDLL(None).sleep(hold_s)
        return forward(*given)

    return watched


def cut_off_from_the_database(while_it_exists: Path) -> None:
    """For SQLite, which has no line that could be cut: every statement fails."""

    def refuse(execute: Callable[..., Any], *given: Any) -> Any:
        if while_it_exists.exists():
            raise OperationalError("the database cannot be reached")
        return execute(*given)

    def on_new(connection: Any, **_: Any) -> None:
        connection.execute_wrappers.append(refuse)

    connection_created.connect(on_new, weak=False)
