"""docs/howto/asyncio.md: its blocks of code are tried."""

from __future__ import annotations

import asyncio
import re
import threading
from pathlib import Path
from typing import Any

from tests.core.wire import TEXT
from tests.drivers.peer import build
from tests.entrances.asyncio_host import open_at
from tests.matrix.columns import connect, end_of
from tests.promises.wire import TEXT as TEXT_FRAME
from tests.promises.wire import close_frame, frame
from tests.seeds.blocks import serve
from tests.servers import ROOT
from ws4py_middleware.process import get_task_manager
from ws4py_middleware.server import asyncioserver

SERVER, CHAT, END = re.findall(
    r"```python\n(.*?)```", (ROOT / "docs" / "howto" / "asyncio.md").read_text(encoding="utf-8"), re.DOTALL
)


def test_server_of_the_page_serves(tmp_path: Path) -> None:
    with serve(SERVER, tmp_path) as server, connect(server, "/") as peer:
        peer.send(frame(TEXT_FRAME, b"hello"))
        assert peer.read_frame().payload == b"hello"
        peer.send(close_frame(1000))
        peer.expect_close(1000)
        assert end_of(peer) == ""


def test_handler_and_end_of_the_page(capsys: Any) -> None:
    space: dict[str, Any] = {}
    exec(CHAT, space)
    lines = "".join(f"    {line}\n" for line in END.splitlines())
    exec(f"async def end(server, get_task_manager):\n{lines}", space)
    codes: list[Any] = []

    def talk(port: int) -> None:
        peer = open_at(port)
        peer.send_bytes(build(TEXT, b"hi"))
        assert [peer.read(), peer.read()] == ["you said", "hi"]
        codes.append("ready")
        codes.append(peer.answer()[0])

    async def main() -> None:
        server = await asyncioserver.serve(space["Chat"], "127.0.0.1", 0)
        thread = threading.Thread(target=talk, args=(server.sockets[0].getsockname()[1],))
        thread.start()
        while not codes:
            await asyncio.sleep(0.01)
        await space["end"](server, get_task_manager)
        thread.join(5)

    asyncio.run(main())
    assert codes == ["ready", 1001]
    assert capsys.readouterr().out == "gone: 1001\n"
