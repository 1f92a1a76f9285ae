"""The addresses of signing in and out."""

from django.urls import path
from django.views.generic import RedirectView

from predictions import sign_in_views

urlpatterns = [
    path("sign-in/", sign_in_views.sign_in_with_password, name="sign_in"),
    path("sign-in/<slug:token>/", sign_in_views.sign_in_by_link, name="sign_in_by_link"),
    path("sign-out/", sign_in_views.sign_out, name="sign_out"),
    path("account/password/", sign_in_views.set_password, name="set_password"),
    # They stand before Django's admin, whose own sign-in page knows no limit, and whose page of passwords no audit.
    path("admin/login/", RedirectView.as_view(pattern_name="sign_in", query_string=True)),
    path("admin/password_change/", RedirectView.as_view(pattern_name="set_password")),
]
