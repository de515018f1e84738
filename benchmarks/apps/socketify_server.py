"""socketify: uWebSockets, with handlers in Python."""

from __future__ import annotations

import sys
from typing import Any

from socketify import App, CompressOptions, OpCode

from benchmarks.apps.common import MAX_SIZE, answer_json, deflate, spin_when_asked


def main(port: int) -> None:
    """Serve on 127.0.0.1:`port` until the process is ended."""
    app = App()
    compress = deflate()

    def echo(ws: Any, message: str | bytes, opcode: Any) -> None:
        ws.send(message, opcode, compress)

    def rewrite(ws: Any, message: str | bytes, opcode: Any) -> None:
        ws.send(answer_json(message), opcode)

    def broadcast(ws: Any, message: str | bytes, opcode: Any) -> None:
        app.publish("all", message, OpCode.TEXT)

    options: dict[str, Any] = {
        "max_payload_length": MAX_SIZE,
        "max_backpressure": MAX_SIZE,
        "idle_timeout": 0,
    }
    if compress:
        options["compression"] = CompressOptions.SHARED_COMPRESSOR | CompressOptions.SHARED_DECOMPRESSOR
    app.ws("/echo", {**options, "message": echo})
    app.ws("/json", {**options, "message": rewrite})
    app.ws("/broadcast", {**options, "open": lambda ws: ws.subscribe("all"), "message": broadcast})
    app.get("/", lambda answer, request: answer.end("hello\n"))
    app.listen({"port": port, "host": "127.0.0.1"}, lambda config: None)
    spin_when_asked()
    app.run()


if __name__ == "__main__":
    main(int(sys.argv[1]))
