"""The way to a server: what each on it is asked, and where one that redirects sends the client."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ..core.handshake import request_headers
from ..core.headers import get_all
from ..core.policy import Policy
from .urls import Target, build_basic_auth, build_host

__all__ = ["Leg", "first_leg"]


class Leg(NamedTuple):
    """One request of the way: to whom, and what is said there."""

    target: Target
    #: The values of ``Host`` and ``Origin``.
    host: str
    origin: str | None
    #: Further headers.
    headers: Sequence[tuple[str, str]]

    def make_headers(self, key: bytes, policy: Policy) -> list[tuple[str, str]]:
        """
        Make all headers of the request.

        Raises:
            ValueError: One of them cannot be sent.
        """
        return request_headers(self.host, policy, key.decode("latin-1"), self.headers, origin=self.origin)


def first_leg(target: Target, extra: Iterable[tuple[str, str]]) -> Leg:
    """
    Return the request to the server of the URL.

    Args:
        extra: Headers of the user's; ``Host`` and ``Origin`` in them take the place of ours.

    Raises:
        ValueError: One of these two is there twice.
    """
    extra = list(extra)
    hosts = get_all(extra, "Host") or [build_host(target.host, target.port, target.scheme)]
    # As ws4py: a server that lets in pages of its own only lets us in.
    origins = get_all(extra, "Origin")
    if not origins and target.unix_socket_path is None:
        origins = [f"{target.scheme}://{hosts[0]}"]
    if len(hosts) > 1 or len(origins) > 1:
        raise ValueError("headers has Host or Origin twice; each can be sent once")
    headers = [(name, value) for name, value in extra if name.lower() not in ("host", "origin")]
    if target.userinfo is not None and not get_all(extra, "Authorization"):
        headers.append(("Authorization", build_basic_auth(*target.userinfo)))
    return Leg(target, hosts[0], origins[0] if origins else None, headers)
