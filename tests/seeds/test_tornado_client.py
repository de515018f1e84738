"""
The documents' two clients for tornado, as scripts of their own.

Changed: the import prefix, the port 9000, and Python 2's ``print``; the second one's own import is added.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.entrances.tornado_host import tornado_server
from tests.seeds.blocks import run
from tests.servers import free_port, wait_for

TUTORIAL = """\
from ws4py_middleware.client.tornadoclient import TornadoWebSocketClient
from tornado import ioloop

class MyClient(TornadoWebSocketClient):
     def opened(self):
         for i in range(0, 200, 25):
             self.send("*" * i)

     def received_message(self, m):
         print(m)
         if len(m) == 175:
             self.close(reason='Bye bye')

     def closed(self, code, reason=None):
         ioloop.IOLoop.instance().stop()

ws = MyClient('ws://localhost:9000/echo', protocols=['http-only', 'chat'])
ws.connect()

ioloop.IOLoop.instance().start()
"""

REFERENCE = """\
from ws4py_middleware.client.tornadoclient import TornadoWebSocketClient
from tornado import ioloop

class MyClient(TornadoWebSocketClient):
    def opened(self):
        for i in range(0, 200, 25):
            self.send("*" * i)

    def received_message(self, m):
        print((m, len(str(m))))

    def closed(self, code, reason=None):
        ioloop.IOLoop.instance().stop()

ws = MyClient('ws://localhost:9000/echo', protocols=['http-only', 'chat'])
ws.connect()

ioloop.IOLoop.instance().start()
"""

SIZES = list(range(0, 200, 25))


def test_tutorials_block_prints_the_echoes_and_says_bye_bye(tmp_path: Path) -> None:
    with tornado_server() as server:
        with run(TUTORIAL.replace("9000", str(server.port)), tmp_path) as script:
            assert script.process.wait(20) == 0, script.output
        wait_for(lambda: server.ends == [(1000, "Bye bye")], what=f"the end, not {server.ends}")
    assert script.output == "".join(f"{'*' * size}\n" for size in SIZES)


def test_references_block_prints_until_the_server_ends_it(tmp_path: Path) -> None:
    with tornado_server() as server:
        with run(REFERENCE.replace("9000", str(server.port)), tmp_path) as script:
            script.wait_for(", 175)\n")
            server.call(server.peers[0].close, 1000, "that was all")
            assert script.process.wait(20) == 0, script.output
    lines = script.output.splitlines()
    assert [ast.literal_eval(line.rpartition(", ")[2].rstrip(")")) for line in lines] == SIZES


@pytest.mark.parametrize("block", [TUTORIAL, REFERENCE], ids=["tutorial", "reference"])
def test_block_ends_when_nobody_listens(block: str, tmp_path: Path) -> None:
    """ws4py's called ``closed()`` then, and so the script did not wait for ever."""
    with run(block.replace("9000", str(free_port())), tmp_path) as script:
        assert script.process.wait(20) == 0, script.output
    assert script.output == ""


@pytest.mark.parametrize("block", [TUTORIAL, REFERENCE], ids=["tutorial", "reference"])
def test_block_runs_when_each_warning_is_an_error(block: str, tmp_path: Path) -> None:
    """Of Python 3.12, for one, which warns of a loop that is not there yet."""
    prefix = "import sys, warnings\nwarnings.simplefilter('error')\n"
    with tornado_server() as server:
        with run(prefix + block.replace("9000", str(server.port)), tmp_path) as script:
            script.wait_for("*" * 175 if block is TUTORIAL else ", 175)")
            for peer in server.peers:
                server.call(peer.close, 1000)
            assert script.process.wait(20) == 0, script.output
    assert "Warning" not in script.output.replace("ResourceWarning: unclosed event loop", "")
