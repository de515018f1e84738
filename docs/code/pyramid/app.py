from __future__ import annotations

from typing import Any

from pyramid.authentication import SessionAuthenticationHelper
from pyramid.authorization import ACLHelper, Allow, Authenticated, Everyone
from pyramid.config import Configurator
from pyramid.request import Request
from pyramid.response import Response
from pyramid.security import remember
from pyramid.session import SignedCookieSessionFactory

from ws4py_middleware import WebSocket, WebSocketMiddleware, upgrade
from ws4py_middleware.hub import get_hub
from ws4py_middleware.messaging import Message


class Chat(WebSocket):
    def opened(self) -> None:
        self.room, self.name = self.params["room"], self.params["name"]
        self.join(self.room)
        self.send(f"Welcome, {self.name}!")

    def received_message(self, message: Message) -> None:
        self.hub.publish(self.room, f"{self.name}: {message}")


# [upgrade]
def chat(request: Request) -> Response:
    room, name = request.matchdict["room"], request.authenticated_userid
    return request.get_response(upgrade(Chat, room=room, name=name))


# [/upgrade]


# [publish]
def announce(request: Request) -> dict[str, int]:
    return {"told": get_hub().publish(request.matchdict["room"], request.POST["text"])}


# [/publish]


def login(request: Request) -> Response:
    response = Response("welcome")
    response.headerlist.extend(remember(request, request.POST["name"]))
    return response


class Everywhere:
    """The context of all views; the permissions that your resources have stay where they are."""

    __acl__ = ((Allow, Authenticated, "talk"),)

    def __init__(self, request: Request) -> None:
        pass


class Security:
    """Stands for the security policy that you have."""

    helper = SessionAuthenticationHelper()

    def authenticated_userid(self, request: Request) -> str | None:
        userid: str | None = self.helper.authenticated_userid(request)
        return userid

    def permits(self, request: Request, context: Any, permission: str) -> Any:
        principals = [Everyone, Authenticated] if self.authenticated_userid(request) else [Everyone]
        return ACLHelper().permits(context, principals, permission)

    def remember(self, request: Request, userid: str, **options: Any) -> Any:
        return self.helper.remember(request, userid, **options)


# [make]
def make_app() -> Any:
    with Configurator(root_factory=Everywhere) as config:
        config.set_session_factory(SignedCookieSessionFactory("for your own machine only"))
        config.set_security_policy(Security())
        config.add_route("login", "/login", request_method="POST")
        config.add_view(login, route_name="login")
        config.add_route("chat", "/chat/{room}")
        config.add_view(chat, route_name="chat", permission="talk")
        config.add_route("announce", "/rooms/{room}", request_method="POST")
        config.add_view(announce, route_name="announce", permission="talk", renderer="json")
        return WebSocketMiddleware(config.make_wsgi_app(), idle_timeout=3600)


# [/make]

app = make_app()
