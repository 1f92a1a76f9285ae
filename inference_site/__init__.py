"""Composition: settings, URLs, the processes. No app imports it."""

from inference_site.celery import app as celery_app

__all__ = ["celery_app"]
