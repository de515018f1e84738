"""The documents' servers for gevent and wsgiref. Changed: the import prefix, the port, the address ``''``."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.matrix.columns import connect, end_of
from tests.promises.wire import close_frame
from tests.seeds.blocks import check_echo, serve

GEVENT = """\
from gevent import monkey; monkey.patch_all()
from ws4py_middleware.websocket import EchoWebSocket
from ws4py_middleware.server.geventserver import WSGIServer
from ws4py_middleware.server.wsgiutils import WebSocketWSGIApplication

server = WSGIServer(('localhost', 9000), WebSocketWSGIApplication(handler_cls=EchoWebSocket))
server.serve_forever()
"""

WSGIREF = """\
from wsgiref.simple_server import make_server
from ws4py_middleware.websocket import EchoWebSocket
from ws4py_middleware.server.wsgirefserver import WSGIServer, WebSocketWSGIRequestHandler
from ws4py_middleware.server.wsgiutils import WebSocketWSGIApplication

server = make_server('', 9000, server_class=WSGIServer,
                     handler_class=WebSocketWSGIRequestHandler,
                     app=WebSocketWSGIApplication(handler_cls=EchoWebSocket))
server.initialize_websockets_manager()
server.serve_forever()
"""


@pytest.mark.parametrize("block", [GEVENT, WSGIREF], ids=["gevent", "wsgiref"])
def test_block_is_an_echo_server(block: str, tmp_path: Path) -> None:
    with serve(block, tmp_path) as server:
        check_echo(server)
        with connect(server, "/") as peer:
            peer.echo()
            server.signal(signal.SIGINT)
            peer.expect_close(1001)
            peer.send(close_frame(1001))
            assert end_of(peer) == ""
            server.process.wait(10)
