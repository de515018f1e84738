from __future__ import annotations

from typing import TYPE_CHECKING

from flask import session

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


def is_logged_in(environ: WSGIEnvironment, **params: str) -> bool:
    return "user" in session
