"""
Open many connections to an echo server at once, in one thread, and see that all comes back.

    python app.py ws://127.0.0.1:9000/echo --clients 500 --messages 20
"""

from __future__ import annotations

import argparse
import sys
import time

import gevent

from ws4py_middleware.client.geventclient import WebSocketClient
from ws4py_middleware.exc import HandshakeError


def talk(url: str, number: int, messages: int) -> int | str:
    """Be one client; return how many of its messages came back, or why there was no connection."""
    client = WebSocketClient(url)
    try:
        client.connect()
    except (HandshakeError, OSError) as error:
        return str(error)
    with client:
        sending = gevent.spawn(say, client, number, messages)
        for count in range(messages):
            message = client.receive(timeout=30)
            if message is None or str(message) != f"client {number}, message {count}":
                return count
        sending.get()
    return messages


def say(client: WebSocketClient, number: int, messages: int) -> None:
    """Send while the other greenlet receives; when the server is slow, this waits."""
    for count in range(messages):
        client.send(f"client {number}, message {count}")


def main() -> None:
    """Let all of them talk, and say how it went."""
    parser = argparse.ArgumentParser(description="Open many connections to an echo server at once.")
    parser.add_argument("url", nargs="?", default="ws://127.0.0.1:9000/echo")
    parser.add_argument("--clients", type=int, default=100)
    parser.add_argument("--messages", type=int, default=10)
    options = parser.parse_args()

    began = time.monotonic()
    talks = [gevent.spawn(talk, options.url, number, options.messages) for number in range(options.clients)]
    results = [one.get() for one in gevent.joinall(talks)]
    took = time.monotonic() - began
    if reasons := {result for result in results if isinstance(result, str)}:
        sys.exit(f"{options.url}: {'; '.join(sorted(reasons))}")
    print(f"{options.clients} clients: {sum(map(int, results))} messages came back in {took:.2f} s")


if __name__ == "__main__":
    main()
