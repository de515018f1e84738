"""Node: where it is, and its two clients, ``ws`` and the one that it has of itself."""

from __future__ import annotations

import contextlib
import functools
import itertools
import json
import queue
import shutil
import subprocess
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import monotonic
from typing import Any, NamedTuple

from tests.interop.foreign.talker import BOUND, FIN_ONLY, Data, Foreign, Options, Talker

FOLDER = Path(__file__).resolve().parents[1] / "node"


@functools.cache
def find_node() -> list[str]:
    """
    Return the words that start Node, with a WebSocket of its own where it has one.

    Node 22 has it by default, 20.10 behind a flag. Older ones have the package that it is made of,
    undici, beside ``ws``.

    Raises:
        RuntimeError: There is no Node, or none with the package that the tests need.
    """
    node = shutil.which("node")
    if node is None:
        raise RuntimeError("there is no node; please run: sudo apt-get install nodejs npm")
    if not all((FOLDER / "node_modules" / name / "package.json").exists() for name in ("ws", "undici")):
        raise RuntimeError(f"Node's packages are missing; please run: npm ci --prefix {FOLDER}")
    flag = "--experimental-websocket"
    for words in ([node], [node, flag]):
        asked = subprocess.run(
            [*words, "-p", "typeof WebSocket"], check=False, capture_output=True, timeout=BOUND
        )
        if asked.stdout.strip() == b"function":
            return words
    return [node]


class Event(NamedTuple):
    what: dict[str, Any]
    payload: bytes
    when: float


class Node:
    """One process for all connections, which are told apart by numbers."""

    def __init__(self) -> None:
        # What is experimental says so on stderr; errors end the process, and are told.
        self._process = subprocess.Popen(
            [*find_node(), "--no-warnings", str(FOLDER / "client.js")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._events: dict[int, queue.SimpleQueue[Event | None]] = {}
        self._ids = itertools.count(1)
        ready = self._read_event()
        assert ready is not None, "node has ended at once"
        assert ready.what["event"] == "ready", ready
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(BOUND)
        finally:
            self._process.kill()
            self._reader.join(BOUND)
            self._process.stdout.close()

    def open(self, impl: str, url: str, options: Options) -> NodeTalker:
        number = next(self._ids)
        self._events[number] = queue.SimpleQueue()
        talker = NodeTalker(self, number)
        talker.open(impl, url, options)
        return talker

    def tell(self, number: int, command: str, payload: bytes | None = None, **what: Any) -> None:
        line = {"id": number, "command": command, **what}
        if payload is not None:
            line["length"] = len(payload)
        pipe = self._process.stdin
        assert pipe is not None
        pipe.write(json.dumps(line).encode() + b"\n" + (payload or b""))
        pipe.flush()

    def get(self, number: int) -> Event:
        event = self._events[number].get(timeout=BOUND)
        if event is None:
            self._events[number].put(None)
            raise RuntimeError(f"node has ended with {self._process.wait(BOUND)}")
        return event

    def _read(self) -> None:
        while (event := self._read_event()) is not None:
            self._events[event.what["id"]].put(event)
        for events in self._events.values():
            events.put(None)

    def _read_event(self) -> Event | None:
        pipe = self._process.stdout
        assert pipe is not None
        line = pipe.readline()
        if not line:
            return None
        what = json.loads(line)
        return Event(what, pipe.read(what.get("length", 0)), monotonic())


class NodeTalker(Talker):
    def __init__(self, node: Node, number: int) -> None:
        self._node = node
        self._number = number
        self._opened: dict[str, Any] = {}
        self._end: tuple[int | None, str] | None = None

    def open(self, impl: str, url: str, options: Options) -> None:
        self._node.tell(
            self._number,
            "open",
            impl=impl,
            url=url,
            subprotocols=list(options.subprotocols),
            compression=options.compression,
        )
        self._opened = self._node.get(self._number).what
        assert self._opened["event"] == "open", self._opened

    @property
    def subprotocol(self) -> str | None:
        return self._opened["protocol"] or None

    @property
    def is_compressed(self) -> bool:
        return "permessage-deflate" in self._opened["extensions"]

    def send(self, data: Data) -> None:
        self._send("send", data)

    def send_fragments(self, pieces: Sequence[Data], ping: bytes | None = None) -> None:
        for number, piece in enumerate(pieces):
            self._send("fragment", piece, fin=number == len(pieces) - 1)
            if number == 0 and ping is not None:
                self._node.tell(self._number, "ping", ping)

    def _send(self, command: str, data: Data, **what: Any) -> None:
        payload = data.encode() if isinstance(data, str) else data
        self._node.tell(self._number, command, payload, binary=isinstance(data, bytes), **what)

    def receive(self) -> Data | None:
        while (event := self._get()).what["event"] == "pong":
            pass
        if event.what["event"] == "close":
            return None
        assert event.what["event"] == "message", event.what
        return event.payload if event.what["binary"] else event.payload.decode()

    def _get(self) -> Event:
        event = self._node.get(self._number)
        if event.what["event"] == "close":
            self._end = event.what["code"], event.what["reason"]
        return event

    def ping(self, data: bytes) -> float:
        start = monotonic()
        self._node.tell(self._number, "ping", data)
        event = self._get()
        assert (event.what["event"], event.payload) == ("pong", data)
        return event.when - start

    def close(self, code: int | None, reason: str) -> None:
        self._node.tell(self._number, "close", code=code, reason=reason)

    def get_end(self) -> tuple[int | None, str]:
        while self._end is None:
            self.receive()
        return self._end


class Shared:
    """The process of all tests, started for the first of them."""

    def __init__(self) -> None:
        self._node: Node | None = None

    @contextlib.contextmanager
    def connect(self, impl: str, url: str, options: Options) -> Iterator[Talker]:
        if self._node is None:
            self._node = Node()
        talker = self._node.open(impl, url, options)
        try:
            yield talker
        finally:
            talker.close(1000, "")
            talker.get_end()

    def close(self) -> None:
        if self._node is not None:
            self._node.close()
            self._node = None


NODE = Shared()

CLIENTS = {
    "node-ws": Foreign("ws (Node)", functools.partial(NODE.connect, "ws")),
    "node-builtin": Foreign(
        "Node's WebSocket",
        functools.partial(NODE.connect, "builtin"),
        {
            "fragments sent": FIN_ONLY,
            "ping between fragments": FIN_ONLY,
            "pings sent": "As in browsers, there is no call for it.",
            "16 MiB, compressed": "It takes 4 MiB at most of what comes compressed.",
        },
        always_offers=True,
    ),
}
