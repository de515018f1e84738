"""The documents' two servers for CherryPy. Changed: the import prefix and the port 9000."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.entrances.wire import ask, build
from tests.matrix.columns import connect, end_of
from tests.promises.wire import TEXT, close_frame, frame
from tests.seeds.blocks import serve
from tests.servers import wait_for

TUTORIAL = """\
import cherrypy
from ws4py_middleware.server.cherrypyserver import WebSocketPlugin, WebSocketTool
from ws4py_middleware.websocket import EchoWebSocket

cherrypy.config.update({'server.socket_port': 9000})
WebSocketPlugin(cherrypy.engine).subscribe()
cherrypy.tools.websocket = WebSocketTool()

class Root(object):
    @cherrypy.expose
    def index(self):
        return 'some HTML with a websocket javascript connection'

    @cherrypy.expose
    def ws(self):
        # you can access the class instance through
        handler = cherrypy.request.ws_handler

cherrypy.quickstart(Root(), '/', config={'/ws': {'tools.websocket.on': True,
                                                 'tools.websocket.handler_cls': EchoWebSocket}})
"""

REFERENCE = """\
import cherrypy
from ws4py_middleware.server.cherrypyserver import WebSocketPlugin, WebSocketTool
from ws4py_middleware.websocket import EchoWebSocket

cherrypy.config.update({'server.socket_port': 9000})
WebSocketPlugin(cherrypy.engine).subscribe()
cherrypy.tools.websocket = WebSocketTool()

class Root(object):
    @cherrypy.expose
    def index(self):
        return 'some HTML with a websocket javascript connection'

    @cherrypy.expose
    def ws(self):
        pass

cherrypy.quickstart(Root(), '/', config={'/ws': {'tools.websocket.on': True,
                                                 'tools.websocket.handler_cls': EchoWebSocket}})
"""


@pytest.mark.parametrize("block", [TUTORIAL, REFERENCE], ids=["tutorial", "reference"])
def test_block_is_an_echo_server_beside_a_page(block: str, tmp_path: Path) -> None:
    with serve(block, tmp_path) as server:
        with connect(server, "/ws", early=frame(TEXT, b"early")) as peer, connect(server, "/ws") as second:
            assert peer.read_frame().payload == b"early"
            second.echo()
            peer.echo()
            assert server.http("/").body == b"some HTML with a websocket javascript connection"
            peer.send(close_frame(1000))
            peer.expect_close(1000)
            assert end_of(peer) == ""
        assert ask(server.connect(), build("/ws", {"Sec-WebSocket-Version": "8"})).status in (400, 426)
        with connect(server, "/ws") as peer:
            peer.echo()
            # It answers before it has started all of itself.
            wait_for(lambda: "Bus STARTED" in server.log)
            server.signal(signal.SIGINT)
            peer.expect_close(1001)
            peer.send(close_frame(1001))
            assert end_of(peer) == ""
            server.process.wait(20)
