"""Workers and stored results in Django's admin: to be read there, and acted upon in the console."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.contrib import admin

from predictions.read_only_admin import ReadOnlyAdmin
from predictions.workers import Worker

TaskResult: Any = apps.get_model("django_celery_results", "TaskResult")
GroupResult: Any = apps.get_model("django_celery_results", "GroupResult")

admin.site.site_title = admin.site.site_header = "Inference"
admin.site.index_title = "People and records"

# The package registers its own admin, in which results can be changed and deleted.
admin.site.unregister([TaskResult, GroupResult])


@admin.register(Worker)
class WorkerAdmin(ReadOnlyAdmin):
    list_display = (
        "name",
        "pid",
        "host",
        "pool",
        "state",
        "model",
        "model_state",
        "processed",
        "failed",
        "started",
        "ended",
    )
    list_filter = ("pool", "state", "ended")
    search_fields = ("name", "host")
    ordering = ("name", "pid")


@admin.register(TaskResult)
class TaskResultAdmin(ReadOnlyAdmin):
    """One row for each job that ended; without counting them all, for there are many."""

    list_display = ("task_id", "task_name", "status", "worker", "date_done")
    list_filter = ("status",)
    search_fields = ("=task_id",)
    search_help_text = "A whole job id"
    ordering = ("-id",)
    fields = (
        "task_id",
        "task_name",
        "status",
        "worker",
        "date_created",
        "date_started",
        "date_done",
        "result",
        "traceback",
    )

    def get_queryset(self, request: Any) -> Any:
        return super().get_queryset(request).defer("result", "traceback", "meta")
