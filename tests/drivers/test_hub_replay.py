"""The server's part of ``ws4py.replay.v1``, on each kind of manager."""

from __future__ import annotations

import gc
import json
import socket
import threading
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

from tests.drivers.contract import Host
from tests.drivers.houses import HOSTS, House, open_host
from tests.drivers.peer import QUIET, Peer, Recorder, small_pair, wait_until
from tests.drivers.threads import ThreadHost
from ws4py_middleware.core.policy import Policy
from ws4py_middleware.hub import Hub
from ws4py_middleware.hub.replay import SUBPROTOCOL, parse_resume

MARK = "\x1e"


def note(**fields: Any) -> str:
    """Write a message of the protocol."""
    return MARK + json.dumps(fields)


class Keeping(House):
    """With a hub that has a history."""

    def __init__(self, host: Host, kind: type[Recorder]) -> None:
        super().__init__(host, kind, Hub(history=100))

    def visit(
        self,
        *rooms: str,
        resume: dict[str, str] | None = None,
        policy: Policy = QUIET,
        **options: Any,
    ) -> tuple[Recorder, Any]:
        """Let somebody in, who speaks the protocol; return both ends."""
        recorder = self.kind(protocols=[SUBPROTOCOL])
        recorder.policy = policy
        peer = self.enter(recorder, rooms, **options)
        if resume is not None:
            peer.send(note(resume=resume))
        return recorder, peer

    def read(self, peer: Any) -> Any:
        """Read one message of the protocol."""
        text = peer.read()
        assert text[0] == MARK
        return json.loads(text[1:])


@pytest.fixture(params=HOSTS)
def house(request: pytest.FixtureRequest) -> Iterator[Keeping]:
    with open_host(request.param) as (host, kind):
        yield Keeping(host, kind)


def test_client_is_told_where_it_is_and_gets_envelopes(house: Keeping) -> None:
    ann, peer = house.visit("red", resume={})
    here = house.read(peer)
    assert set(here) == {"room", "id"}
    house.hub.publish("red", "ü")
    house.hub.publish("red", b"\xff")
    first, second = house.read(peer), house.read(peer)
    assert (first["room"], first["data"]) == ("red", "ü")
    assert second["base64"] == "/w=="
    assert len({here["id"], first["id"], second["id"]}) == 3
    peer.send("hello")
    house.host.wait_until(lambda: ann.messages == ["hello"])  # the resume came to nobody
    peer.finish()
    house.host.wait_closed(ann)


def test_client_that_comes_back_gets_what_it_missed_and_then_what_is_published(house: Keeping) -> None:
    _, peer = house.visit("red", resume={})
    house.read(peer)
    house.hub.publish("red", "0")
    known = house.read(peer)["id"]
    peer.finish()
    for number in range(1, 20):
        house.hub.publish("red", str(number))
    _, peer = house.visit("red", "blue", resume={"red": known, "elsewhere": "17-0"})
    house.hub.publish("red", "20")
    said = [house.read(peer) for _ in range(21)]
    assert [one["data"] for one in said if one["room"] == "red"] == [str(n) for n in range(1, 21)]
    assert [set(one) for one in said if one["room"] == "blue"] == [{"room", "id"}]
    peer.finish()


def test_nothing_is_sent_of_rooms_until_the_client_has_said_something(house: Keeping) -> None:
    ann, peer = house.visit("red")
    house.hub.publish("red", "before")
    ann.send("direct")
    assert peer.read() == "direct"
    peer.send("another message")
    assert set(house.read(peer)) == {"room", "id"}
    house.hub.publish("red", "after")
    assert house.read(peer)["data"] == "after"
    house.host.wait_until(lambda: ann.messages == ["another message"])
    peer.finish()


def test_rooms_begin_by_themselves_after_open_timeout(house: Keeping) -> None:
    _, peer = house.visit("red", policy=QUIET.replace(open_timeout=0.2))
    assert set(house.read(peer)) == {"room", "id"}
    house.hub.publish("red", "hello")
    assert house.read(peer)["data"] == "hello"
    peer.send(note(resume={}))
    assert peer.answer() == (1013, "the resume came too late")


def test_client_knows_better_than_the_handler_where_it_was(house: Keeping) -> None:
    for number in range(4):
        house.hub.publish("red", str(number))
    ids = [kept.id for kept in house.hub.history("red")]
    _, peer = house.visit("red", since=ids[0], resume={"red": ids[2]})
    assert house.read(peer)["data"] == "3"
    peer.finish()
    _, peer = house.visit("red", since=ids[1], resume={})
    assert [house.read(peer)["data"] for _ in range(2)] == ["2", "3"]
    peer.finish()


