"""The conversation on ``aiohttp``. It shows pongs only to those who answer pings themselves."""

from __future__ import annotations

import asyncio

from aiohttp import WSMsgType, web

from tests.interop.foreign.serving import announce, wait_for_eof
from tests.interop.words import MAX_SIZE, SUBPROTOCOLS, Ends, parse_close, parse_command

ends = Ends()


async def talk(request: web.Request) -> web.WebSocketResponse:
    response = web.WebSocketResponse(
        compress=request.path == "/deflate", max_msg_size=MAX_SIZE, protocols=SUBPROTOCOLS, autoping=False
    )
    await response.prepare(request)
    name = ""
    while (message := await response.receive()).type not in (WSMsgType.CLOSED, WSMsgType.CLOSING):
        match message.type:
            case WSMsgType.CLOSE:
                if name:
                    ends.add(name, message.data or 1005, message.extra)  # it says 0 where there is no code
                break
            case WSMsgType.ERROR:
                raise message.data
            case WSMsgType.PING:
                await response.pong(message.data)
            case WSMsgType.PONG:
                await response.send_str(f"!ponged {bytes(message.data).decode()}")
            case WSMsgType.BINARY:
                await response.send_bytes(message.data)
            case WSMsgType.TEXT:
                command, rest = parse_command(message.data)
                name = rest if command == "name" else name
                await answer(response, message.data, command, rest)
    if name and message.type is not WSMsgType.CLOSE:
        ends.add(name, response.close_code, "")
    return response


async def answer(response: web.WebSocketResponse, text: str, command: str, rest: str) -> None:
    if not command:
        await response.send_str(text)
    elif command == "closed":
        await response.send_str(ends.answer(rest))
    elif command == "close":
        code, reason = parse_close(rest)
        assert code is not None
        await response.close(code=code, message=reason.encode())
    elif command == "ping":
        await response.ping(rest.encode())
    elif command == "subprotocol":
        await response.send_str(f"!subprotocol {response.ws_protocol}")


async def main() -> None:
    app = web.Application()
    app.add_routes([web.get("/plain", talk), web.get("/deflate", talk)])
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    announce(port, port)
    await asyncio.to_thread(wait_for_eof)
    await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(main())
