"""How the Submit page's POSTs are answered: fragments for htmx, whole pages and redirects for a browser without scripts."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.template import loader

from predictions import samples
from predictions.composing import Filled, compose_context, filled_from
from predictions.errors import NotSignedIn, Refused
from predictions.models import Job, Upload
from predictions.submit_page import recent_context, sent_context

SIGNED_OUT = "You have been signed out. What you wrote is still here: copy it, then reload the page to sign in again."
View = Callable[..., HttpResponseBase]


def signed_in(view: View) -> View:
    """As login_required, but a script gets the sentence and not the page to sign in, so that no input is lost."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        return view(request, *args, **kwargs) if request.user.is_authenticated else signed_out(request)

    return guarded


def signed_out(request: HttpRequest) -> HttpResponse:
    if is_script(request):
        return problem(request, NotSignedIn(SIGNED_OUT))
    return redirect_to_login(request.get_full_path())


def posted(view: View) -> View:
    """POST only; whoever reloads the address gets the page."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        return view(request, *args, **kwargs) if request.method == "POST" else redirect("submit")

    return guarded


def is_script(request: HttpRequest) -> bool:
    return "HX-Request" in request.headers


def accepted(request: HttpRequest, job: Job, tab: str) -> HttpResponse:
    """The job's card and the list with it, or the job's page."""
    if not is_script(request):
        return redirect(job)
    shown = {"tab": tab, "samples": samples.of_job(samples.site_of(request), job)}
    return render(
        request,
        "predictions/_accepted.html",
        {**shown, **sent_context(job, request.user), **recent_context(request.user)},
    )


def refused(request: HttpRequest, refusal: Refused, tab: str, draft: Upload | None = None) -> HttpResponse:
    """The sentence beside the field; without scripts the whole page again with all that was typed."""
    if is_script(request):
        return problem(request, refusal)
    card, _, _ = filled_from(request.POST, request.user)
    texts = {name: request.POST[name] for name in ("vector", "json") if name in request.POST}
    filled = Filled(tab, texts=texts, problem=refusal)
    return _as_refusal(page(request, compose_context(card, request.user, filled, draft)), refusal)


def page(request: HttpRequest, compose: dict[str, Any]) -> HttpResponse:
    return render(request, "predictions/submit.html", {**compose, **recent_context(request.user)})


def problem(request: HttpRequest, refusal: Refused) -> HttpResponse:
    return _as_refusal(render(request, "_problem.html", {"problem": refusal}), refusal)


def told(request: HttpRequest, refusal: Refused) -> HttpResponse:
    """A refusal that asks the database for nothing: a fragment, or a page of its own."""
    if is_script(request):
        return problem(request, refusal)
    page = loader.render_to_string(f"{refusal.status}.html", {"problem": refusal})
    return _as_refusal(HttpResponse(page), refusal)


def _as_refusal(response: HttpResponse, refusal: Refused) -> HttpResponse:
    response.status_code = refusal.status
    if refusal.retry_after_s is not None:
        response.headers["Retry-After"] = str(refusal.retry_after_s)
    return response
