"""People in a room at all workers, who talk all the time, and what each of them has heard."""

from __future__ import annotations

import contextlib
import json
import select
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from tests.faults.harness import Watched
from tests.promises.attacker import Latency, Peer
from tests.promises.wire import PING, PONG, TEXT, frame
from tests.servers import wait_for

__all__ = ["Person", "Traffic", "ask"]

#: Seconds between two things that are said, by whoever it is.
INTERVAL = 0.01


class Person:
    """A client at one worker, in a room."""

    def __init__(self, watched: Watched, worker: int, room: str, name: str) -> None:
        self.worker = worker
        self.room = room
        self.name = name
        self.peer = watched.connect_to(worker, "/ws")
        self.said = 0
        #: By name: the numbers, in the order of hearing.
        self.heard: dict[str, list[int]] = {}
        #: What was told by others than people.
        self.told: list[str] = []
        self.is_there = True

    def command(self, **request: Any) -> None:
        """Ask for something; the answer is read, and forgotten."""
        self.peer.send(frame(TEXT, json.dumps(request).encode()))

    def take(self, traffic: Traffic) -> bool:
        """Take what has come; return whether the connection is there."""
        self.is_there = self.peer.fill()
        now = time.perf_counter()
        while (found := self.peer.take_frame()) is not None:
            if found.opcode in (PING, PONG):
                continue
            assert found.opcode == TEXT, found
            text = found.payload.decode()
            name, *rest = text.split(" ")
            if name in traffic.people and len(rest) == 2:
                self.heard.setdefault(name, []).append(int(rest[0]))
                if traffic.people[name].worker == self.worker:
                    traffic.local.append(now - float(rest[1]))
            elif not text.startswith('{"answer"'):
                self.told.append(text)
        return self.is_there


class Traffic:
    """
    A thread in which some people at each worker talk in a room, one after the other, while the block runs.

    Args:
        each: How many at each worker.
    """

    def __init__(self, watched: Watched, room: str = "lobby", each: int = 2) -> None:
        self.watched = watched
        self.room = room
        self.each = each
        self.people: dict[str, Person] = {}
        #: How long it took until people at the same worker have heard what was said.
        self.local = Latency()
        self._lock = threading.Lock()  # for who comes while the others talk
        self._stop = threading.Event()
        self._is_talking = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Traffic:
        for worker in self.watched.workers:
            for _ in range(self.each):
                self.enter(worker)
        self._is_talking.set()
        self._thread.start()
        try:
            self.wait_heard_by_all()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        for person in self.people.values():
            person.peer.sock.close()
        if self._error is not None:
            raise self._error

    @property
    def present(self) -> list[Person]:
        """Those whose connection is there."""
        with self._lock:
            return [person for person in self.people.values() if person.is_there]

    @property
    def talking(self) -> list[Person]:
        """Those of them who are in the room."""
        return [person for person in self.present if person.room == self.room]

    def enter(self, worker: int, room: str | None = None) -> Person:
        """Let one more come in, at a worker."""
        person = Person(self.watched, worker, room or self.room, f"p{len(self.people)}")
        person.command(join=person.room, info={"name": person.name})
        with self._lock:
            self.people[person.name] = person
        return person

    def wait_heard_by_all(self, timeout: float = 10.0) -> float:
        """Wait until everybody has heard what everybody says from now on; return the seconds."""
        began = time.monotonic()
        marks = {person.name: person.said for person in self.talking}

        def is_heard() -> bool:
            people = self.talking
            return all(
                person.heard.get(name, [-1])[-1] >= marks.get(name, 0)
                for person in people
                for name in (other.name for other in people)
            )

        wait_for(lambda: is_heard() or self._error is not None, timeout, "everybody to hear everybody")
        return time.monotonic() - began

    def go_on(self, seconds: float) -> None:
        """Let them talk for a while."""
        self._stop.wait(seconds)
        if self._error is not None:
            raise self._error

    @contextlib.contextmanager
    def silence(self) -> Iterator[None]:
        """Let nobody talk, and everybody hear what was said."""
        self._is_talking.clear()
        try:
            yield
        finally:
            self._is_talking.set()

    def check_local(self) -> None:
        """Check that those of one worker have heard each other, each thing once and in order."""
        self._check(lambda one, other: one.worker == other.worker)

    def check_all(self) -> None:
        """Check that all have heard all, each thing once and in order, since they have come."""
        self._check(lambda one, other: True)

    def _check(self, should_hear: Callable[[Person, Person], bool]) -> None:
        with self.silence():
            time.sleep(2 * INTERVAL)
            said = {person.name: person.said for person in self.talking}

            def missing() -> list[str]:
                return [
                    f"{person.name} of {name}: {numbers[-1:]} of {said[name]}"
                    for person in self.talking
                    for name in said
                    if should_hear(person, self.people[name])
                    and (numbers := person.heard.get(name, []))[-1:] != [said[name] - 1]
                ]

            wait_for(lambda: not missing(), 5, f"everybody to hear the rest: {missing()}")
            for person in self.talking:
                for name, numbers in person.heard.items():
                    assert numbers == sorted(set(numbers)), (person.name, name, "each once, in order")
                    if should_hear(person, self.people[name]):
                        assert numbers == list(range(numbers[0], numbers[-1] + 1)), (person.name, name)

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                for person in self.talking:
                    if self._is_talking.is_set():
                        self._say(person)
                    self._read(INTERVAL)
        except BaseException as error:
            self._error = error

    def _say(self, person: Person) -> None:
        text = f"{person.name} {person.said} {time.perf_counter():.9f}"
        with contextlib.suppress(ConnectionError):  # it is seen to have gone when it is read from
            person.command(publish=self.room, text=text)
            person.said += 1

    def _read(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        people = {person.peer.sock.fileno(): person for person in self.present}
        poll = select.poll()
        for fd in people:
            poll.register(fd, select.POLLIN)
        while (left := until - time.monotonic()) > 0:
            for fd, _ in poll.poll(left * 1000):
                if not people[fd].take(self):
                    poll.unregister(fd)


def ask(peer: Peer, text: str = "?") -> Any:
    """Send something, and return the answer, which is JSON."""
    peer.send(frame(TEXT, text.encode()))
    while (found := peer.read_frame()).opcode != TEXT:
        pass
    return json.loads(found.payload)
