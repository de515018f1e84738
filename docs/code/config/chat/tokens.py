from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

TOKENS = {"of-a-friend"}  # your table


def has_token(environ: WSGIEnvironment, **params: str) -> bool:
    return environ.get("HTTP_AUTHORIZATION", "").removeprefix("Bearer ") in TOKENS
