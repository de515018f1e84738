"""
The documents' two scripts of a manager with clients.

Changed: the import prefix, the port 9000, and Python 2's ``print`` and ``itervalues()``.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.seeds.blocks import run
from tests.servers import start, wait_for

SIMPLE = """\
from ws4py_middleware.client import WebSocketBaseClient
from ws4py_middleware.manager import WebSocketManager

m = WebSocketManager()

class EchoClient(WebSocketBaseClient):
    def handshake_ok(self):
        m.add(self)  # register the client once the handshake is done

    def received_message(self, msg):
        print(str(msg))

m.start()

client = EchoClient('ws://localhost:9000/ws')
client.connect()

m.join()  # blocks forever
"""

MANY = """\
from ws4py_middleware.client import WebSocketBaseClient
from ws4py_middleware.manager import WebSocketManager
from ws4py_middleware import format_addresses, configure_logger

logger = configure_logger()

m = WebSocketManager()

class EchoClient(WebSocketBaseClient):
    def handshake_ok(self):
        logger.info("Opening %s" % format_addresses(self))
        m.add(self)

    def received_message(self, msg):
        logger.info(str(msg))

if __name__ == '__main__':
    import time

    try:
        m.start()
        for i in range(2000):
            client = EchoClient('ws://localhost:9000/ws')
            client.connect()

        logger.info("%d clients are connected" % i)

        while True:
            for ws in m.websockets.values():
                if not ws.terminated:
                   break
            else:
                break
            time.sleep(3)
    except KeyboardInterrupt:
        m.close_all()
        m.stop()
        m.join()
"""


def test_simple_block_prints_what_the_server_sends_and_blocks(tmp_path: Path) -> None:
    with start("gunicorn-gthread", "tests.seeds.greeting_app:app") as server:
        with run(SIMPLE.replace("9000", str(server.port)), tmp_path) as script:
            script.wait_for("hello from the server\n")
            assert server.http("/").body == b"1"
            assert script.process.poll() is None
            # The peer's end is the end of the connection, not of the manager.
            server.http("/close")
            wait_for(lambda: server.http("/").body == b"0")
            assert script.process.poll() is None
        assert "Traceback" not in script.output


@pytest.mark.parametrize("count", [20, pytest.param(2000, marks=pytest.mark.capacity)])
def test_block_of_many_clients_connects_them_all_and_notices_their_end(tmp_path: Path, count: int) -> None:
    """It is 2000 in the document; the shorter run is for every day."""
    with start("gunicorn-gthread", "tests.seeds.greeting_app:app") as server:
        block = MANY.replace("9000", str(server.port)).replace("2000", str(count))
        with run(block, tmp_path) as script:
            script.wait_for(f"INFO {count - 1} clients are connected", timeout=60)
            assert server.http("/").body == str(count).encode()
            assert script.output.count("INFO Opening [Local => 127.0.0.1:") == count
            wait_for(lambda: script.output.count("hello from the server") == count, 20, "all greetings")
            server.http("/close")
            wait_for(lambda: server.http("/").body == b"0", 20, "the end of all connections")
        assert "Traceback" not in script.output
