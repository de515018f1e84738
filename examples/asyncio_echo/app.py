"""
An echo server in an asyncio loop, with the protocol class that ws4py had for it.

    python app.py
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import ssl

from ws4py_middleware.async_websocket import WebSocket
from ws4py_middleware.messaging import Message
from ws4py_middleware.process import get_task_manager
from ws4py_middleware.server.asyncioserver import serve


class Echo(WebSocket):
    """Send each message back, and wait for the peer to keep up."""

    async def received_message(self, message: Message) -> None:
        await self.send(message)


async def main() -> None:
    """Serve until Ctrl-C or SIGTERM; all peers are told."""
    parser = argparse.ArgumentParser(description="An echo server in an asyncio loop.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9007)
    parser.add_argument("--certificate", help="serve wss:// with this certificate")
    parser.add_argument("--key", help="its private key")
    options = parser.parse_args()
    context = None
    if options.certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(options.certificate, options.key)

    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    server = await serve(Echo, options.host, options.port, ssl=context, max_message_size=16 * 1024 * 1024)
    print("serving on", server.sockets[0].getsockname(), flush=True)
    await stop.wait()
    server.close()
    await get_task_manager().shutdown_async()


if __name__ == "__main__":
    asyncio.run(main())
