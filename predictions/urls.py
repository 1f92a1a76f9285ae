"""The addresses of the pages about predictions."""

from __future__ import annotations

from django.urls import path

from predictions.views import job, jobs, results, retries, revocations

urlpatterns = [
    path("jobs/", jobs.jobs, name="jobs"),
    path("jobs/rows/", jobs.rows, name="job_rows"),
    path("jobs/rows/new/", jobs.new_rows, name="new_job_rows"),
    path("jobs/revocations/", revocations.revoke_selected, name="jobs_revoke"),
    path("jobs/retries/", retries.retry_selected, name="jobs_retry"),
    path("jobs/<uuid:job_id>/", job.job, name="job"),
    path("jobs/<uuid:job_id>/live/", job.live, name="job_live"),
    path("jobs/<uuid:job_id>/revoke/", revocations.revoke, name="job_revoke"),
    path("jobs/<uuid:job_id>/retry/", retries.retry, name="job_retry"),
    path("jobs/<uuid:job_id>/rows/", results.rows, name="job_result_rows"),
    path("jobs/<uuid:job_id>/result.csv", results.result, name="job_result"),
    path("jobs/<uuid:job_id>/rejected.csv", results.rejected, name="job_rejected"),
]
