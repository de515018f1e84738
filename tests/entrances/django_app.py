"""A Django site whose views return upgrades: sessions, middleware, decorators."""

from __future__ import annotations

from typing import Any

import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import path

from tests.entrances import django_settings
from ws4py_middleware import EchoWebSocket, WebSocket, WebSocketMiddleware, upgrade

if not settings.configured:
    # Not by the environment variable: servers that the tests start would inherit it.
    names = (name for name in vars(django_settings) if name.isupper())
    settings.configure(**{name: getattr(django_settings, name) for name in names})
django.setup()


class Who(WebSocket):
    """Tells the client what it knows of it."""

    def opened(self) -> None:
        self.send(f"{dict(self.params)}")


def replace(get_response: Any) -> Any:
    def middleware(request: HttpRequest) -> Any:
        response = get_response(request)
        if request.path == "/replaced":
            return HttpResponse("the middleware says no", status=403)
        return response

    return middleware


def home(request: HttpRequest) -> HttpResponse:
    return HttpResponse("home")


def login(request: HttpRequest) -> HttpResponse:
    request.session["user"] = "ada"
    return HttpResponse("welcome")


def chat(request: HttpRequest, room: str) -> Any:
    if "user" not in request.session:
        return HttpResponseRedirect("/login")
    request.session["visits"] = request.session.get("visits", 0) + 1
    return upgrade(Who, room=room, user=request.session["user"])


def echo(request: HttpRequest) -> Any:
    return upgrade(EchoWebSocket)


urlpatterns = [
    path("", home),
    path("login", login),
    path("chat/<str:room>", chat),
    path("echo", echo),
    path("replaced", echo),
]

bare = get_wsgi_application()
app = WebSocketMiddleware(get_wsgi_application())
