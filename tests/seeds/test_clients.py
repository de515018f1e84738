"""
The documents' clients in a thread and in greenlets, as scripts of their own.

Changed: the import prefix, the port 9000, and Python 2's ``print``; gevent's own import is added.
"""

from __future__ import annotations

import contextlib
import re
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from websockets.sync.server import ServerConnection
from websockets.sync.server import serve as serve_websockets

from tests.entrances.scripted import Visit, scripted, text
from tests.seeds.blocks import Script, run
from tests.servers import certificates, client_context, start
from ws4py_middleware.client import WebSocketBaseClient

THREADED = """\
from ws4py_middleware.client.threadedclient import WebSocketClient

class DummyClient(WebSocketClient):
    def opened(self):
        def data_provider():
            for i in range(1, 200, 25):
                yield "#" * i

        self.send(data_provider())

        for i in range(0, 200, 25):
            print(i)
            self.send("*" * i)

    def closed(self, code, reason=None):
        print("Closed down", code, reason)

    def received_message(self, m):
        print(m)
        if len(m) == 175:
            self.close(reason='Bye bye')

if __name__ == '__main__':
    try:
        ws = DummyClient('ws://localhost:9000/', protocols=['http-only', 'chat'])
        ws.connect()
        ws.run_forever()
    except KeyboardInterrupt:
        ws.close()
"""

REFERENCE = """\
from ws4py_middleware.client.threadedclient import WebSocketClient

class EchoClient(WebSocketClient):
    def opened(self):
       for i in range(0, 200, 25):
          self.send("*" * i)

    def closed(self, code, reason):
       print(("Closed down", code, reason))

    def received_message(self, m):
       print("=> %d %s" % (len(m), str(m)))

try:
    ws = EchoClient('ws://localhost:9000/echo', protocols=['http-only', 'chat'])
    ws.connect()
except KeyboardInterrupt:
   ws.close()
"""

GREENLETS = """\
import gevent
from ws4py_middleware.client.geventclient import WebSocketClient

ws = WebSocketClient('ws://localhost:9000/echo', protocols=['http-only', 'chat'])
ws.connect()

def incoming():
    \"""
    Greenlet waiting for incoming messages
    until ``None`` is received, indicating we can
    leave the loop.
    \"""
    while True:
        m = ws.receive()
        if m is not None:
           print(str(m))
        else:
           break

def send_a_bunch():
    for i in range(0, 40, 5):
       ws.send("*" * i)

greenlets = [
    gevent.spawn(incoming),
    gevent.spawn(send_a_bunch),
]
gevent.joinall(greenlets)
"""

NUMBERS = range(0, 200, 25)


def echo(websocket: ServerConnection) -> None:
    for message in websocket:
        websocket.send(message)


@contextlib.contextmanager
def foreign_server(handle: Callable[[ServerConnection], None]) -> Iterator[int]:
    """Run a server that is not ours; yield its port."""
    with serve_websockets(handle, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.socket.getsockname()[1]
        finally:
            server.shutdown()
            thread.join()


def finish(script: Script) -> list[str]:
    """Wait for the end of a script that ends by itself, and return the lines that it has printed."""
    assert script.process.wait(20) == 0, script.output
    return script.output.splitlines()


# --- threaded ------------------------------------------------------------------------------------------


def test_threaded_block_prints_what_it_sends_and_what_comes_back_and_ends(tmp_path: Path) -> None:
    with foreign_server(echo) as port, run(THREADED.replace("9000", str(port)), tmp_path) as script:
        assert finish(script) == [
            *map(str, NUMBERS),
            "#" * sum(range(1, 200, 25)),
            *["*" * number for number in NUMBERS],
            "Closed down 1000 Bye bye",
        ]


def test_threaded_block_is_ended_by_ctrl_c(tmp_path: Path) -> None:
    codes: list[int | None] = []

    def listen(websocket: ServerConnection) -> None:
        for _ in websocket:
            pass
        codes.append(websocket.close_code)

    with foreign_server(listen) as port, run(THREADED.replace("9000", str(port)), tmp_path) as script:
        script.wait_for("\n175\n")
        script.process.send_signal(signal.SIGINT)
        assert finish(script) == [*map(str, NUMBERS), "Closed down 1000 "]
    assert codes == [1000]


def test_reference_block_exits_quietly_since_its_thread_is_a_daemon(tmp_path: Path) -> None:
    with foreign_server(echo) as port, run(REFERENCE.replace("9000", str(port)), tmp_path) as script:
        lines = finish(script)
        assert all(re.fullmatch(r"=> \d+ \**|\('Closed down', 1001, .*\)", line) for line in lines), lines


def test_reference_block_prints_what_comes_back_when_somebody_waits(tmp_path: Path) -> None:
    block = REFERENCE.replace("ws.connect()\n", "ws.connect()\n    ws.run_forever()\n")
    with foreign_server(echo) as port, run(block.replace("9000", str(port)), tmp_path) as script:
        script.wait_for("=> 175 " + "*" * 175)
        script.process.send_signal(signal.SIGINT)
        assert finish(script) == [
            *[f"=> {number} " + "*" * number for number in NUMBERS],
            "('Closed down', 1000, '')",
        ]


# --- gevent ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("patch", ["", "from gevent import monkey; monkey.patch_all()\n"])
def test_gevent_block_prints_what_comes_back_until_the_server_closes(tmp_path: Path, patch: str) -> None:
    numbers = range(0, 40, 5)

    def echo_some(websocket: ServerConnection) -> None:
        for _ in numbers:
            websocket.send(websocket.recv(timeout=10))

    with foreign_server(echo_some) as port:
        with run(patch + GREENLETS.replace("9000", str(port)), tmp_path) as script:
            assert finish(script) == ["*" * number for number in numbers]


# --- the base class' own examples, which show how it is made ------------------------------------------------


def test_base_client_over_tcp_tls_and_a_unix_socket(tmp_path: Path) -> None:
    """Changed: hosts, paths and, for the certificate of a test, ``ssl_options``."""
    with start("werkzeug", "examples.echo.app:app") as plain:
        ws = WebSocketBaseClient(f"{plain.ws_url}/echo")
        ws.connect()
        check(ws)
    with start("werkzeug", "examples.echo.app:app", tls=True) as tls:
        for ssl_options in (client_context(), {"ca_certs": certificates()[2]}):
            ws = WebSocketBaseClient(f"{tls.ws_url}/echo", ssl_options=ssl_options)
            ws.connect()
            check(ws)
    path = str(tmp_path / "my.sock")
    with scripted(greet, path=path) as server:
        for resource in ("/", "/ws"):
            ws = WebSocketBaseClient("ws+unix://" + path, headers=[("X-Extra", "extra")])
            if resource != "/":
                ws.resource = resource
            ws.connect()
            check(ws)
            assert server.visits[-1].request.startswith(f"GET {resource} HTTP/1.1\r\n".encode())
            assert server.visits[-1].header("X-Extra") == ["extra"]


def greet(visit: Visit) -> None:
    visit.accept(text("x"))
    visit.answer_close()


def check(ws: WebSocketBaseClient) -> None:
    ws.send("x")
    assert str(ws.receive(10)) == "x"
    ws.close()
    ws.run()
    assert ws.terminated