def test_gap_is_told_once_and_all_that_is_kept_follows(house: Keeping) -> None:
    house.hub = Hub(history=3)
    house.hub.publish("red", "0")
    known = house.hub.history("red")[0].id
    for number in range(1, 6):
        house.hub.publish("red", str(number))
    for since in (known, "another-epoch-17", "0"):
        _, peer = house.visit("red", resume={"red": since})
        assert house.read(peer) == {"room": "red", "gap": True}
        assert [house.read(peer)["data"] for _ in range(3)] == ["3", "4", "5"]
        house.hub.publish("nobody", "here")
        peer.finish()


def test_who_is_taken_out_is_told(house: Keeping) -> None:
    ann, peer = house.visit("red", resume={})
    house.read(peer)
    ann.leave("red")
    assert house.read(peer) == {"room": "red", "left": True}
    house.hub.publish("red", "unheard")
    ann.join("red")
    assert set(house.read(peer)) == {"room", "id"}
    peer.finish()


def test_rooms_without_a_history_are_told_of_in_the_same_way(house: Keeping) -> None:
    house.hub = Hub()
    _, peer = house.visit("red", resume={"red": "17-0"})
    wait_until(lambda: house.hub.publish("red", "hello") == 1, sleep=house.host.sleep)
    assert house.read(peer) == {"room": "red", "data": "hello"}
    peer.finish()


def test_who_is_excluded_is_told_that_it_is_past_it(house: Keeping) -> None:
    ann, peer = house.visit("red", resume={})
    house.read(peer)
    house.hub.publish("red", "mine", exclude=ann)
    assert house.read(peer) == {"room": "red", "id": house.hub.history("red")[0].id}
    peer.finish()


def test_texts_of_the_application_that_begin_with_the_mark_are_its_own(house: Keeping) -> None:
    ann, peer = house.visit(resume={})
    for text in (MARK, MARK + MARK, MARK + "{}"):
        peer.send(MARK + text)
        ann.send(text)
        assert peer.read() == MARK + text
        house.host.manager.broadcast(text)
        assert peer.read() == MARK + text
    ann.send(b"\x1e", binary=True)
    assert peer.read() == b"\x1e"
    peer.send(b"\x1e{}")
    house.host.wait_until(
        lambda: ann.messages == [MARK, MARK + MARK, MARK + "{}", b"\x1e{}"],
    )
    peer.finish()


@pytest.mark.parametrize(
    "text",
    [
        MARK,
        MARK + "{",
        MARK + "[]",
        MARK + '{"resume": []}',
        MARK + '{"resume": {"red": 17}}',
        MARK + '{"resume": {"red": ""}}',
        MARK + '{"resume": {"red": "a b"}}',
        MARK + '{"resume": {"": "17"}}',
        MARK + '{"resume": {}, "more": 1}',
        MARK + "[" * 20_000,
        MARK + json.dumps({"resume": {str(number): "1" for number in range(1001)}}),
        MARK + json.dumps({"resume": {"red": "1"}}) + " " * 65_536,
    ],
)
def test_resume_that_makes_no_sense_is_1008_and_comes_to_nobody(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_resume(text.encode())


def test_malformed_resume_ends_the_connection_with_a_reason(house: Keeping) -> None:
    ann, peer = house.visit("red")
    peer.send(note(resume=[]))
    code, reason = peer.answer()
    assert (code, bool(reason)) == (1008, True)
    house.host.wait_closed(ann)
    assert ann.messages == []


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (note(resume={str(number): "1" for number in range(1001)}), "a resume has at most 1000 rooms"),
        (note(resume={}) + " " * 65_536, "a resume has at most 65536 bytes"),
    ],
)
def test_resume_that_is_too_much_ends_the_connection_with_1008(
    house: Keeping, text: str, reason: str
) -> None:
    ann, peer = house.visit("red")
    peer.send(text)
    assert peer.answer() == (1008, reason)
    house.host.wait_closed(ann)
    assert ann.messages == []


def test_second_resume_is_1008(house: Keeping) -> None:
    ann, peer = house.visit("red", resume={})
    house.read(peer)
    peer.send(note(resume={}))
    assert peer.answer() == (1008, "a resume is the first message")
    house.host.wait_closed(ann)


def test_peer_that_does_not_read_while_it_catches_up_costs_no_more_than_what_may_wait(house: Keeping) -> None:
    house.hub = Hub(history=5000)
    house.hub.publish("red", "0")
    known = house.hub.history("red")[0].id
    for number in range(1, 400):
        house.hub.publish("red", f"{number} ".ljust(1000, "x"))
    policy = QUIET.replace(write_high_water=8192, write_limit=16384)
    ann, peer = house.visit("red", resume={"red": known}, policy=policy, pair=house.host.socketpair)
    wait_until(lambda: ann.stats().queued > 8192, sleep=house.host.sleep)
    for number in range(400, 1200):
        house.hub.publish("red", f"{number} ".ljust(1000, "x"))
        assert ann.stats().queued <= 8192 + 1200
    numbers = [int(house.read(peer)["data"].split()[0]) for _ in range(1199)]
    assert numbers == list(range(1, 1200))
    peer.finish()
    house.host.wait_until(lambda: house.hub.rooms() == [])


