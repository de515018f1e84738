"""client.base: the opening without a socket, a thread or a loop: steps out, results in."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from ws4py_middleware.client.base import ClientBase
from ws4py_middleware.client.steps import Dial, DialUnix, HangUp, Receive, Send, StartTLS, Step
from ws4py_middleware.core.handshake import accept_key
from ws4py_middleware.exc import HandshakeError


def open_with(client: ClientBase, results: Iterable[Any]) -> tuple[list[Step], bytes]:
    """Answer each Receive with the next of the results, an exception by raising it."""
    conversation = client.converse()
    answers = iter(results)
    steps = []
    try:
        step = next(conversation)
        while True:
            steps.append(step)
            result = next(answers) if isinstance(step, Receive) else None
            if isinstance(result, BaseException):
                step = conversation.throw(result)
            else:
                step = conversation.send(result)
    except StopIteration as end:
        return steps, end.value


def answer_to(client: ClientBase) -> bytes:
    lines = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade"]
    return "\r\n".join([*lines, f"Sec-WebSocket-Accept: {accept_key(client.key.decode())}", "", ""]).encode()


def kinds(steps: list[Step]) -> list[type[Step]]:
    return [type(step) for step in steps]


def test_plain_opening_in_any_pieces_returns_what_came_behind_it() -> None:
    for size in (1, 7, 1000):
        client = ClientBase("ws://example.com/chat", protocols=["chat"])
        request, data = client.handshake_request, answer_to(client) + b"\x81\x02Hi"
        cut = len(data) - 4
        pieces = [data[i : min(i + size, cut)] for i in range(0, cut, size)] if size < 1000 else [data]
        steps, early = open_with(client, pieces)
        assert steps[:2] == [Dial("example.com", 80), Send(request)]
        assert early == (b"\x81\x02Hi" if size == 1000 else b"")
        assert client.protocols is None
        assert client.response_headers[0] == ("Upgrade", "websocket")


def test_unix_tls_and_a_proxy_are_steps_before_the_request() -> None:
    client = ClientBase("ws+unix:///run/app.sock")
    assert open_with(client, [answer_to(client)])[0][0] == DialUnix("/run/app.sock")

    client = ClientBase("wss://example.com.", proxy="http://u:p@proxy.example:3128")
    steps, _ = open_with(client, [b"HTTP/1.1 200 OK\r\n\r\n", answer_to(client)])
    assert kinds(steps) == [Dial, Send, Receive, StartTLS, Send, Receive]
    assert steps[0].what == "the TCP connection to the proxy proxy.example:3128"
    assert (steps[1].what, steps[2].what) == ("the proxy's answer", "the proxy's answer")
    assert isinstance(steps[3], StartTLS)
    assert (steps[3].name, steps[3].what) == ("example.com", "the TLS handshake with example.com")
    assert steps[5].what == "the opening handshake"
    assert isinstance(steps[4], Send)
    assert b"Proxy" not in steps[4].data


def test_a_redirect_hangs_up_first_and_asks_with_another_key() -> None:
    client = ClientBase("ws://example.com/a", max_redirects=1)
    conversation = client.converse()
    assert next(conversation) == Dial("example.com", 80)
    first = conversation.send(None)
    conversation.send(None)
    assert isinstance(conversation.send(b"HTTP/1.1 302 Found\r\nLocation: http://other/\r\n\r\n"), HangUp)
    assert conversation.send(None) == Dial("other", 80)
    second = conversation.send(None)
    assert isinstance(first, Send)
    assert isinstance(second, Send)
    assert client.key in second.data
    assert client.key not in first.data
    conversation.close()


def test_what_a_step_raises_is_a_refusal_where_an_answer_was_owed_and_itself_elsewhere() -> None:
    client = ClientBase("ws://example.com/")
    with pytest.raises(HandshakeError, match="lost before the server's answer: gone") as caught:
        open_with(client, [ConnectionResetError("gone")])
    assert caught.value.status == 0
    with pytest.raises(TimeoutError, match="too late"):
        open_with(client, [TimeoutError("too late")])
    conversation = client.converse()
    next(conversation)
    with pytest.raises(ConnectionRefusedError, match="nobody"):
        conversation.throw(ConnectionRefusedError("nobody"))
    # Who takes no more of the request has perhaps answered already.
    conversation = client.converse()
    next(conversation)
    conversation.send(None)
    assert isinstance(conversation.throw(BrokenPipeError()), Receive)
    conversation.close()


def test_the_body_of_a_refusal_is_asked_for_with_a_time_of_its_own() -> None:
    client = ClientBase("ws://example.com/")
    conversation = client.converse()
    for result in (None, None, None):
        conversation.send(result)
    step = conversation.send(b"HTTP/1.1 404 Not Found\r\nContent-Length: 100\r\n\r\nhalf")
    assert isinstance(step, Receive)
    assert step.within is not None
    assert 0 < step.within <= 2
    with pytest.raises(HandshakeError) as caught:
        conversation.send(None)
    assert caught.value.body == b"half"


def test_what_cannot_be_sent_is_raised_before_the_first_step() -> None:
    client = ClientBase("ws://example.com/")
    client.resource = "/a b"
    with pytest.raises(ValueError, match="not an encoded path"):
        next(client.converse())
