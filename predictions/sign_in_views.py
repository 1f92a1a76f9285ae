"""The doors of signing in and out, and of setting a password."""

from __future__ import annotations

from typing import cast

from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import login, logout, update_session_auth_hash
from django.contrib.auth.decorators import login_required
from django.contrib.auth.forms import PasswordChangeForm, SetPasswordForm
from django.contrib.auth.models import User
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render, resolve_url
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_POST

from predictions import audit, sign_in
from predictions.errors import TooMany

BACKEND = "django.contrib.auth.backends.ModelBackend"
BY_LINK = "signed_in_by_link"
WRONG = "The name and the password do not match, or the account is closed."


class SignInForm(forms.Form):
    username = forms.CharField(max_length=150)
    password = forms.CharField(max_length=4096, strip=False)


@sensitive_post_parameters("password")
@never_cache
def sign_in_with_password(request: HttpRequest) -> HttpResponse:
    form = SignInForm(request.POST or None)
    if not form.is_valid():
        return _ask(request, form, 422 if form.is_bound else 200)
    try:
        user = sign_in.with_password(request, form.cleaned_data["username"], form.cleaned_data["password"])
    except TooMany as refused:
        form.add_error(None, refused.detail)
        answer = _ask(request, form, refused.status)
        answer["Retry-After"] = str(refused.retry_after_s)
        return answer
    if user is None:
        form.add_error(None, WRONG)
        return _ask(request, form, 422)
    login(request, user, backend=BACKEND)
    return redirect(_next(request))


@require_GET
@never_cache
def sign_in_by_link(request: HttpRequest, token: str) -> HttpResponse:
    """Only GET: a HEAD by something that previews links must not spend one."""
    user = sign_in.spend(token)
    if user is None:
        return render(request, "sign_in/spent.html", status=410)
    login(request, user, backend=BACKEND)
    request.session[BY_LINK] = True
    return redirect(_next(request))


@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    logout(request)
    return redirect("sign_in")


@sensitive_post_parameters()
@never_cache
@login_required
def set_password(request: HttpRequest) -> HttpResponse:
    """Who came by a link, or has no password yet, need not know the old one."""
    user = cast(User, request.user)
    asks_old = user.has_usable_password() and not request.session.get(BY_LINK)
    form = (PasswordChangeForm if asks_old else SetPasswordForm)(user, request.POST or None)
    if not form.is_valid():
        return render(request, "sign_in/set_password.html", {"form": form}, status=422 if form.is_bound else 200)
    with transaction.atomic():
        user = form.save()
        audit.write(user, "set password", f"user {user.get_username()}", "set by its owner", audit.address_of(request))
    update_session_auth_hash(request, user)
    request.session.pop(BY_LINK, None)
    messages.success(request, "Your password is set. Every other session of yours has been signed out.")
    return redirect(settings.LOGIN_REDIRECT_URL)


def _ask(request: HttpRequest, form: SignInForm, status: int) -> HttpResponse:
    return render(request, "sign_in/password.html", {"form": form, "next": _wanted(request)}, status=status)


def _wanted(request: HttpRequest) -> str:
    return request.POST.get("next") or request.GET.get("next") or ""


def _next(request: HttpRequest) -> str:
    """Where the visitor was going, if that is a page of this site."""
    wanted = _wanted(request)
    is_ours = url_has_allowed_host_and_scheme(wanted, {request.get_host()}, require_https=request.is_secure())
    return wanted if is_ours else resolve_url(settings.LOGIN_REDIRECT_URL)