@pytest.mark.parametrize("queue_policy", ["drop-oldest", "drop-newest"])
def test_peer_that_does_not_read_loses_no_message_of_a_room(house: Keeping, queue_policy: Any) -> None:
    """What the handler sends by itself is dropped; what is of a room comes later."""
    house.hub = Hub(history=1000)
    policy = QUIET.replace(write_high_water=8192, write_limit=16384, queue_policy=queue_policy)
    ann, peer = house.visit("red", resume={}, policy=policy, pair=house.host.socketpair)
    house.read(peer)
    for number in range(600):
        house.hub.publish("red", f"{number} ".ljust(1000, "x"))
        if number % 10 == 9:
            ann.send("direct ".ljust(4000, "x"))
        assert ann.stats().queued <= 16384
    assert ann.stats().messages_dropped
    numbers: list[int] = []
    while 599 not in numbers:
        text = peer.read()
        if text[0] == MARK:
            numbers.append(int(json.loads(text[1:])["data"].split()[0]))
    assert numbers == list(range(600))
    peer.finish()


@pytest.mark.parametrize(("since", "is_whole"), [("0", True), (None, False)])
def test_who_has_said_where_to_begin_loses_no_message_without_the_subprotocol(
    since: str | None, is_whole: bool
) -> None:
    host = ThreadHost()
    try:
        hub = Hub(history=1000)
        hub.publish("red", "first")
        recorder = Recorder()
        recorder.hub = hub
        recorder.policy = QUIET.replace(write_high_water=8192, write_limit=16384, queue_policy="drop-oldest")

        def join() -> None:
            recorder.join("red", since=since)

        recorder.on_opened = join  # type: ignore[method-assign]
        peer = host.connect(recorder, pair=host.socketpair)
        if is_whole:
            assert peer.read() == "first"
        wait_until(lambda: hub.publish("red", "here") == 1)
        for number in range(600):
            hub.publish("red", f"{number} ".ljust(1000, "x"))
        numbers: list[int] = []
        while 599 not in numbers:
            text = peer.read()
            numbers += [] if text == "here" else [int(text.split()[0])]
        assert (numbers == list(range(600))) is is_whole
        peer.finish()
    finally:
        host.close()


def test_connection_may_end_while_it_catches_up(house: Keeping) -> None:
    house.hub = Hub(history=5000)
    for number in range(3000):
        house.hub.publish("red", f"{number} ".ljust(1000, "x"))
    known = house.hub.history("red", limit=3000)[0].id
    ann, peer = house.visit("red", resume={"red": known}, pair=house.host.socketpair)
    wait_until(lambda: ann.stats().queued > 0, sleep=house.host.sleep)
    peer.sock.close()
    house.host.wait_closed(ann)
    house.host.wait_until(lambda: house.hub.rooms() == [])
    _, peer = house.visit("red", resume={"red": known})
    assert house.read(peer)["data"].split()[0] == "1"
    peer.sock.close()


def test_first_fragments_hide_no_mark() -> None:
    host = ThreadHost()
    try:
        recorder = Recorder(protocols=[SUBPROTOCOL])
        peer = host.connect(recorder, pair=small_pair)
        wait_until(lambda: bool(recorder.seen))
        recorder.send(["", "", MARK + "a", "b"])
        recorder.send(["", ""])
        recorder.send(["a", MARK])
        assert [peer.read() for _ in range(3)] == [MARK + MARK + "ab", "", "a" + MARK]
    finally:
        host.close()


def test_websocket_that_was_made_by_hand_speaks_it_too() -> None:
    ours, theirs = socket.socketpair()
    hub = Hub(history=100)

    class Visitor(Recorder):
        def opened(self) -> None:
            self.join("red")

    recorder = Visitor(ours, [SUBPROTOCOL])
    recorder.hub = hub
    thread = threading.Thread(target=recorder.run, daemon=True)
    thread.start()
    peer = Peer(theirs)
    peer.send(note(resume={}))
    assert set(json.loads(peer.read()[1:])) == {"room", "id"}
    hub.publish("red", "hello")
    assert json.loads(peer.read()[1:])["data"] == "hello"
    peer.send(MARK + MARK)
    wait_until(lambda: recorder.messages == [MARK])
    peer.finish()
    thread.join(10)
    assert hub.rooms() == []


def test_connection_that_has_ended_is_gone_without_a_garbage_collection() -> None:
    host = ThreadHost()
    house = Keeping(host, Recorder)
    gc.disable()
    try:
        recorder, peer = house.visit("red", resume={})
        house.read(peer)
        peer.finish()
        host.wait_closed(recorder)
        trace = weakref.ref(recorder)
        del recorder.on_opened  # the test's own circle
        del recorder
        wait_until(lambda: trace() is None)
    finally:
        gc.enable()
        host.close()
