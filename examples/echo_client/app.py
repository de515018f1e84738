"""
Say to a server what is typed, line by line, and show what it says.

    python app.py ws://127.0.0.1:9000/echo
"""

from __future__ import annotations

import argparse
import sys

from ws4py_middleware.client.threadedclient import WebSocketClient
from ws4py_middleware.exc import ConnectionClosed, HandshakeError
from ws4py_middleware.messaging import Message


class Talk(WebSocketClient):
    """Print what comes, in the client's own thread, while the main thread waits for the next line."""

    def received_message(self, message: Message) -> None:
        """Show text as it is, and how much there is of anything else."""
        print("<", message if message.is_text else f"{len(message.data)} bytes", flush=True)

    def closed(self, code: int, reason: str | None = None) -> None:
        """Say why it is over."""
        print("closed:", code, reason or "", flush=True)


def main() -> None:
    """Talk until the end of the input, Ctrl-C, or the end of the connection."""
    parser = argparse.ArgumentParser(description="Talk to a WebSocket server.")
    parser.add_argument("url", nargs="?", default="ws://127.0.0.1:9000/echo")
    url: str = parser.parse_args().url

    client = Talk(url, compression=True)
    try:
        client.connect()
    except (HandshakeError, OSError) as error:
        sys.exit(f"{url}: {error}")
    try:
        for line in sys.stdin:
            client.send(line.rstrip("\n"))
        client.close()
        client.run_forever()
    except ConnectionClosed:
        client.run_forever()  # closed() says it
    except KeyboardInterrupt:
        client.close()  # what is still to be said is said at the interpreter's exit


if __name__ == "__main__":
    main()
