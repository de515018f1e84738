"""HTTP/2, which nginx and HAProxy speak with browsers: only one of them has WebSockets there."""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import h2.connection
import h2.events
import pytest

from tests.core.wire import CLOSE, KEY, TEXT, build_close, build_frame, read_frames
from tests.matrix.http2 import Http2Socket
from tests.proxies.conftest import Backend
from tests.proxies.programs import PROGRAMS, Proxy, start_proxy
from tests.servers import Server, certificates, free_port

pytestmark = pytest.mark.proxies


class Offer(NamedTuple):
    """What a proxy does for who speaks both versions, as browsers do."""

    version: str | None
    #: It takes WebSockets in HTTP/2, RFC 8441.
    websockets: bool


def negotiate(proxy: Proxy) -> Offer:
    context = ssl.create_default_context(cafile=str(certificates()[2]))
    context.set_alpn_protocols(["h2", "http/1.1"])
    with proxy.connect() as raw, context.wrap_socket(raw, server_hostname="example.com") as sock:
        version = sock.selected_alpn_protocol()
        if version != "h2":
            return Offer(version, websockets=False)
        connection = h2.connection.H2Connection()
        connection.initiate_connection()
        sock.sendall(connection.data_to_send())
        events: list[object] = []
        while not any(isinstance(event, h2.events.RemoteSettingsChanged) for event in events):
            data = sock.recv(65536)
            assert data, "it ended before its settings came"
            events += connection.receive_data(data)
        return Offer(version, websockets=bool(connection.remote_settings.enable_connect_protocol))


def open_stream(proxy: Proxy, path: str) -> Http2Socket:
    """Open a WebSocket in a stream of a connection of its own."""
    return Http2Socket(Server("proxy", proxy.port, proxy.process, Path(), tls=True), path)


@pytest.mark.parametrize("kind", ["apache", "stunnel"])
def test_only_http1_is_spoken(kind: str) -> None:
    with start_proxy(kind, PROGRAMS[kind].at_port(free_port())) as proxy:
        assert negotiate(proxy).version in (None, "http/1.1")


def test_nginx_has_no_websockets_in_http2() -> None:
    """It says so to begin with, and browsers open another connection, of HTTP/1.1."""
    with start_proxy("nginx", PROGRAMS["nginx"].at_port(free_port())) as proxy:
        assert negotiate(proxy) == Offer("h2", websockets=False)


def test_haproxy_makes_an_upgrade_of_what_comes_in_http2(backends: Callable[[str], Backend]) -> None:
    program = PROGRAMS["haproxy"]
    with start_proxy("haproxy", program.at_port(backends(program.app).port)) as proxy:
        assert negotiate(proxy) == Offer("h2", websockets=True)
        sock = open_stream(proxy, "/visitor")
        assert sock.status == 200
        ((_, payload),) = read_frames(sock.recv(65536))
        assert json.loads(payload) == {"address": "127.0.0.1", "scheme": "https", "host": "localhost"}
        sock.close()

        sock = open_stream(proxy, "/echo")
        sock.sendall(build_frame(TEXT, b"in a stream", key=KEY))
        assert [payload for _, payload in read_frames(sock.recv(65536))] == [b"in a stream"]
        sock.sendall(build_close(1000, key=KEY))
        assert [first & 0xF for first, _ in read_frames(sock.recv(65536))] == [CLOSE]
        sock.close()
