"""
An echo page over ``wss://`` on CherryPy, with either of the TLS libraries that its server knows.

    python app.py                          # Python's own ssl
    python app.py --adapter pyopenssl

Without ``--certificate`` and ``--key`` it makes a certificate for localhost, which browsers warn of.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from pathlib import Path

import cherrypy

from ws4py_middleware.server.cherrypyserver import WebSocketPlugin, WebSocketTool
from ws4py_middleware.websocket import EchoWebSocket

PAGE = Path(__file__).resolve().with_name("index.html")

cherrypy.tools.websocket = WebSocketTool()


class Root:
    """The page, and the WebSocket that it talks to."""

    @cherrypy.expose
    def index(self) -> str:
        """Show the page."""
        return PAGE.read_text(encoding="utf-8")

    @cherrypy.expose
    @cherrypy.tools.websocket(handler_cls=EchoWebSocket, max_message_size="1 MiB")
    def ws(self) -> None:
        """Let everybody in."""


def make_certificate(directory: str) -> tuple[str, str]:
    """Make a certificate for localhost that nobody vouches for; return its file and that of its key."""
    certificate, key = str(Path(directory, "cert.pem")), str(Path(directory, "key.pem"))
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    command += ["-nodes", "-days", "30", "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    subprocess.run([*command, "-out", certificate, "-keyout", key], check=True, capture_output=True)
    return certificate, key


def main() -> None:
    """Serve until Ctrl-C."""
    parser = argparse.ArgumentParser(description="An echo page over wss:// on CherryPy.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9443)
    parser.add_argument("--adapter", choices=["builtin", "pyopenssl"], default="builtin")
    parser.add_argument("--certificate", help="of the server, with those that vouch for it")
    parser.add_argument("--key", help="its private key")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        if not options.certificate:
            options.certificate, options.key = make_certificate(directory)
        cherrypy.config.update(
            {
                "server.socket_host": options.host,
                "server.socket_port": options.port,
                "server.ssl_module": options.adapter,
                "server.ssl_certificate": options.certificate,
                "server.ssl_private_key": options.key,
            }
        )
        WebSocketPlugin(cherrypy.engine).subscribe()
        cherrypy.quickstart(Root())


if __name__ == "__main__":
    main()
