"""The pages of the Django projects whose routes are in their settings; as a program it makes the database."""

from __future__ import annotations

import os
from typing import Any

import django
from django.http import HttpRequest, HttpResponse
from django.urls import path


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


def prepare() -> None:
    """Fill the database, once for all servers; run as a program of its own."""
    from django.contrib.auth.models import User
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    User.objects.create_user("ada", password="lovelace")


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.entrances.config_django_settings")
    django.setup()
    prepare()
