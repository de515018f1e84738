"""WebSocketBaseClient before it connects: its attributes, and the request that it would send."""

from __future__ import annotations

import base64
import socket
import threading
from typing import Any
from unittest.mock import MagicMock, patch

import pytest

from tests.core.wire import TEXT, build_frame
from tests.entrances.scripted import no_leaks
from ws4py_middleware import client as client_module
from ws4py_middleware.client import WebSocketBaseClient
from ws4py_middleware.core.handshake import accept_key
from ws4py_middleware.core.policy import DeflateOptions, Policy
from ws4py_middleware.exc import ConnectionClosed

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
INJECTIONS = ["a\r\nX: y", "a\nX: y", "a\rb", "a\0b"]


def lines(client: WebSocketBaseClient) -> list[str]:
    request = client.handshake_request
    assert request.endswith(b"\r\n\r\n")
    return request.decode("latin-1")[:-4].split("\r\n")


def test_attributes_are_those_of_ws4py() -> None:
    client = WebSocketBaseClient("ws://example.com:8000/chat?room=1", heartbeat_freq=3)
    assert (client.scheme, client.host, client.port) == ("ws", "example.com", 8000)
    assert client.url == "ws://example.com:8000/chat?room=1"
    assert client.resource == "/chat?room=1"
    assert client.bind_addr == ("example.com", 8000)
    assert client.unix_socket_path is None
    assert (client.extra_headers, client.exclude_headers, client.ssl_options) == ([], [], {})
    assert (client.protocols, client.extensions, client.sock) == (None, None, None)
    assert (client.heartbeat_freq, client.policy.ping_interval) == (3, 3)
    assert not client.terminated
    assert not client.is_open


def test_unix_socket_asks_for_the_root_unless_resource_is_set() -> None:
    client = WebSocketBaseClient("ws+unix:///tmp/my.sock")
    assert client.bind_addr == "/tmp/my.sock"
    assert lines(client)[:2] == ["GET / HTTP/1.1", "Host: localhost"]
    assert not any(line.startswith("Origin") for line in lines(client))
    client.resource = "/ws"
    assert lines(client)[0] == "GET /ws HTTP/1.1"


def test_request_is_that_of_the_rfc() -> None:
    client = WebSocketBaseClient("ws://[::1]:9000/a?b", protocols=["chat", "superchat"])
    client.key = KEY
    assert client.key == KEY.encode()
    assert lines(client) == [
        "GET /a?b HTTP/1.1",
        "Host: [::1]:9000",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {KEY}",
        "Sec-WebSocket-Version: 13",
        "Origin: ws://[::1]:9000",
        "Sec-WebSocket-Protocol: chat, superchat",
    ]
    assert client.handshake_request.split(b"\r\n")[1] == b"Host: [::1]:9000"


def test_default_port_is_left_out_and_keys_are_random() -> None:
    first, second = WebSocketBaseClient("wss://h"), WebSocketBaseClient("wss://h:443")
    assert dict(first.handshake_headers)["Host"] == dict(second.handshake_headers)["Host"] == "h"
    assert dict(first.handshake_headers)["Origin"] == "wss://h"
    assert len(base64.b64decode(first.key)) == 16
    assert first.key != second.key


def test_headers_override_host_and_origin_and_add_others() -> None:
    headers = [
        ("host", "virtual.example"),
        ("Origin", "https://page.example"),
        ("Cookie", "a=b"),
        ("Cookie", "c=d"),
    ]
    client = WebSocketBaseClient("ws://127.0.0.1:1/", headers=headers)
    assert client.host == "127.0.0.1"
    sent = lines(client)
    assert [line for line in sent if line.lower().startswith(("host", "origin", "cookie"))] == [
        "Host: virtual.example",
        "Origin: https://page.example",
        "Cookie: a=b",
        "Cookie: c=d",
    ]
    mapping = WebSocketBaseClient("ws://127.0.0.1:1/", headers={"Host": "virtual.example"})
    assert dict(mapping.handshake_headers)["Origin"] == "ws://virtual.example"


def test_exclude_headers_are_not_sent_whatever_their_case() -> None:
    client = WebSocketBaseClient("ws://h/", headers=[("X-A", "1")], exclude_headers=["ORIGIN", "x-a"])
    assert [name for name, _ in client.handshake_headers] == [
        "Host",
        "Upgrade",
        "Connection",
        "Sec-WebSocket-Key",
        "Sec-WebSocket-Version",
    ]


def test_userinfo_is_basic_authentication_unless_headers_have_another() -> None:
    client = WebSocketBaseClient("ws://Aladdin:open%20sesame@h/")
    assert dict(client.handshake_headers)["Authorization"] == "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
    other = WebSocketBaseClient("ws://u:p@h/", headers=[("authorization", "Bearer x")])
    assert [value for name, value in other.handshake_headers if name.lower() == "authorization"] == [
        "Bearer x"
    ]


