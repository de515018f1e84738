"""Rooms on real servers: with threads, greenlets, CherryPy's and asyncio, as foreign clients see it."""

from __future__ import annotations

import contextlib
import functools
import json
import socket
import struct
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from websockets.sync.client import ClientConnection, connect

from tests.entrances.wire import build, read_head
from tests.promises.wire import TEXT, frame
from tests.servers import Server, start, wait_for

APP = "tests.entrances.rooms_app:"
SERVERS = {
    "gunicorn-gthread": "app",
    "gunicorn-gevent": "app",
    "cherrypy": "cherrypy_app",
    "uvicorn-websockets-sansio": "asgi_app",
}


@pytest.fixture(scope="module", params=SERVERS)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    kind = request.param
    with start(kind, APP + SERVERS[kind], directory=tmp_path_factory.mktemp(kind)) as server:
        yield server
        log = server.log
    assert "Traceback" not in log.replace("Traceback", "", log.count("asked for by the test")), log


class Visitor:
    """A foreign client, and what it was told beside the answers."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    def hear(self) -> Any:
        return self.socket.recv(timeout=10)

    def ask(self, **request: Any) -> Any:
        """Ask for something; what was published before the answer came is left out."""
        self.socket.send(json.dumps(request))
        while True:
            heard = self.hear()
            if isinstance(heard, str) and heard.startswith('{"answer"'):
                return json.loads(heard)["answer"]

    def reset(self) -> None:
        sock = self.socket.socket
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.shutdown(socket.SHUT_RD)
        sock.close()


@contextlib.contextmanager
def visitors(server: Server, count: int, path: str = "/ws") -> Iterator[list[Visitor]]:
    """Let some in; when they are gone, the rooms are as before."""
    before = rooms(server)
    with contextlib.ExitStack() as stack:
        yield [
            Visitor(stack.enter_context(connect(server.ws_url + path, compression=None, max_size=None)))
            for _ in range(count)
        ]
    wait_for(lambda: rooms(server) == before, 10, "the rooms to be left")


def rooms(server: Server) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(server.http("/rooms").body)
    return found


def say(server: Server, room: str, text: str) -> int:
    return int(server.http("/say?" + urlencode({"room": room, "text": text})).body)


def test_who_is_in_a_room_hears_what_is_published_there(server: Server) -> None:
    with visitors(server, 3) as (ann, bob, eve):
        ids = {who.ask(join="red", info={"name": name}) for who, name in ((ann, "Änn"), (bob, "Bob"))}
        assert len(ids) == 2
        eve.ask(join="blue")
        assert ann.ask(members="red") == [{"name": "Änn"}, {"name": "Bob"}]
        assert rooms(server) == {"red": [{"name": "Änn"}, {"name": "Bob"}], "blue": [{}]}
        assert ann.ask(publish="red", text="1", others=True) == 1
        assert eve.ask(publish="red", text="2") == 2
        assert say(server, "red", "3") == 2
        assert say(server, "nobody", "x") == 0
        assert [bob.hear(), bob.hear(), bob.hear()] == ["1", "2", "3"]
        assert [ann.hear(), ann.hear()] == ["2", "3"]
        ann.ask(join="red", info={"name": "Anna"})
        ann.ask(leave="red")
        assert say(server, "red", "4") == 1
        assert bob.hear() == "4"
        assert say(server, "blue", "5") == 1
        assert eve.hear() == "5"


def test_presence_is_told_however_a_connection_ends(server: Server) -> None:
    with visitors(server, 1) as (watcher,):
        watcher.ask(join="watch")
        with visitors(server, 3) as (ann, bob, eve):
            for who, name in ((ann, "Ann"), (bob, "Bob"), (eve, "Eve")):
                who.ask(join="red", info={"name": name})
            for count, name in enumerate(("Ann", "Bob", "Eve"), 1):
                assert json.loads(watcher.hear()) == ["joined", "red", {"name": name}, count]
            ann.ask(leave="red")
            assert json.loads(watcher.hear()) == ["left", "red", {"name": "Ann"}, 2]
            bob.reset()
            assert json.loads(watcher.hear()) == ["left", "red", {"name": "Bob"}, 1]
            eve.socket.close()
            assert json.loads(watcher.hear()) == ["left", "red", {"name": "Eve"}, 0]
            ann.ask(join="red", info={"name": "Ann"})
            assert json.loads(watcher.hear()) == ["joined", "red", {"name": "Ann"}, 1]
        assert json.loads(watcher.hear()) == ["left", "red", {"name": "Ann"}, 0]


def test_functions_are_members_too(server: Server) -> None:
    with visitors(server, 1) as (ann,):
        ann.ask(join="red", info={"name": "Ann"})
        with visitors(server, 2, "/function") as (bob, eve):
            bob.ask(join="red")
            eve.ask(join="red")
            assert bob.ask(publish="red", text="1", others=True) == 2
            assert ann.ask(publish="red", text="2") == 3
            assert say(server, "red", "3") == 3
            assert [bob.hear(), bob.hear()] == ["2", "3"]
            assert [eve.hear(), eve.hear(), eve.hear()] == ["1", "2", "3"]
            bob.reset()
            wait_for(lambda: len(rooms(server)["red"]) == 2)
            eve.ask(leave="red")
            assert rooms(server) == {"red": [{"name": "Ann"}]}


def test_callback_that_raises_ends_nothing(server: Server) -> None:
    with visitors(server, 2) as (ann, bob):
        ann.ask(join="fail")
        ann.ask(join="red")
        bob.ask(join="red")
        ann.ask(leave="fail")
        assert bob.ask(publish="red", text="still here", others=True) == 1
        assert ann.hear() == "still here"


def test_each_publisher_is_heard_in_its_order_by_everybody(server: Server) -> None:
    with visitors(server, 5) as (ann, bob, eve, *publishers):
        for who in (ann, bob, eve):
            who.ask(join="red")
        counts: dict[str, int] = {}

        def burst(publisher: Visitor, name: str) -> None:
            counts[name] = publisher.ask(burst="red", count=200, name=name)

        threads = [
            threading.Thread(target=burst, args=(publisher, name))
            for publisher, name in zip(publishers, "xy", strict=True)
        ]
        for thread in threads:
            thread.start()
        for number in range(50):
            say(server, "red", f"z {number}")
        for thread in threads:
            thread.join(20)
        assert counts == {"x": 600, "y": 600}
        for who in (ann, bob, eve):
            heard = [who.hear() for _ in range(450)]
            for name, count in (("x", 200), ("y", 200), ("z", 50)):
                said = [text for text in heard if text.startswith(name)]
                assert said == [f"{name} {number}" for number in range(count)]


def test_who_does_not_read_keeps_nobody_waiting(server: Server) -> None:
    with visitors(server, 2) as (ann, publisher), contextlib.closing(open_raw(server, "/ws")) as stuck:
        ann.ask(join="red")
        stuck.sendall(frame(TEXT, b'{"join": "red"}'))
        wait_for(lambda: len(rooms(server)["red"]) == 2)
        heard: list[bytes] = []
        reader = threading.Thread(target=lambda: heard.extend(ann.hear() for _ in range(300)))
        reader.start()
        # 19 MiB: more than the sockets hold, and far more than is queued for anybody.
        for goal in range(10, 301, 10):
            publisher.ask(flood="red", count=10)
            wait_for(functools.partial(has, heard, goal), what="who reads to have read")
        reader.join(20)
        assert not reader.is_alive()
        assert [int(data[:8]) for data in heard] == list(range(10)) * 30
        wait_for(lambda: len(rooms(server)["red"]) == 1, what="the stuck one to be dropped")


def has(items: list[bytes], count: int) -> bool:
    return len(items) >= count


def open_raw(server: Server, path: str) -> socket.socket:
    """Open a WebSocket that does nothing by itself."""
    sock = server.connect()
    sock.sendall(build(path))
    answer = read_head(sock)
    assert answer.status == 101
    return sock


def test_thousand_members_each_get_each_message_once(tmp_path: Any) -> None:
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(start("gunicorn-gthread", APP + "app", directory=tmp_path))
        fds = server.fds()
        socks = []
        for number in range(1000):
            sock = server.connect()
            stack.enter_context(contextlib.closing(sock))
            sock.sendall(build(f"/many?{number}"))
            socks.append(sock)
        for sock in socks:
            answer = read_head(sock)
            assert answer.status == 101
            assert read_exactly(sock, 4, answer.rest) == b"\x81\x02in"
        names = [member["name"] for member in rooms(server)["many"]]
        assert sorted(map(int, names)) == list(range(1000))
        for number in range(10):
            assert say(server, "many", f"number {number}") == 1000
        expected = b"".join(b"\x81\x08number %d" % number for number in range(10))
        for sock in socks:
            assert read_exactly(sock, len(expected)) == expected
        for sock in socks[::2]:
            sock.close()
        wait_for(lambda: len(rooms(server)["many"]) == 500, 20)
        assert say(server, "many", "the rest") == 500
        for sock in socks[1::2]:
            assert read_exactly(sock, 10) == b"\x81\x08the rest"
            sock.close()
        wait_for(lambda: rooms(server) == {}, 20)
        wait_for(lambda: server.fds() <= fds + 8, 20, "the descriptors to be closed")
        assert "Traceback" not in server.log


def read_exactly(sock: socket.socket, size: int, begun: bytes = b"") -> bytes:
    data = begun
    while len(data) < size:
        chunk = sock.recv(size - len(data))
        assert chunk, f"it ended after {data!r}"
        data += chunk
    return data
