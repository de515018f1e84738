"""picows, on uvloop: its own listeners, which get frames."""

from __future__ import annotations

import asyncio
import sys

import uvloop
from picows import (
    WSFrame,
    WSListener,
    WSMsgType,
    WSTransport,
    WSUpgradeRequest,
    WSUpgradeResponse,
    WSUpgradeResponseWithListener,
    ws_create_server,
)

from benchmarks.apps.common import MAX_SIZE, answer_json, spin_when_asked

members: set[WSTransport] = set()


class Echo(WSListener):
    """Sends back what comes."""

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Answer."""
        if frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code())
            transport.disconnect()
        else:
            self.answer(transport, frame)

    def answer(self, transport: WSTransport, frame: WSFrame) -> None:
        """Send the payload back as it lies in the buffer."""
        transport.send(frame.msg_type, frame.get_payload_as_memoryview())


class Json(Echo):
    """Reads each message, and writes it again."""

    def answer(self, transport: WSTransport, frame: WSFrame) -> None:
        """Answer."""
        transport.send(frame.msg_type, answer_json(frame.get_payload_as_utf8_text()).encode())


class Broadcast(Echo):
    """Sends what one member says to all members."""

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Become a member."""
        members.add(transport)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """Be one no more."""
        members.discard(transport)

    def answer(self, transport: WSTransport, frame: WSFrame) -> None:
        """Tell everybody."""
        message = frame.get_payload_as_bytes()
        for member in members:
            member.send(frame.msg_type, message)


def route(request: WSUpgradeRequest) -> WSListener | WSUpgradeResponseWithListener:
    """Return the listener for the path; answer plain HTTP beside the WebSockets."""
    listeners = {b"/echo": Echo, b"/broadcast": Broadcast, b"/json": Json}
    listener = listeners.get(request.path)
    if listener is None:
        response = WSUpgradeResponse.create_ok_response(b"hello\n")
        return WSUpgradeResponseWithListener(response, None)
    return listener()


async def main(port: int) -> None:
    """Serve on 127.0.0.1:`port` until the process is ended."""
    server = await ws_create_server(route, "127.0.0.1", port, max_frame_size=MAX_SIZE, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    spin_when_asked()
    uvloop.install()
    asyncio.run(main(int(sys.argv[1])))
