"""Pages: a room, and the form for new people. Logging in and out are Django's own."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import login
from django.contrib.auth.decorators import login_required
from django.contrib.auth.forms import UserCreationForm
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

ROOMS = ("lobby", "kitchen", "garden")


def index(request: HttpRequest) -> HttpResponse:
    return redirect("room", ROOMS[0])


@login_required
def room(request: HttpRequest, room: str) -> HttpResponse:
    """Show a room; its script opens a WebSocket to the same address."""
    return render(request, "chat/room.html", {"room": room, "rooms": ROOMS})


def join(request: HttpRequest) -> HttpResponse:
    """Make an account, and log in with it."""
    form: UserCreationForm[Any] = UserCreationForm(request.POST or None)
    if form.is_valid():
        login(request, form.save())
        return redirect("index")
    return render(request, "registration/login.html", {"form": form, "joining": True})
