"""The greenlets of the manager: none for the silent, one for all that is ready, and those that wait."""

from __future__ import annotations

import select
from collections.abc import Iterator
from typing import Any

import gevent
import gevent.event
import pytest
from greenlet import gettrace, settrace

from tests.core.wire import TEXT
from tests.drivers import kqueue
from tests.drivers.greenlets import GreenletHost, host
from tests.drivers.peer import EchoRecorder, Peer, Recorder, build
from ws4py_middleware import crews, greenlets, unpatched
from ws4py_middleware.greenlets import GreenletManager
from ws4py_middleware.messaging import Message
from ws4py_middleware.pollers import HANGUP, READ
from ws4py_middleware.websocket import EchoWebSocket, WebSocket

__all__ = ["host"]


class Gate(EchoRecorder):
    """Its hook waits, if it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on = gevent.event.Event()
        self.interrupted = False

    def on_message(self, message: Message) -> None:
        if str(message).startswith("wait"):
            self.send("one moment")
            try:
                self.go_on.wait()
            except gevent.GreenletExit:
                self.interrupted = True
                raise
        super().on_message(message)


class Switches:
    """Counts how many times the hub gives control to a manager's leader."""

    def __init__(self, manager: GreenletManager) -> None:
        self.count = 0
        self._leader = manager._greenlets.leader

    def __enter__(self) -> Switches:
        assert gettrace() is None
        settrace(self._note)
        return self

    def _note(self, event: str, args: Any) -> None:
        self.count += args[1] is self._leader

    def __exit__(self, *_: object) -> None:
        settrace(None)


def link_of(websocket: WebSocket) -> Any:
    assert websocket._link is not None
    return websocket._link


def connect_all(host: GreenletHost, handlers: list[Any]) -> list[Peer]:
    ends = [host.connect(handler) for handler in handlers]
    for number, peer in enumerate(ends):
        peer.send(str(number))
        assert peer.read() == str(number)
    return ends


# --- what is silent, and what does not wait ----------------------------------------------------------


def test_silent_connections_have_no_greenlet(host: GreenletHost) -> None:
    ends = connect_all(host, [EchoWebSocket() for _ in range(100)])
    crew = host.manager._greenlets
    assert crew.leader is not None
    assert (crew.idle, crew.waiting, host.manager._seats) == ([], {}, {})
    assert host.manager.greenlet_of(EchoWebSocket()) is None
    for peer in ends:
        peer.finish()


def test_leader_is_switched_to_once_for_all_that_is_ready(host: GreenletHost) -> None:
    ends = connect_all(host, [EchoWebSocket() for _ in range(100)])
    host.sleep(0.01)
    with Switches(host.manager) as switches:
        for _ in range(10):
            for peer in ends:
                peer.send_bytes(build(TEXT, b"x") * 4)
            for peer in ends:
                assert [peer.read() for _ in range(4)] == ["x"] * 4
    # 4,000 messages in 10 rounds; a round is cut in two when the machine is busy.
    assert 10 <= switches.count <= 400
    for peer in ends:
        peer.finish()


def test_hub_that_has_nothing_of_ours_to_watch_watches_nothing(host: GreenletHost) -> None:
    manager = host.manager
    assert (manager._watcher, manager._poller) == (None, None)
    for end in ("leaves", "leaves while its hook waits", "is ended from elsewhere"):
        gate = Gate()
        peer = connect_all(host, [gate])[0]
        assert manager._round.active
        if "waits" in end:
            peer.send("wait")
            assert peer.read() == "one moment"
        if "elsewhere" in end:
            host.in_thread(gate.terminate)()
        else:
            peer.sock.close()
        gate.go_on.set()
        host.wait_until(lambda: (manager._watcher, manager._poller) == (None, None))
        assert not manager._round.active
        assert not manager._lookout.active
        assert not manager._turns
        host.wait_closed(gate)


def test_stop_frees_the_poller_and_the_greenlets(host: GreenletHost) -> None:
    peer = host.connect(EchoRecorder())
    peer.send("x")
    assert peer.read() == "x"
    leader = host.manager._greenlets.leader
    host.manager.stop()
    host.wait_until(lambda: leader is not None and leader.dead)
    assert (host.manager._poller, host.manager._watcher) == (None, None)
    again = host.connect(EchoRecorder())
    again.send("again")
    assert again.read() == "again"


# --- hooks that wait -----------------------------------------------------------------------------------