def test_compression_is_offered_by_the_policy_or_by_name() -> None:
    for client in (
        WebSocketBaseClient("ws://h", extensions=["permessage-deflate"]),
        WebSocketBaseClient("ws://h", compression=True),
        WebSocketBaseClient("ws://h", policy=Policy(compression=True)),
    ):
        assert dict(client.handshake_headers)["Sec-WebSocket-Extensions"].startswith("permessage-deflate")
    options = DeflateOptions(level=1)
    assert WebSocketBaseClient("ws://h", compression=options).policy.compression is options
    with pytest.raises(ValueError, match="'x-webkit-deflate-frame'"):
        WebSocketBaseClient("ws://h", extensions=["x-webkit-deflate-frame"])


@pytest.mark.parametrize("value", INJECTIONS)
def test_what_would_be_two_headers_is_refused_before_anything_is_sent(value: str) -> None:
    changes: list[dict[str, Any]] = [
        {"headers": [("X-A", value)]},
        {"headers": [(value, "x")]},
        {"headers": [("Host", value)]},
        {"headers": [("Origin", value)]},
        {"protocols": [value]},
    ]
    for options in changes:
        with pytest.raises(ValueError, match=r"CR, LF or NUL|no name|not one host|not a token"):
            WebSocketBaseClient("ws://h/", **options)
    client = WebSocketBaseClient("ws://127.0.0.1:1/")
    client.resource = f"/{value}"
    with pytest.raises(ValueError, match="not an encoded path"):
        client.connect()
    client = WebSocketBaseClient("ws://127.0.0.1:1/")
    client.key = value
    with pytest.raises(ValueError, match="16 bytes in base64"):
        client.connect()
    client = WebSocketBaseClient("ws://127.0.0.1:1/")
    client.extra_headers.append(("X-A", value))
    with pytest.raises(ValueError, match="CR, LF or NUL"):
        client.connect()


@pytest.mark.parametrize(
    "name", ["Upgrade", "connection", "Sec-WebSocket-Key", "Content-Length", "Transfer-Encoding"]
)
def test_headers_that_belong_to_the_handshake_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="belongs to the handshake"):
        WebSocketBaseClient("ws://h/", headers=[(name, "x")])


def test_other_mistakes_are_named() -> None:
    with pytest.raises(TypeError, match="did you mean 'max_message_size'"):
        WebSocketBaseClient("ws://h/", max_mesage_size=1)
    with pytest.raises(TypeError, match="subprotocols is a string"):
        WebSocketBaseClient("ws://h/", protocols="chat")
    with pytest.raises(ValueError, match="twice"):
        WebSocketBaseClient("ws://h/", headers=[("Host", "a"), ("Host", "b")])
    with pytest.raises(ValueError, match="fragment '#x'"):
        WebSocketBaseClient("ws://h/#x")


def test_constructor_looks_nothing_up_and_opens_nothing() -> None:
    before = threading.active_count()
    with no_leaks(), patch.object(socket, "getaddrinfo", side_effect=AssertionError("a look-up")):
        WebSocketBaseClient("wss://no.such.host.example/", ssl_options={"ca_certs": "/no/such/file"})
    assert threading.active_count() == before


def test_without_a_connection_closing_does_nothing_and_sending_says_so() -> None:
    client = WebSocketBaseClient("ws://h/")
    client.close()
    client.terminate()
    client.close_connection()
    for call in (lambda: client.send("x"), client.receive, client.run, client.once, client.ping):
        with pytest.raises(ConnectionClosed, match="connect\\(\\) first"):
            call()


def test_a_patched_socket_module_is_used() -> None:
    """ws4py's users patch ``ws4py.client.socket``, as its own tests do."""
    source = MagicMock()
    with patch.object(client_module, "socket") as module:
        module.socket.return_value = source
        module.getaddrinfo.return_value = [
            (socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", 80, 0, 0))
        ]
        client = WebSocketBaseClient("ws://127.0.0.1/?token=value")
        head = [
            "HTTP/1.1 101 Switching Protocols",
            "Connection: Upgrade",
            "Upgrade: Websocket",
            f"Sec-Websocket-Accept: {accept_key(client.key.decode())}",
        ]
        source.recv.return_value = "\r\n".join([*head, "", ""]).encode()
        client.connect()
    source.connect.assert_called_once_with(("127.0.0.1", 80, 0, 0))
    assert source.sendall.call_args_list[0].args[0].startswith(b"GET /?token=value HTTP/1.1\r\n")
    assert client.process(build_frame(TEXT, b"hello"))
    assert str(client.receive(1)) == "hello"
    client.close(1000, "boom")
    assert len(source.sendall.call_args_list[1].args[0]) == 2 + 4 + 2 + len("boom")
    client.terminate()
    source.close.assert_called_with()
