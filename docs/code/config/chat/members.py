from __future__ import annotations

from typing import TYPE_CHECKING

from ws4py_middleware.config.django import user_of

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


def is_member(environ: WSGIEnvironment, **params: str) -> bool:
    return bool(user_of(environ).is_authenticated)
