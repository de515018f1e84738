"""A Django project whose routes are in its settings; ``plain`` has the same handler without a context."""

from __future__ import annotations

import os
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.entrances.config_django_settings")

from django.http import HttpRequest, HttpResponse
from django.urls import path

from ws4py_middleware import WebSocketMiddleware
from ws4py_middleware.config.django import get_wsgi_application

app = get_wsgi_application()


def prepare() -> None:
    """Fill the database, once for all servers; run as a program of its own."""
    from django.contrib.auth.models import User
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    User.objects.create_user("ada", password="lovelace")


def make_plain() -> WebSocketMiddleware:
    from tests.entrances.config_django_handlers import Count

    return WebSocketMiddleware(app, {"/plain": Count})


def home(request: HttpRequest) -> HttpResponse:
    return HttpResponse("home")


def login(request: HttpRequest) -> HttpResponse:
    from django.contrib.auth import authenticate, login

    user: Any = authenticate(request, username="ada", password=request.GET["password"])
    login(request, user)
    return HttpResponse("welcome")


def change(request: HttpRequest) -> HttpResponse:
    """Change the password, which ends the other sessions."""
    from django.contrib.auth.models import User

    user = User.objects.get(username="ada")
    user.set_password(request.GET["password"])
    user.save()
    return HttpResponse("changed")


urlpatterns = [path("", home), path("login", login), path("change", change)]

plain = make_plain()

if __name__ == "__main__":
    prepare()
