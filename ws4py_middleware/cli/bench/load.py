"""
The load: many clients in the hands of one manager, each with so many messages on the way.

A manager makes more of a core than anything else here, 7 µs a message where tasks of asyncio take 11: what
has arrived is read, checked, answered and sent in one turn. Nothing is handed on to other threads; the only
other one that sends is the caller's, which begins, and keeps the pace where there is one.
"""

from __future__ import annotations

import os
import random
import string
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from time import perf_counter_ns
from typing import Any

from ...client import WebSocketBaseClient
from ...exc import ConnectionClosed
from ...manager import WebSocketManager
from ...messaging import Message
from .histogram import Histogram

__all__ = ["Plan", "Result", "Run"]

#: A message, and the bytes that its answer is to have.
_Payload = tuple[str | bytes, bytes]

#: So many connections are opened at a time.
_DIALERS = 16

#: How often the pace is looked at; seconds.
_TICK = 0.001

#: What different messages may take up; bytes.
_PAYLOADS_SIZE = 16 * 1024**2

#: Most messages that are sent then; who is that late lets the answers be taken first.
_BATCH = 1000


@dataclass(frozen=True)
class Plan:
    """What is to be done."""

    url: str
    connections: int = 10
    #: Bytes of each message.
    size: int = 125
    #: Messages on the way of each connection.
    depth: int = 1
    #: Seconds.
    duration: float = 10.0
    binary: bool = False
    #: Messages a second of all connections together; ``None``: as many as there can be.
    rate: float | None = None
    #: Take whatever the server sends for the answer.
    any_answer: bool = False


@dataclass
class Result:
    """What came of it."""

    plan: Plan
    #: Connections that were opened, and how long each took; nanoseconds.
    opened: int = 0
    open_times: Histogram = field(default_factory=Histogram)
    #: Answers, and how long each took; nanoseconds.
    answered: int = 0
    latencies: Histogram = field(default_factory=Histogram)
    #: Answers that are not what was sent, and messages that nobody has asked for.
    wrong: int = 0
    unasked: int = 0
    #: Messages whose answers have not come; and those that were due by the pace, and had no room.
    unanswered: int = 0
    unsent: int = 0
    #: Why connections could not be opened, and how those ended that did too early → how many.
    failures: Counter[str] = field(default_factory=Counter)
    endings: Counter[tuple[int, str]] = field(default_factory=Counter)
    #: The first of the failures.
    first_failure: Exception | None = None
    #: Seconds of the clock, and of this process' CPU, that the messages took.
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    #: It was stopped before its time.
    is_interrupted: bool = False

    @property
    def rate(self) -> float:
        """Messages a second, there and back."""
        return self.answered / self.seconds if self.seconds else 0.0

    @property
    def cpu_share(self) -> float:
        """How busy this process was; 1.0 is a whole core."""
        return self.cpu_seconds / self.seconds if self.seconds else 0.0

    @property
    def errors(self) -> int:
        """All that went wrong."""
        lost = sum(self.failures.values()) + sum(self.endings.values())
        return self.wrong + self.unasked + self.unanswered + lost


class _Client(WebSocketBaseClient):
    """One connection: each answer is checked, timed, and followed by the next message."""

    run_of: Run
    payloads: list[_Payload]

    def prepare(self, run: Run, payloads: list[_Payload]) -> None:
        self.run_of = run
        self.payloads = payloads
        self.is_text = not run.plan.binary
        #: When each message was sent that is on its way, and what it was.
        self.sent: deque[tuple[int, bytes]] = deque()
        #: When messages should have been sent that have to wait.
        self.due: deque[int] = deque()
        self.lock = threading.Lock()
        self._turn = 0

    def handshake_ok(self) -> None:
        self.run_of.manager.add(self)

    def begin(self, start: int) -> None:
        """Send one more message."""
        with self.lock:
            self._send_next(start)

    def pace(self, due: int) -> None:
        """Send a message that is due, or let it wait for its turn; its time counts from when it was due."""
        with self.lock:
            if self.due or len(self.sent) >= self.run_of.plan.depth:
                self.due.append(due)
            else:
                self._send_next(due)

    def _send_next(self, start: int) -> None:
        # Under the lock: messages are sent in the order in which their answers are awaited.
        turn = self._turn
        self._turn = turn + 1 if turn + 1 < len(self.payloads) else 0
        payload, data = self.payloads[turn]
        self.sent.append((start, data))
        self.send(payload, not self.is_text)

    def received_message(self, message: Message) -> None:
        now = perf_counter_ns()
        run = self.run_of
        result = run.result
        try:
            start, expected = self.sent.popleft()
        except IndexError:
            result.unasked += 1
            return
        if not run.plan.any_answer and (message.data != expected or message.is_text != self.is_text):
            result.wrong += 1
        if not run.is_on:
            return
        result.answered += 1
        result.latencies.record(now - start)
        with self.lock:
            if run.plan.rate is None:
                self._send_next(perf_counter_ns())
            elif self.due:
                self._send_next(self.due.popleft())

    def closed(self, code: int, reason: str | None = None) -> None:
        run = self.run_of
        if not run.is_over:
            run.result.endings[code, reason or ""] += 1


