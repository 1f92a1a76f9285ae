"""The console's addresses, below /console/."""

from __future__ import annotations

from django.urls import path

from workers_admin.views import dismissals, pages, results, retries, revocations, shutdowns

urlpatterns = [
    path("", pages.overview, name="console"),
    path("queues/", pages.queues, name="console_queues"),
    path("workers/", pages.workers, name="console_workers"),
    path("results/", pages.results, name="console_results"),
    path("audit/", pages.audit, name="console_audit"),
    path("jobs/revocations/", revocations.revoke, name="console_revoke"),
    path("jobs/retries/", retries.retry, name="console_retry"),
    path("workers/shutdowns/", shutdowns.stop, name="console_stop_worker"),
    path("workers/dismissals/", dismissals.dismiss, name="console_dismiss_worker"),
    path("results/kept/", results.keep, name="console_keep_result"),
    path("results/let-go/", results.let_expire, name="console_let_result_expire"),
    path("results/removals/", results.remove, name="console_remove_result"),
]
