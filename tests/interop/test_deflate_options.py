"""What can be agreed on in permessage-deflate, RFC 7692 section 7.1: windows, and whether they are kept."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any

import pytest
import websockets.sync.client
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

from tests.interop.cases import Pair, try_sequence
from tests.interop.foreign.node import NODE
from tests.interop.foreign.python_clients import WebsocketsSync
from tests.interop.foreign.talker import Options, Talker
from tests.interop.own_clients import connect
from tests.interop.servers import THEIRS, Serving
from ws4py_middleware.core.policy import DeflateOptions
from ws4py_middleware.exc import HandshakeError

pytestmark = pytest.mark.interop

OFFERS: Mapping[str, dict[str, Any]] = {
    "largest windows": {"server_max_window_bits": 15, "client_max_window_bits": 15},
    "smallest windows": {"server_max_window_bits": 9, "client_max_window_bits": 9},
    "nothing is kept": {"server_no_context_takeover": True, "client_no_context_takeover": True},
    "the server keeps nothing": {"server_no_context_takeover": True},
    "the client keeps nothing": {"client_no_context_takeover": True, "server_max_window_bits": 10},
}


@pytest.mark.parametrize(
    ("server", "offer"),
    [
        (server, offer)
        for server in THEIRS
        for offer, parameters in OFFERS.items()
        if server != "tornado" or "server_no_context_takeover" not in parameters
    ],
)
def test_our_offer(serving: Serving, server: str, offer: str) -> None:
    url = serving.get_their_url(server, "deflate")
    settings = DeflateOptions(**OFFERS[offer])
    with connect("base", url, Options(compression=settings)) as talker:
        assert talker.is_compressed
    try_sequence(Pair(lambda: connect("base", url, Options(compression=settings))))


def test_tornado_does_not_see_parameters_without_a_value(serving: Serving) -> None:
    """It agrees to what it was not asked for, which a client must not take, RFC 7692 section 5.1."""
    settings = DeflateOptions(server_no_context_takeover=True)
    with pytest.raises(HandshakeError, match="server_no_context_takeover is missing"):
        with connect("base", serving.get_their_url("tornado", "deflate"), Options(compression=settings)):
            pass


@contextlib.contextmanager
def connect_websockets(url: str, offer: Mapping[str, Any]) -> Iterator[Talker]:
    extensions = [ClientPerMessageDeflateFactory(**offer)]
    connection = websockets.sync.client.connect(url, extensions=extensions, compression=None, proxy=None)
    with connection:
        yield WebsocketsSync(connection)


def connect_ws(url: str, offer: Mapping[str, Any]) -> AbstractContextManager[Talker]:
    settings: dict[str, Any] = {"threshold": 0}
    for name, value in offer.items():
        first, *others = name.split("_")
        settings[first + "".join(word.capitalize() for word in others)] = value
    return NODE.connect("ws", url, Options(compression=settings))


@pytest.mark.parametrize("connect_foreign", [connect_websockets, connect_ws])
@pytest.mark.parametrize("offer", OFFERS)
@pytest.mark.parametrize("server", ["gunicorn-gthread", "gunicorn-gevent"])
def test_their_offer(serving: Serving, connect_foreign: Any, offer: str, server: str) -> None:
    url = serving.get_our_url(server, "deflate")
    with connect_foreign(url, OFFERS[offer]) as talker:
        assert talker.is_compressed
    try_sequence(Pair(lambda: connect_foreign(url, OFFERS[offer])))
