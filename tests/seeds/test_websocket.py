"""The documents' first handler, on a socket and without any."""

from __future__ import annotations

from typing import Any

from tests.core.wire import TEXT, build_frame, read_frames
from tests.entrances.adapters import PIPES
from tests.entrances.in_process import ENVIRON, call
from tests.promises.attacker import Peer
from tests.promises.wire import BINARY, frame

#: Changed: the import prefix.
ECHO = """\
from ws4py_middleware.websocket import WebSocket

class EchoWebSocket(WebSocket):
    def received_message(self, message):
        self.send(message.data, message.is_binary)
"""

#: Changed: the import prefix, the doctest prompts, and ``mock``, which is ``unittest.mock`` now.
DATA_SOURCE = """\
from ws4py_middleware.messaging import TextMessage
def data_source():
    yield TextMessage(u'hello world')

from unittest.mock import MagicMock
source = MagicMock(side_effect=data_source)
ws = EchoWebSocket(sock=source)
ws.send(u'hello there')
"""


def run(block: str, **names: Any) -> dict[str, Any]:
    exec(compile(block, "block", "exec"), names)
    return names


def test_echo_block_echoes_text_and_binary() -> None:
    from ws4py_middleware.server.wsgiutils import WebSocketWSGIApplication

    cls = run(ECHO)["EchoWebSocket"]
    with PIPES.plugged(WebSocketWSGIApplication(handler_cls=cls)) as plugged:
        call(plugged.app, {"REQUEST_METHOD": "GET", "PATH_INFO": "/", **ENVIRON})
        plugged.read_head()
        with Peer(plugged.client) as peer:
            peer.echo("Grüße".encode())
            peer.send(frame(BINARY, b"\x00\xff"))
            found = peer.read_frame()
            assert (found.opcode, found.payload) == (BINARY, b"\x00\xff")


def test_data_source_block_sends_to_what_is_no_socket() -> None:
    """What is sent goes to the source's ``sendall()``; what the source calls is the generator."""
    names = run(DATA_SOURCE, **run(ECHO))
    source, ws = names["source"], names["ws"]
    (((wire,), _),) = source.sendall.call_args_list
    assert list(read_frames(wire)) == [(0x80 | TEXT, b"hello there")]
    # The source yields what the peer would have said; the messages go where a socket's would.
    source.sendall.reset_mock()
    for message in source():
        ws.received_message(message)
    assert source.sendall.call_args.args == (build_frame(TEXT, b"hello world"),)
    assert not ws.terminated