def test_many_hooks_that_wait_stop_nobody_and_few_greenlets_stay(host: GreenletHost) -> None:
    waiting, quick = [Gate() for _ in range(60)], [Gate() for _ in range(20)]
    ends, others = connect_all(host, waiting), connect_all(host, quick)
    for peer in ends:
        peer.send("wait")
        peer.send("next")
    for peer in ends:
        assert peer.read() == "one moment"  # and not when the hook has ended
    for number in range(5):
        for peer in others:
            peer.send(str(number))
            assert peer.read() == str(number)
    crew = host.manager._greenlets
    assert len(crew.waiting) == 60
    assert all(gate.messages[-1] == "wait" for gate in waiting)  # one at a time
    for gate in waiting:
        gate.go_on.set()
    for peer in ends:
        assert (peer.read(), peer.read()) == ("wait", "next")
    assert crew.waiting == {}
    assert len(crew.idle) <= crews._SPARE
    for peer in [*ends, *others]:
        peer.finish()


def test_greenlets_of_hooks_that_have_waited_are_used_again(host: GreenletHost) -> None:
    gates = [Gate() for _ in range(3)]
    ends = connect_all(host, gates)
    seen = []
    for _ in range(3):
        for peer in ends:
            peer.send("wait")
            assert peer.read() == "one moment"
        crew = host.manager._greenlets
        seen.append({who for who, _ in crew.waiting.values()})
        for gate in gates:
            gate.go_on.set()
        for peer in ends:
            assert peer.read() == "wait"
        for gate in gates:
            gate.go_on.clear()
    assert len(set.union(*seen)) <= 4
    for peer in ends:
        peer.finish()


def test_what_a_hook_has_sent_to_many_leaves_when_it_waits(host: GreenletHost) -> None:
    go_on = gevent.event.Event()

    class Handler(EchoRecorder):
        def on_message(self, message: Message) -> None:
            host.manager.broadcast("to all")
            go_on.wait()

    others = connect_all(host, [EchoRecorder() for _ in range(3)])
    first = host.connect(Handler())
    first.send("go")
    for peer in [*others, first]:
        assert peer.read() == "to all"
    go_on.set()
    for peer in [*others, first]:
        peer.finish()


def test_turn_that_is_due_is_given_while_a_hook_waits(host: GreenletHost) -> None:
    """It is no descriptor that tells the next leader of it."""
    gate, other = Gate(), Recorder()
    first, second = connect_all(host, [gate, Gate()])[0], host.connect(other)
    host.wait_until(lambda: other.seen)

    class Ender(EchoRecorder):
        def on_message(self, message: Message) -> None:
            other.terminate()
            gate.go_on.wait()

    third = host.connect(Ender())
    third.send("x")
    assert host.wait_closed(other) == (1006, "Going away")
    second.read_end()
    gate.go_on.set()
    first.send("alive")
    assert first.read() == "alive"


def test_connection_that_ends_while_its_hook_waits_is_told_behind_it(host: GreenletHost) -> None:
    gate = Gate()
    peer = connect_all(host, [gate])[0]
    peer.send("wait")
    assert peer.read() == "one moment"
    gate.terminate()
    host.sleep(0.01)
    assert gate.ends == []
    gate.go_on.set()
    assert host.wait_closed(gate) == (1006, "Going away")
    assert [event[0] for event in gate.seen][-2:] == ["message", "closed"]


def test_ctrl_c_in_a_hook_that_has_waited_ends_the_program_and_no_other_connection(
    host: GreenletHost,
) -> None:
    class Handler(Recorder):
        def on_message(self, message: Message) -> None:
            gevent.sleep(0.001)
            raise KeyboardInterrupt

    recorder, other = Handler(), EchoRecorder()
    first, second = host.connect(recorder), host.connect(other)
    hub: Any = gevent.get_hub()
    hub.NOT_ERROR, before = (*hub.NOT_ERROR, KeyboardInterrupt), hub.NOT_ERROR
    try:
        first.send("x")
        with pytest.raises(KeyboardInterrupt):
            host.wait_until(lambda: recorder.ends)
    finally:
        hub.NOT_ERROR = before
    assert not link_of(recorder).held
    second.send("still here")
    assert second.read() == "still here"
    first.finish()
    second.finish()
    host.wait_closed(recorder)


# --- who else may throw at them, or wants a turn ---------------------------------------------------------


@pytest.mark.parametrize("error", [gevent.GreenletExit, gevent.Timeout])
def test_leader_that_is_killed_while_it_waits_is_replaced(
    host: GreenletHost, error: type[BaseException], capfd: pytest.CaptureFixture[str]
) -> None:
    peer = connect_all(host, [EchoRecorder()])[0]
    leader = host.manager._greenlets.leader
    assert leader is not None
    gevent.kill(leader, error)
    host.wait_until(lambda: leader.dead)
    peer.send("who leads?")
    assert peer.read() == "who leads?"
    assert host.manager._greenlets.leader is not leader
    peer.finish()


@pytest.fixture
def short_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(greenlets, "_TURNS_TIME", 0.0)


