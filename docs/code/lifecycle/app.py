from __future__ import annotations

from flask import Flask

from ws4py_middleware import Policy, WebSocket, WebSocketMiddleware
from ws4py_middleware.messaging import Message

said: list[str] = []


class Diary(WebSocket):
    """Write down which hook was called with what."""

    policy = Policy(close_timeout=1.0)

    def opened(self) -> None:
        said.append(f"opened {self.environ['PATH_INFO']}")

    def received_message(self, message: Message) -> None:
        said.append(f"received_message {message}")
        match str(message):
            case "ping me":
                self.ping("are you there?")
            case "bye":
                self.close(4001, "as you wish")
                said.append("close() has returned")
            case "oops":
                raise RuntimeError("this handler has a bug")

    def ponged(self, pong: Message) -> None:
        said.append(f"ponged {pong}")

    def closed(self, code: int, reason: str | None = None) -> None:
        said.append(f"closed {code} {reason}")


app = Flask(__name__)


@app.get("/said")
def read() -> list[str]:
    """Show the diary, and begin a new one."""
    lines = said[:]
    said.clear()
    return lines


app.wsgi_app = WebSocketMiddleware(app.wsgi_app, {"/diary": Diary})
