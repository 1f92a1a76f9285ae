"""What docs/autoscaling.md tells people to type must be there."""

from __future__ import annotations

import re
from argparse import ArgumentParser
from pathlib import Path

import pytest
from django.core.management import load_command_class

from tests.processes import ROOT
from workers_admin import metrics, scaler_rows
from workers_admin.api_schemas import QueueOut
from workers_admin.autoscaling import Rules
from workers_admin.models import Total

TEXT = Path(ROOT, "docs", "autoscaling.md").read_text()
pytestmark = pytest.mark.django_db


@pytest.fixture
def told(clean_redis: None) -> set[str]:
    Total.objects.create(queue="realtime")
    row = scaler_rows.register("realtime", Rules(1, 4, 50), is_dry_run=False)
    scaler_rows.report(row, [], 0, "Holds: 0 wait.")
    return set(re.findall(r"^(inference_\w+)", metrics.text().decode(), re.MULTILINE))


def test_the_table_of_metrics_names_all_that_are_told(told: set[str]) -> None:
    listed = set(re.findall(r"^\| `(inference_\w+)`", TEXT, re.MULTILINE))
    assert listed - {"inference_steward_age_seconds"} == told


def test_every_query_asks_for_a_metric_that_is_told(told: set[str]) -> None:
    asked = set(re.findall(r"inference_\w+", "".join(re.findall(r"query: (.*)", TEXT))))
    assert asked and asked <= told


def test_the_value_that_keda_reads_is_a_field_of_the_api() -> None:
    (field,) = re.findall(r"valueLocation: 'items\.#\(name==\"realtime\"\)\.(\w+)'", TEXT)
    assert field in QueueOut.model_fields and "name" in QueueOut.model_fields


def test_the_table_of_options_names_all_of_them_with_their_defaults() -> None:
    parser = ArgumentParser(add_help=False)
    load_command_class("workers_admin", "autoscale").add_arguments(parser)
    defaults = {action.option_strings[0]: action.default for action in parser._actions}
    listed = dict(re.findall(r"^\| `(--[\w-]+)` \| ([\w ]*?) ?\|", TEXT, re.MULTILINE))
    assert set(listed) == set(defaults)
    assert all(float(default) == defaults[option] for option, default in listed.items() if default.isdigit())
