from __future__ import annotations

import json
import re
from typing import Any

import pytest
from django.test import Client

from predictions.table_kinds import ANY, TYPES


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return json.loads(Client().get("/api/v1/openapi.json").content)  # type: ignore[no-any-return]


def operations(document: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [(path, operation) for path, methods in document["paths"].items() for operation in methods.values()]


def test_every_call_of_the_contract_is_described(document: dict[str, Any]) -> None:
    described = {f"{method.upper()} {path}" for path, methods in document["paths"].items() for method in methods}
    assert described == {
        "POST /api/v1/predict",
        "POST /api/v1/batch-predict",
        "GET /api/v1/jobs",
        "GET /api/v1/jobs/{job_id}",
        "GET /api/v1/jobs/{job_id}/result",
        "GET /api/v1/jobs/{job_id}/rejected",
        "POST /api/v1/jobs/{job_id}/revoke",
        "POST /api/v1/jobs/{job_id}/retry",
        "POST /api/v1/jobs/{job_id}/rest",
        "GET /api/v1/result/{job_id}",
        "GET /api/v1/models",
        "GET /api/v1/queues",
        "GET /api/v1/workers",
    }


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    named = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(document)))
    assert named and named <= document["components"]["schemas"].keys()


def test_every_refusal_is_described_as_a_problem(document: dict[str, Any]) -> None:
    for path, operation in operations(document):
        refusals = {status: answer for status, answer in operation["responses"].items() if status >= "400"}
        assert {"401", "413", "415", "422", "503"} <= refusals.keys(), path
        assert all(list(refusal["content"]) == ["application/problem+json"] for refusal in refusals.values()), path


def test_a_body_is_described_in_every_type_that_is_taken(document: dict[str, Any]) -> None:
    bodies = {
        path: set(operation["requestBody"]["content"])
        for path, operation in operations(document)
        if "requestBody" in operation
    }
    assert bodies == {
        "/api/v1/predict": {"application/json"},
        "/api/v1/batch-predict": {"application/json", "multipart/form-data", ANY, *TYPES},
    }


def test_both_ways_to_say_who_calls_are_described(document: dict[str, Any]) -> None:
    schemes = document["components"]["securitySchemes"]
    assert (schemes["ApiKey"]["scheme"], schemes["Session"]["in"]) == ("bearer", "cookie")
    assert all(operation["security"] == [{"ApiKey": []}, {"Session": []}] for _, operation in operations(document))


def test_a_prediction_names_its_class_as_the_contract_does(document: dict[str, Any]) -> None:
    assert "class" in document["components"]["schemas"]["Prediction"]["required"]


def test_the_page_takes_everything_from_this_site_and_runs_no_script_of_its_own() -> None:
    page = Client().get("/api/v1/docs").content.decode()
    sources = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert sources and all(source.startswith("/static/") for source in sources)
    scripts = re.findall(r"<script(?![^>]*src=)([^>]*)>", page)
    assert all('type="application/json"' in script for script in scripts) and " style=" not in page
