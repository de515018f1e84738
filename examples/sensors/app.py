"""
A phone's sensors, drawn live on another screen.

    python app.py                                          # this machine only
    python app.py --host 0.0.0.0 --certificate cert.pem --key key.pem

The phone opens ``/phone``, the other screen ``/``. A browser gives out its sensors to secure pages
only: to ``https://`` ones, and to those of its own machine.

Phones send JSON objects ``{"orientation": [alpha, beta, gamma], "acceleration": [x, y, z]}`` (degrees,
m/s²), some thirty times a second. Boards get them with the phone's ``id`` and ``name``, and are told
of phones that come and go. A board that is too slow gets fewer readings, and always the newest.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
from pathlib import Path
from threading import Lock
from typing import Any, ClassVar

import cherrypy

from ws4py_middleware import WebSocket
from ws4py_middleware.messaging import Message
from ws4py_middleware.server.cherrypyserver import WebSocketPlugin, WebSocketTool

STATIC = Path(__file__).resolve().parent / "static"
#: How far each reading goes, in degrees and m/s²; what is beyond is no sensor's.
LIMITS = {"orientation": 360.0, "acceleration": 1000.0}

cherrypy.tools.websocket = WebSocketTool()


class Board(WebSocket):
    """A screen that draws what the phones send."""

    def opened(self) -> None:
        """Begin with the phones that are here."""
        with Phone.changing:
            self.join("boards")
            self.send(json.dumps({"type": "welcome", "phones": [phone.public() for phone in Phone.here]}))


class Phone(WebSocket):
    """A phone, or anything else with sensors."""

    #: Who is here; what changes it happens under ``changing``, so that all boards are told the same.
    here: ClassVar[list[Phone]] = []
    changing: ClassVar[Lock] = Lock()
    _ids: ClassVar[itertools.count[int]] = itertools.count(1)

    def opened(self) -> None:
        """Come in."""
        self.id = next(Phone._ids)
        with Phone.changing:
            Phone.here.append(self)
            self.tell_boards("joined", phone=self.public())
        self.send(json.dumps({"type": "welcome", **self.public()}))

    def received_message(self, message: Message) -> None:
        """Pass a reading on to the boards; who sends anything else is told so, and has to go."""
        try:
            readings = read(message)
        except ValueError as error:
            self.close(1008, str(error))
        else:
            self.tell_boards("reading", id=self.id, **readings)

    def closed(self, code: int, reason: str | None = None) -> None:
        """Leave."""
        with Phone.changing:
            Phone.here.remove(self)
            self.tell_boards("left", id=self.id)

    def public(self) -> dict[str, Any]:
        return {"id": self.id, "name": f"Phone {self.id}"}

    def tell_boards(self, kind: str, **fields: object) -> None:
        self.hub.publish("boards", json.dumps({"type": kind, **fields}))


def read(message: Message) -> dict[str, list[float]]:
    """
    Read a message of a phone: each sensor there is, as three numbers.

    Raises:
        ValueError: It is something else.
    """
    try:
        given = json.loads(message.data)
    except RecursionError:
        raise ValueError("a reading is one flat JSON object") from None
    if not isinstance(given, dict) or not given.keys() <= LIMITS.keys():
        raise ValueError(f"a reading is a JSON object with {' and '.join(LIMITS)}")
    for sensor, values in given.items():
        if not isinstance(values, list) or len(values) != 3 or not all(map(is_number, values)):
            raise ValueError(f"{sensor} is three numbers")
        if max(map(abs, values)) > LIMITS[sensor]:
            raise ValueError(f"{sensor} is beyond {LIMITS[sensor]:g}")
    return given


def is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


class Root:
    """The two pages, and a WebSocket for each."""

    @cherrypy.expose
    def index(self) -> Any:
        """Show the board."""
        return cherrypy.lib.static.serve_file(str(STATIC / "board.html"))

    @cherrypy.expose
    def phone(self) -> Any:
        """Show what a phone opens."""
        return cherrypy.lib.static.serve_file(str(STATIC / "phone.html"))

    @cherrypy.expose
    def board_socket(self) -> None:
        """Be the WebSocket of a board."""

    @cherrypy.expose
    def phone_socket(self) -> None:
        """Be the WebSocket of a phone."""


CONFIG: dict[str, dict[str, Any]] = {
    "/": {
        "tools.response_headers.on": True,
        "tools.response_headers.headers": [
            ("Content-Security-Policy", "default-src 'self'; base-uri 'none'; object-src 'none'"),
        ],
    },
    "/static": {"tools.staticdir.on": True, "tools.staticdir.dir": str(STATIC)},
    "/board_socket": {
        "tools.websocket.on": True,
        "tools.websocket.handler_cls": Board,
        "tools.websocket.queue_policy": "drop-oldest",
    },
    "/phone_socket": {
        "tools.websocket.on": True,
        "tools.websocket.handler_cls": Phone,
        "tools.websocket.max_message_size": 1024,
    },
}


def main() -> None:
    """Serve until Ctrl-C."""
    parser = argparse.ArgumentParser(description="A phone's sensors, drawn live on another screen.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9000)
    parser.add_argument("--certificate", help="a PEM file; phones give their sensors to https pages only")
    parser.add_argument("--key", help="the certificate's key, a PEM file")
    options = parser.parse_args()
    cherrypy.config.update({"server.socket_host": options.host, "server.socket_port": options.port})
    if options.certificate:
        cherrypy.config.update(
            {
                "server.ssl_module": "builtin",
                "server.ssl_certificate": options.certificate,
                "server.ssl_private_key": options.key,
            }
        )
    WebSocketPlugin(cherrypy.engine).subscribe()
    cherrypy.quickstart(Root(), "/", CONFIG)


if __name__ == "__main__":
    main()
