"""The console's addresses, below /console/."""

from __future__ import annotations

from django.urls import path

from workers_admin.views import (
    audit_exports,
    dismissals,
    pages,
    pauses,
    pings,
    plots,
    priorities,
    purges,
    resizing,
    results,
    retries,
    revocations,
    serving,
    shutdowns,
)

urlpatterns = [
    path("", pages.overview, name="console"),
    path("samples/", plots.samples, name="console_samples"),
    path("queues/", pages.queues, name="console_queues"),
    path("queues/pauses/", pauses.pause, name="console_pause"),
    path("queues/resumes/", pauses.resume, name="console_resume"),
    path("queues/purges/<str:queue>/", purges.purge, name="console_purge"),
    path("jobs/priorities/", priorities.change, name="console_change_priority"),
    path("workers/", pages.workers, name="console_workers"),
    path("results/", pages.results, name="console_results"),
    path("audit/", pages.audit, name="console_audit"),
    path("audit/export.csv", audit_exports.export, name="console_audit_export"),
    path("jobs/revocations/", revocations.revoke, name="console_revoke"),
    path("jobs/retries/", retries.retry, name="console_retry"),
    path("workers/shutdowns/", shutdowns.stop, name="console_stop_worker"),
    path("workers/pings/", pings.send, name="console_ping_worker"),
    path("workers/queues/added/", serving.add, name="console_add_queue"),
    path("workers/queues/dropped/", serving.drop, name="console_drop_queue"),
    path("workers/pools/grown/", resizing.grow, name="console_grow_pool"),
    path("workers/pools/shrunk/", resizing.shrink, name="console_shrink_pool"),
    path("workers/dismissals/", dismissals.dismiss, name="console_dismiss_worker"),
    path("workers/autoscalers/dismissals/", dismissals.dismiss_scaler, name="console_dismiss_scaler"),
    path("results/kept/", results.keep, name="console_keep_result"),
    path("results/let-go/", results.let_expire, name="console_let_result_expire"),
    path("results/removals/", results.remove, name="console_remove_result"),
    path("results/<uuid:task_id>/", results.task, name="console_task"),
]
