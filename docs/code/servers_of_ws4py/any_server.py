from __future__ import annotations

from werkzeug.serving import run_simple

from ws4py_middleware.messaging import Message
from ws4py_middleware.server.wsgiutils import WebSocketWSGIApplication
from ws4py_middleware.websocket import WebSocket


class Shout(WebSocket):
    def received_message(self, message: Message) -> None:
        self.send(str(message).upper())


app = WebSocketWSGIApplication(["shout"], ["permessage-deflate"], Shout, max_message_size=4096)
run_simple("127.0.0.1", 9000, app, threaded=True)
