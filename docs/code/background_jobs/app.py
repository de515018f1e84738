from __future__ import annotations

from flask import Flask

from tasks import report  # and with it the hub of live.py, here, too
from ws4py_middleware import WebSocket, WebSocketMiddleware


class Progress(WebSocket):
    def opened(self) -> None:
        self.join(f"job/{self.params['job']}", since="0")  # all there is, and then what comes


class News(WebSocket):
    def opened(self) -> None:
        self.join("news")


app = Flask(__name__)


@app.post("/reports")
def start_report() -> dict[str, str]:
    return {"job": report.delay(pages=3).id}


app.wsgi_app = WebSocketMiddleware(app.wsgi_app, {"/jobs/<job>": Progress, "/news": News})
