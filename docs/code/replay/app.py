from __future__ import annotations

from flask import Flask, Response, request, send_file

from ws4py_middleware import WebSocket, WebSocketMiddleware, browser
from ws4py_middleware.hub import Hub, get_hub, set_hub

set_hub(Hub(history=100))  # of each room the last 100 messages


class Prices(WebSocket):
    def opened(self) -> None:
        self.join("prices")


app = Flask(__name__)


@app.get("/")
def page() -> Response:
    return send_file("page.html")


@app.get("/replay.js")
def replay_js() -> Response:
    return send_file(browser.path("replay.js"), mimetype="text/javascript")


@app.post("/publish")
def publish() -> str:
    return str(get_hub().publish("prices", request.get_data(as_text=True)))


app.wsgi_app = WebSocketMiddleware(app.wsgi_app, {"/prices": Prices}, subprotocols=["ws4py.replay.v1"])
