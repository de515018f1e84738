"""A stream of asyncio's as a transport: what the network does to it."""

from __future__ import annotations

import asyncio
import socket
import struct

from tests.drivers.peer import tcp_pair, wait_until
from tests.drivers.tasks import TaskHost, host
from ws4py_middleware.asynctransport import AsyncioTransport, StreamProtocol

__all__ = ["host"]

#: Closing sends RST in place of FIN.
RESETTING = struct.pack("ii", 1, 0)


def test_shutdown_write_after_a_reset_that_asyncio_has_not_seen_is_no_error(host: TaskHost) -> None:
    ours, theirs = tcp_pair()

    async def shut_down_after_reset() -> StreamProtocol:
        _, protocol = await host.loop.create_connection(StreamProtocol, sock=ours)
        assert isinstance(protocol.transport, asyncio.Transport)
        protocol.stream = AsyncioTransport(protocol.transport, host.manager)
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESETTING)
        theirs.close()
        protocol.stream.shutdown_write()
        return protocol

    protocol = host.run(shut_down_after_reset())
    assert protocol.stream is not None
    wait_until(lambda: protocol.stream is not None and bool(protocol.stream.pending()))
    host.call(protocol.stream.close)