@pytest.mark.usefixtures("short_turns")
def test_others_have_their_turn_before_all_that_are_ready_had_theirs(host: GreenletHost) -> None:
    order: list[str] = []

    class Handler(Recorder):
        def on_message(self, message: Message) -> None:
            order.append("message")

    recorders = [Handler() for _ in range(40)]
    ends = [host.connect(recorder) for recorder in recorders]
    host.wait_until(lambda: all(recorder.seen for recorder in recorders))
    watcher: Any = gevent.get_hub().loop.prepare(ref=False)
    watcher.start(order.append, "others")  # each time before the hub looks at all sockets
    for peer in ends:
        peer.send("x")
    host.wait_until(lambda: order.count("message") == 40)
    watcher.stop()
    watcher.close()
    rounds = " ".join(order).split("others")
    assert max(part.count("message") for part in rounds) <= greenlets._PORTION
    assert all(len(recorder.messages) == 1 for recorder in recorders)
    for peer in ends:
        peer.finish()


@pytest.mark.usefixtures("short_turns")
def test_turns_that_are_due_are_given_one_by_one_and_all(host: GreenletHost) -> None:
    recorders = [Recorder() for _ in range(30)]
    ends = [host.connect(recorder) for recorder in recorders]
    host.wait_until(lambda: all(recorder.seen for recorder in recorders))
    for recorder in recorders:
        recorder.terminate()
    for recorder, peer in zip(recorders, ends, strict=True):
        assert host.wait_closed(recorder)[0] == 1006
        peer.read_end()


def test_what_was_put_off_is_not_told_to_another_connection_of_that_number(host: GreenletHost) -> None:
    manager, crew = host.manager, host.manager._greenlets
    first, second = EchoRecorder(), EchoRecorder()
    ends = connect_all(host, [first, second])
    fds = [link_of(first).fd, link_of(second).fd]
    manager._put_off(crew, [(fds[0], HANGUP), (fds[1], READ)])
    link = manager._links.pop(fds[0])
    assert manager._take_rest(crew) == [(fds[1], READ)]
    manager._links[fds[0]] = link
    for peer in ends:
        peer.finish()


# --- a greenlet that stands for a connection ---------------------------------------------------------------


@pytest.fixture
def kept() -> Iterator[GreenletHost]:
    host = GreenletHost()
    host.manager = GreenletManager(spawn=gevent.spawn)
    yield host
    host.close()
    assert host.manager._seats == {}


def test_greenlet_that_is_killed_ends_its_connection(kept: GreenletHost) -> None:
    recorder = EchoRecorder()
    peer = kept.connect(recorder)
    peer.send("x")
    assert peer.read() == "x"
    seat = kept.manager.greenlet_of(recorder)
    assert seat is not None
    seat.kill(timeout=5)
    assert recorder.ends == [(1006, "Going away")]
    peer.read_end()
    assert kept.manager.greenlet_of(recorder) is None


def test_greenlet_ends_with_its_connection(kept: GreenletHost) -> None:
    recorder = EchoRecorder()
    peer = kept.connect(recorder)
    seat = kept.manager.greenlet_of(recorder)
    assert seat is not None
    peer.finish()
    kept.wait_closed(recorder)
    seat.join(timeout=5)
    assert seat.dead
    assert seat.successful()


@pytest.mark.parametrize("waits_long", [True, False])
def test_greenlet_that_is_killed_interrupts_the_hook(kept: GreenletHost, waits_long: bool) -> None:
    gate, other = Gate(), EchoRecorder()
    first, second = connect_all(kept, [gate, other])
    first.send("wait")
    assert first.read() == "one moment"
    seat = kept.manager.greenlet_of(gate)
    assert seat is not None
    if waits_long:
        seat.kill(timeout=5)
        assert first.read_close() == (1011, "internal error")
        first.close()
    else:
        gate.go_on.set()  # it comes back before it can be killed
        seat.kill(timeout=5)
    kept.wait_closed(gate)
    assert gate.interrupted is waits_long
    second.send("unharmed")
    assert second.read() == "unharmed"
    second.finish()


# --- the pollers below the patches ----------------------------------------------------------------------


def test_where_there_is_no_epoll_it_is_kqueue(monkeypatch: pytest.MonkeyPatch, host: GreenletHost) -> None:
    monkeypatch.delattr(select, "EPOLLIN")
    for name in ("kqueue", "kevent", "KQ_FILTER_READ", "KQ_FILTER_WRITE"):
        monkeypatch.setattr(select, name, getattr(kqueue, name), raising=False)
    for name in ("KQ_EV_ADD", "KQ_EV_DELETE", "KQ_EV_EOF"):
        monkeypatch.setattr(select, name, getattr(kqueue, name), raising=False)
    monkeypatch.setattr(kqueue.kqueue, "fileno", lambda self: 1000, raising=False)
    poller = unpatched.make_poller()
    assert poller.fileno() == 1000
    client, server = host.socketpair()
    poller.register(server.fileno())
    assert poller.wait(0) == []
    client.send(b"x")
    assert poller.wait(0) == [(server.fileno(), READ)]
    poller.release()
    client.close()
    server.close()
