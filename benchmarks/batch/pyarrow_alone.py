"""The product's Celery app with the compiled reader of numbers away: what it is where there is no C compiler."""

from __future__ import annotations

from inference_site.celery import app
from predictions import quick_rows

__all__ = ["app"]

quick_rows.read_rows = lambda *_: None
