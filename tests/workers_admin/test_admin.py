from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from predictions import audit, keys, outcomes
from predictions.model_cards import ModelCard
from tests.predictions.jobs import SUCCESS, claimed, submit_digit
from tests.workers_admin.facts import process

pytestmark = pytest.mark.django_db
READABLE = (
    "predictions/job",
    "predictions/audit",
    "predictions/apikey",
    "predictions/worker",
    "django_celery_results/taskresult",
)


@pytest.fixture
def admin_pages(client: Client, staff: Any, digits: ModelCard) -> Client:
    claim = claimed(submit_digit(staff, digits))
    outcomes.finish(claim.job.pk, claim.attempt, SUCCESS)
    audit.write(staff, "revoke", "job 1", "revoked")
    keys.create(staff, "laptop")
    process()
    client.force_login(staff)
    return client


@pytest.mark.parametrize("model", READABLE)
def test_records_can_be_read(admin_pages: Client, model: str) -> None:
    page = admin_pages.get(f"/admin/{model}/")
    first = page.context["cl"].result_list[0]
    assert page.status_code == 200 and admin_pages.get(f"/admin/{model}/{first.pk}/change/").status_code == 200


@pytest.mark.parametrize("model", READABLE)
def test_records_cannot_be_added_changed_or_deleted_even_by_a_superuser(admin_pages: Client, model: str) -> None:
    first = admin_pages.get(f"/admin/{model}/").context["cl"].result_list[0]
    answers = [admin_pages.get(f"/admin/{model}/add/"), admin_pages.post(f"/admin/{model}/{first.pk}/change/", {})]
    answers += [admin_pages.post(f"/admin/{model}/{first.pk}/delete/", {"post": "yes"})]
    assert [answer.status_code for answer in answers] == [403, 403, 403]


def test_the_hash_of_a_key_is_shown_nowhere(admin_pages: Client) -> None:
    key = keys.ApiKey.objects.get()
    assert key.key_hash not in admin_pages.get(f"/admin/predictions/apikey/{key.pk}/change/").content.decode()


def test_people_and_groups_can_be_managed(admin_pages: Client) -> None:
    assert (
        admin_pages.get("/admin/auth/user/add/").status_code == 200
        and admin_pages.get("/admin/auth/group/add/").status_code == 200
    )


def test_the_admin_leads_to_the_console_and_back(admin_pages: Client) -> None:
    assert '<a href="/console/">Console</a>' in admin_pages.get("/admin/").content.decode()


def test_who_is_not_signed_in_meets_our_own_page(client: Client) -> None:
    answer = client.get("/admin/", follow=True)
    assert answer.redirect_chain[-1][0].startswith("/sign-in/?next=")
