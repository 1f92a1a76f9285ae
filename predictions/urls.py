"""The addresses of the pages about predictions."""

from __future__ import annotations

from django.urls import path

from predictions.views import (
    api_guide,
    bulk_revocations,
    drafts,
    job,
    jobs,
    keys,
    mappings,
    models,
    results,
    retries,
    revocations,
    submit,
)

urlpatterns = [
    path("", submit.submit, name="submit"),
    path("submit/vector/", submit.submit_vector, name="submit_vector"),
    path("submit/json/", submit.submit_json, name="submit_json"),
    path("submit/sent/<uuid:job_id>/", submit.sent, name="sent"),
    path("submit/standing/", submit.standing, name="standing"),
    path("drafts/", drafts.receive, name="drafts"),
    path("drafts/<uuid:draft_id>/columns/", mappings.choose_columns, name="draft_columns"),
    path("drafts/<uuid:draft_id>/submit/", drafts.submit_draft, name="draft_submit"),
    path("drafts/<uuid:draft_id>/remove/", drafts.remove_draft, name="draft_remove"),
    path("models/", models.models, name="models"),
    path("api/", api_guide.api_guide, name="api_guide"),
    path("keys/", keys.keys, name="keys"),
    path("keys/<int:key_id>/revoke/", keys.revoke, name="key_revoke"),
    path("jobs/", jobs.jobs, name="jobs"),
    path("jobs/rows/", jobs.rows, name="job_rows"),
    path("jobs/rows/new/", jobs.new_rows, name="new_job_rows"),
    path("jobs/revocations/", bulk_revocations.revoke_selected, name="jobs_revoke"),
    path("jobs/revocations/matching/", bulk_revocations.revoke_matching, name="jobs_revoke_matching"),
    path("jobs/retries/", retries.retry_selected, name="jobs_retry"),
    path("jobs/<uuid:job_id>/", job.job, name="job"),
    path("jobs/<uuid:job_id>/live/", job.live, name="job_live"),
    path("jobs/<uuid:job_id>/revoke/", revocations.revoke, name="job_revoke"),
    path("jobs/<uuid:job_id>/retry/", retries.retry, name="job_retry"),
    path("jobs/<uuid:job_id>/rest/", retries.run_rest, name="job_rest"),
    path("jobs/<uuid:job_id>/rows/", results.rows, name="job_result_rows"),
    path("jobs/<uuid:job_id>/result.csv", results.result, name="job_result"),
    path("jobs/<uuid:job_id>/result.parquet", results.parquet, name="job_parquet"),
    path("jobs/<uuid:job_id>/parquet/", results.make_parquet, name="job_export"),
    path("jobs/<uuid:job_id>/rejected.csv", results.rejected, name="job_rejected"),
]
