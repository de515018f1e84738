"""
The manager for gevent: the same contract, and nothing is held by a connection that is silent.

No greenlet, event or watcher belongs to a connection. One epoll descriptor has all sockets, the hub
watches that descriptor, and when it is ready one greenlet, the *leader*, gives each link its turn. Hooks
run in it and may wait as gevent's code does: the hub sees that it has control while the leader is in a
turn, lets it keep that link, and another greenlet leads. So greenlets are switched once for all that is
ready, and there are as many as hooks that wait. It is :mod:`.handon` again, and needs no watchdog.

Which manager a connection gets is told by its socket, not by monkey-patching.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING, Any, cast

from .extras import needs

with needs("gevent", "gevent", __name__):
    import gevent
    from gevent.event import Event
    from gevent.exceptions import LoopExit

from .corks import let_go
from .crews import GreenletCrew
from .dispatching import make_place
from .leading import Leading
from .link import Link
from .unpatched import HubPoller, ThreadWaiter, get_thread, make_poller
from .websocket import WebSocket

if TYPE_CHECKING:
    import _socket

    from greenlet import greenlet

    from .inbox import Waiter

__all__ = ["GreenletManager"]

logger = logging.getLogger("ws4py_middleware")

_getcurrent = gevent.getcurrent

#: How long :meth:`GreenletManager.stop` waits for hooks that are still running; seconds.
_STOP_TIMEOUT = 1.0

#: How many links get a turn before the clock is looked at, and how long they all may take before the hub
#: looks at everybody else's sockets; seconds.
_PORTION = 8
_TURNS_TIME = 0.005

# libev's flag, and its lowest priority: when the hub has run what it was to run, and is about to wait.
_READ = 1
_LAST = -2


class _GreenletWaiter:
    """What a greenlet waits on; any thread may set it."""

    def __init__(self, manager: GreenletManager) -> None:
        self._manager = manager
        self._event = Event()

    def set(self) -> None:
        self._manager._in_hub(self._event.set)

    def wait(self, timeout: float | None = None) -> bool:
        return bool(self._event.wait(timeout))


class GreenletManager(Leading):
    """
    Run WebSockets in greenlets of the hub in whose thread it is made.

    Args:
        spawn: Starts a greenlet for each connection, such as a pool's, which does nothing but stand for
            it: who kills it ends the connection, and the hook that runs. By default there is none.
    """

    _turns_time = _TURNS_TIME

    def __init__(self, spawn: Callable[..., Any] | None = None) -> None:
        super().__init__(None, None, None)
        self._spawn = spawn
        self._hub = gevent.get_hub()
        self._thread = get_thread()
        self._greenlets = GreenletCrew()
        self._seats: dict[Link, gevent.Greenlet[..., Any]] = {}
        self._alarm: Any = self._hub.loop.timer(0)
        self._round: Any = self._hub.loop.async_(ref=False)
        self._lookout: Any = self._hub.loop.prepare(ref=False, priority=_LAST)
        self._watcher: Any = None
        self._emptied = Event()  # type: ignore[assignment]  # does the same

    # --- what links ask for: any greenlet, any thread ----------------------------------------

    is_threaded = False

    # A greenlet lives for as long as it runs a callback, and its number is compared with each message.
    @staticmethod
    def current() -> int:
        """Return the number of the calling greenlet."""
        return id(_getcurrent())

    def may_wait(self) -> bool:
        """Tell whether the caller may wait: all but the hub."""
        return _getcurrent() is not self._hub

    def make_waiter(self) -> Waiter:
        """Return what the calling greenlet, or thread, waits on."""
        return _GreenletWaiter(self) if get_thread() == self._thread else ThreadWaiter()

    def spawn(self, function: Callable[[], None], name: str) -> None:
        """Run a function in a greenlet of its own."""
        self._in_hub(lambda: gevent.spawn(function))

    def again(self, link: Link) -> None:
        """Give a link a turn soon; one that was released needs none."""
        if not link.released:
            super().again(link)

    def schedule(self, link: Link, when: float) -> None:
        """Come back to a link at a point in time."""
        if self._timers.set(link, when):
            self._in_hub(self._arm)

    def released(self, link: Link) -> None:
        """Forget a link whose transport is about to be closed."""
        super().released(link)
        seat = self._seats.pop(link, None)
        if seat is not None and seat is not _getcurrent():
            self._in_hub(self._hub.loop.run_callback, seat.switch)
        if not self._links:
            self._in_hub(self._rest_unless_led)

    def _wake(self) -> None:
        """Have the leader look at what is queued, unless it is about to."""
        if not self._greenlets.leads or get_thread() != self._thread:
            self._round.send()

    def _in_hub(self, function: Callable[..., object], *args: Any) -> None:
        """Call a function that is the hub's thread's to call: now in it, soon from another."""
        if get_thread() == self._thread:
            function(*args)
        else:
            self._hub.loop.run_callback_threadsafe(function, *args)

    # --- timers: in the hub, since nothing in them waits --------------------------------------

    def _arm(self) -> None:
        when = self._timers.next()
        self._alarm.stop()
        if when is not None:
            self._alarm.close()
            # Not exactly on time: an alarm that rings too early would ring again at once.
            self._alarm = self._hub.loop.timer(max(when - monotonic(), 0) + 0.001)
            self._alarm.start(self._ring)

    def _ring(self) -> None:
        self._take_timers()
        self._arm()

    # --- what the hub watches for us; in its thread -------------------------------------------

    def _watch(self) -> None:
        """Have the hub watch the one descriptor that stands for all."""
        if self._watcher is None and self._is_in_use():
            self._watcher = self._hub.loop.io(self._open_poller().fileno(), _READ)
            self._watcher.start(self._on_ready)
            self._round.start(self._on_ready)
            self._lookout.start(self._look)
            if self._turns:
                self._round.send()  # a thread's, from before anybody listened

    def _rest(self) -> None:
        """Have the hub watch nothing, when there is nothing: its program may end then."""
        with self.lock:  # as in _begin(): what is registered stands in the books
            if self._watcher is None or self._is_in_use() or self._hub.loop is None:
                return
            poller, self._poller = self._poller, None
        for watcher in (self._watcher, self._round, self._lookout):
            watcher.stop()
        self._watcher.close()
        self._watcher = None
        if poller is not None:
            poller.release()

    def _rest_unless_led(self) -> None:
        # Not in the middle of a round, whose end sees to it, as does the look that finds its hook waiting.
        if not self._greenlets.leads:
            self._rest()

    def _is_in_use(self) -> bool:
        return bool(self._links or self._sinks or self._turns)

    def _leave(self) -> None:
        """Let go of the greenlets, too, of a manager that has no connections."""
        self._alarm.stop()
        if self._links or self._sinks:
            return
        self._turns.clear()
        self._queued_turns.clear()
        self._rest()
        crew, self._greenlets = self._greenlets, GreenletCrew()
        idle = crew.idle if crew.leader is None or crew.running else [*crew.idle, crew.leader]
        crew.disown()
        for worker in idle:
            self._hub.loop.run_callback(worker.switch)

    def _on_ready(self) -> None:
        """Be called by the hub: there is something to read, to write, or to give a turn."""
        crew = self._greenlets
        if not crew.due:
            return  # the others are to have a turn, too
        crew.due = False
        if crew.running:
            self._hand_on(crew)
        if crew.leader is None:
            crew.leader = crew.idle.pop() if crew.idle else gevent.Greenlet(self._work, crew)
        crew.leader.switch()

    def _look(self) -> None:
        """Be called by the hub before it waits."""
        crew = self._greenlets
        crew.due = True
        if crew.running:
            self._hand_on(crew)
            self._rest()

    def _hand_on(self, crew: GreenletCrew) -> None:
        """Let the leader keep the link whose hook waits; the next one to lead is not known yet."""
        link = crew.running.pop()
        leader = crew.leader
        assert leader is not None
        crew.waiting[id(leader)] = leader, link
        crew.leader = None
        crew.running, crew.leads = [], False
        if crew.round:
            self._put_off(crew, crew.round[crew.place :])
            crew.round = []
        # What it has sent to many does not wait for it; a patched get_ident() has told the greenlet's number.
        for ident in (get_thread(), id(leader)):
            let_go(ident)
        try:
            link.hold(id(leader))
        except Exception as error:  # noqa: BLE001 - a fault of ours costs one connection, not all
            link.on_fault(error)
        if self._turns or crew.rest:
            self._round.send()

    # --- a greenlet of ours --------------------------------------------------------------------

    def _work(self, crew: GreenletCrew) -> None:
        """Lead; or end the turn in which a hook has waited, and be there for the next one to lead."""
        me = _getcurrent()
        running = make_place()
        try:
            while not crew.is_over:
                crew.running, crew.leads = running, True
                if self._give_turns(crew, running):
                    crew.leads = False
                else:
                    self._end_turn(crew, me)
                    if crew.is_over or not crew.take(me):
                        break
                self._hub.switch()
        finally:
            self._end_turn(crew, me)
            if crew.drop(me) and (self._turns or crew.rest):
                self._round.send()

    def _give_turns(self, crew: GreenletCrew, running: list[Link]) -> bool:
        """Give all that are ready their turn; return whether this is still the leader."""
        poller = self._poller
        ready = self._take_rest(crew) if crew.rest else [] if poller is None else poller.wait(0)
        if len(ready) > _PORTION:
            if not self._give_portions(crew, running, ready):
                return False
        elif ready and self._dispatch(ready, crew, running) is not None:
            return False
        if self._turns and self._take_turns(crew, running) is not None:
            return False
        if self._turns or crew.rest:
            self._round.send()
        elif not self._links:
            self._rest()
        return True

    def _give_portions(self, crew: GreenletCrew, running: list[Link], ready: list[tuple[int, int]]) -> bool:
        until = monotonic() + _TURNS_TIME
        for end in range(_PORTION, len(ready) + _PORTION, _PORTION):
            # Whoever has to hand the loop on in the middle of it puts these off.
            crew.round, crew.place = ready, end
            portion = ready[end - _PORTION : end]
            if self._dispatch(portion, crew, running) is not None:
                return False
            if monotonic() >= until:
                self._put_off(crew, ready[end:])
                break
        crew.round = []
        return True

    def _put_off(self, crew: GreenletCrew, ready: list[tuple[int, int]]) -> None:
        """Keep for the next round what is ready: who polls again would be told of the same ones first."""
        links = self._links
        crew.rest = [(fd, events, links.get(fd)) for fd, events in ready]

    def _take_rest(self, crew: GreenletCrew) -> list[tuple[int, int]]:
        links = self._links
        rest, crew.rest = crew.rest, []
        # The number may be another connection's by now.
        return [(fd, events) for fd, events, link in rest if links.get(fd) is link]

    def _end_turn(self, crew: GreenletCrew, me: greenlet) -> None:
        """Let the loop have the link again whose hook has waited, if there is one."""
        waiting = crew.waiting.get(id(me))
        if waiting is not None:
            link = waiting[1]
            while not link.let_go(self._watch_again):
                # It was released meanwhile, and nobody has told the handler.
                link._conclude(link._told_opened)
            crew.waiting.pop(id(me), None)

    # --- WebSockets ------------------------------------------------------------------------------

    def add(self, websocket: WebSocket) -> None:
        """
        Manage a WebSocket that was made by hand: its ``opened()`` is called, then its socket is watched.

        One that is managed already is left alone.
        """
        self._add(websocket)

    def greenlet_of(self, websocket: WebSocket) -> gevent.Greenlet[..., Any] | None:
        """Return the greenlet whose end is a WebSocket's; ``None``: it has none, or none any more."""
        return None if websocket._link is None else self._seats.get(websocket._link)

    def remove(self, websocket: WebSocket) -> None:
        """Stop managing a WebSocket, which goes on without; its ``closed()`` is not called."""
        link = websocket._link
        if link is not None:
            self.released(link)

    def stop(self) -> None:
        """
        Drop the connections that are still open.

        Close them first, with :meth:`close_all`, or use :meth:`shutdown`, which
        does that and waits. Again does nothing.
        """
        for link in list(self._links.values()):
            link.terminate()
        # Each is told in a greenlet of ours, where a hook may be waiting for something.
        deadline = monotonic() + _STOP_TIMEOUT
        while monotonic() < deadline and any(not link.is_mine for link in list(self._links.values())):
            with contextlib.suppress(LoopExit):
                self._emptied.wait(0.01)
        for link in list(self._links.values()):
            link.release()  # closed() comes when its hook returns
        self._in_hub(self._leave)

    def _loop(self) -> GreenletManager:
        return self

    def _begin(self, link: Link) -> None:
        super()._begin(link)
        if self._spawn is not None:
            self._seats[link] = self._spawn(self._sit, link)
        self._in_hub(self._watch)

    def _sit(self, link: Link) -> None:
        """Be the greenlet that stands for one connection."""
        me = _getcurrent()
        try:
            while self._seats.get(link) is me:
                self._hub.switch()
        except BaseException:
            self._seats.pop(link, None)
            self._end(link)
            raise

    def _end(self, link: Link) -> None:
        """End a connection whose greenlet was killed, and the hook that runs."""
        crew = self._greenlets
        if crew.running and link is crew.running[-1]:
            self._hand_on(crew)
        if link.held in crew.waiting:
            self._hub.loop.run_callback(self._kill_hook, crew, link)
        else:
            link.hold(id(_getcurrent()))
            link.drop()

    def _kill_hook(self, crew: GreenletCrew, link: Link) -> None:
        """Be called by the hub, in which alone it is known that the hook has not ended meanwhile."""
        waiting = crew.waiting.get(link.held)
        if waiting is not None and waiting[1] is link:
            waiting[0].throw(gevent.GreenletExit)
        else:
            link.terminate()

    def _swallow(self, sink: _socket.socket) -> None:
        super()._swallow(sink)
        self._in_hub(self._watch)

    def _read_sink(self, fd: int) -> None:
        super()._read_sink(fd)
        self._rest()

    def _read_other(self, fd: int) -> bool:
        return False

    def _drop_others(self) -> None:
        """Do nothing: all are links, or sinks."""

    def _wait_empty(self, timeout: float) -> bool:
        if not self.may_wait():
            return False
        try:
            self._emptied.wait(timeout)
        except LoopExit:
            return False
        return True

    def _open_poller(self) -> HubPoller:
        with self.lock:
            if self._poller is None:
                self._poller = make_poller()
            return cast("HubPoller", self._poller)

    def _disown(self) -> None:
        watchers = [self._alarm, self._round, self._lookout, self._watcher]
        if self._hub.loop is not None:  # else its thread has ended, and took with it all that was watched
            for watcher in watchers:
                if watcher is not None:
                    watcher.stop()
            if self._watcher is not None:
                self._watcher.close()  # before its descriptor is closed
        self._watcher = None
        super()._disown()
        self._greenlets.disown()
        self._greenlets = GreenletCrew()
        self._seats = {}
        self._emptied = Event()  # type: ignore[assignment]  # does the same
        self._thread = get_thread()