class Run:
    """
    One measurement.

    Args:
        plan: What is to be done.
        arguments: Of :class:`~ws4py_middleware.client.base.ClientBase`.
        grace: How long answers may take that have not come when the time is over; seconds.
    """

    def __init__(self, plan: Plan, arguments: Mapping[str, Any], *, grace: float = 2.0) -> None:
        self.plan = plan
        self.grace = grace
        self.result = Result(plan)
        self.manager = WebSocketManager(max_threads=1)
        self.manager.daemon = True
        #: Whether messages are sent, and counted.
        self.is_on = False
        #: Whether connections may end.
        self.is_over = False
        waiting = max(1024 * 1024, 4 * plan.depth * (plan.size + 16))
        self.arguments = {
            **arguments,
            # The messages on the way are limited by their number; whose network is full needs no other bound.
            "write_high_water": waiting,
            "write_limit": waiting,
            "max_connections": None,
            "max_message_size": max(arguments["max_message_size"], plan.size),
        }
        self.clients: list[_Client] = []
        #: What is sent, in turn.
        self.payloads = _make_payloads(plan)
        # What cannot be sent shows here.
        self._make_client()

    def measure(self, tell: Callable[[str, float], None]) -> Result:
        """
        Open the connections, send for as long as the plan says, and close them.

        Args:
            tell: Told of the phase, ``"connecting"`` or ``"measuring"``, and how much of it is done: 0 to 1.
        """
        self.manager.start()
        try:
            self._connect(tell)
            if self.clients:
                self._load(tell)
        except KeyboardInterrupt:
            self.is_on = False
            self.result.is_interrupted = True
        finally:
            self._end()
        return self.result

    def _make_client(self) -> _Client:
        client = _Client(self.plan.url, **self.arguments)
        client.prepare(self, self.payloads)
        return client

    def _dial(self) -> tuple[_Client, int]:
        client = self._make_client()
        start = perf_counter_ns()
        client.connect()
        return client, perf_counter_ns() - start

    def _connect(self, tell: Callable[[str, float], None]) -> None:
        count = self.plan.connections
        with ThreadPoolExecutor(min(_DIALERS, count), "Dialer") as pool:
            try:
                for done, future in enumerate(as_completed(pool.submit(self._dial) for _ in range(count)), 1):
                    error = future.exception()
                    if error is None:
                        client, took = future.result()
                        self.clients.append(client)
                        self.result.open_times.record(took)
                    elif isinstance(error, Exception):
                        self.result.first_failure = self.result.first_failure or error
                        self.result.failures[str(error) or type(error).__name__] += 1
                    tell("connecting", done / count)
            except KeyboardInterrupt:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        self.result.opened = len(self.clients)

    def _load(self, tell: Callable[[str, float], None]) -> None:
        plan, result = self.plan, self.result
        self.is_on = True
        cpu, start = time.process_time(), time.perf_counter()
        end = start + plan.duration
        try:
            if plan.rate is None:
                self._fill()
                while self._is_alive() and (left := end - time.perf_counter()) > 0:
                    time.sleep(min(left, 0.1))
                    tell("measuring", min(1.0, 1 - (end - time.perf_counter()) / plan.duration))
            else:
                self._keep_pace(plan.rate, end, tell)
        finally:
            self.is_on = False
            result.seconds = time.perf_counter() - start
            result.cpu_seconds = time.process_time() - cpu
        self._await_answers()

    def _is_alive(self) -> bool:
        return any(client.is_open for client in self.clients)

    def _fill(self) -> None:
        for _ in range(self.plan.depth):
            for client in self.clients:
                self._send(client.begin)

    def _send(self, send: Callable[[int], None], due: int | None = None) -> None:
        try:
            send(perf_counter_ns() if due is None else due)
        except ConnectionClosed:
            return  # closed() is told of it

    def _keep_pace(self, rate: float, end: float, tell: Callable[[str, float], None]) -> None:
        first = perf_counter_ns()
        step = 1e9 / rate
        sent = 0
        while self._is_alive() and (left := end - time.perf_counter()) > 0:
            now = perf_counter_ns()
            for _ in range(_BATCH):
                due = first + int(sent * step)
                if due > now:
                    break
                self._send(self.clients[sent % len(self.clients)].pace, due)
                sent += 1
            tell("measuring", 1 - left / self.plan.duration)
            time.sleep(min(_TICK, left))

    def _await_answers(self) -> None:
        deadline = time.monotonic() + self.grace
        while (waiting := self._count_waiting()) and time.monotonic() < deadline and self._is_alive():
            time.sleep(0.005)
        self.result.unanswered = waiting
        self.result.unsent = sum(len(client.due) for client in self.clients)

    def _count_waiting(self) -> int:
        return sum(len(client.sent) for client in self.clients if client.is_open)

    def _end(self) -> None:
        self.is_over = True
        for client in self.clients:
            client.close()
        for client in self.clients:
            client.run()  # until the closing handshake is done, or has had its time
        self.manager.stop()


def _make_payloads(plan: Plan) -> list[_Payload]:
    """Make messages of which no two on the way of a connection are alike, as far as their size allows."""
    if plan.binary:
        base = os.urandom(plan.size)
    else:
        # Further back than deflate looks, so that it finds nothing twice.
        block = "".join(
            random.choices(string.ascii_letters + string.digits, k=min(plan.size, 65536))
        ).encode()
        base = (block * (plan.size // 65536 + 1))[: plan.size]
    # A text is there twice. Where there is no room for more, messages are the same bytes.
    fitting = _PAYLOADS_SIZE // max(1, plan.size if plan.binary else 2 * plan.size)
    names = [b"%08x" % number for number in range(max(1, min(plan.depth + 1, 1025, fitting)))]
    # The last digits say most.
    messages = [name[max(0, 8 - plan.size) :] + base[min(8, plan.size) :] for name in names]
    return [(each if plan.binary else each.decode(), each) for each in messages]
