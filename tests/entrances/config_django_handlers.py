"""Handlers that use Django's models, and so can only be imported once Django is set up."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from django.db import transaction

from ws4py_middleware import WebSocket
from ws4py_middleware.config.django import user_of
from ws4py_middleware.messaging import Message


class Count(WebSocket):
    def opened(self) -> None:
        self.send(f"{User.objects.count()} users")

    def received_message(self, message: Message) -> None:
        self.send(f"{message} {User.objects.count()}")


class Who(WebSocket):
    def opened(self) -> None:
        self.send(f"{user_of(self.environ).username}")


def count(ws: Any) -> None:
    ws.send(f"{User.objects.count()} users")
    for message in ws:
        ws.send(f"{message} {User.objects.count()}")


def count_in_a_transaction(ws: Any) -> None:
    with transaction.atomic():
        User.objects.create(username="nobody")
        for message in ws:
            ws.send(f"{message} {User.objects.count()}")
        transaction.set_rollback(True)


def is_somebody(environ: dict[str, Any], **params: Any) -> Any:
    return user_of(environ).is_authenticated or (401, "who are you?")
