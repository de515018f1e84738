"""An ASGI application in memory: a loop of its own, which runs while the test waits."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, TypeVar
from urllib.parse import unquote

from ..core.handshake import Request
from ..core.headers import parse_subprotocols
from ..process import set_task_manager
from .bridges import Bridge, Message
from .clocks import Clock
from .failures import NoMessage
from .loops import SteppedLoop
from .responses import Response
from .stepping import SteppedTaskManager
from .wires import MemoryWire

__all__ = ["ASGIHost", "build_scope"]

logger = logging.getLogger("ws4py_middleware")

#: How long an application may take for an answer, its beginning or its end; seconds of the clock.
_TIMEOUT = 60.0

Application = Callable[[Any, Any, Any], Awaitable[None]]
_T = TypeVar("_T")


class ASGIHost:
    """
    An ASGI application, its loop, and the manager of its WebSockets.

    Its ``lifespan`` begins with the first request, and ends with :meth:`close`.

    Args:
        app: The application.
        clock: What passes its time.
    """

    def __init__(self, app: Application, clock: Clock) -> None:
        self.app = app
        self.clock = clock
        self.loop = SteppedLoop(clock)
        self.state: dict[str, Any] = {}
        self._manager: SteppedTaskManager | None = None
        self._lifespan: _Lifespan | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        clock.attach(self)

    # --- a host ----------------------------------------------------------------------------

    def open(self, request: Request, extras: Mapping[str, Any]) -> MemoryWire | Response:
        """Bring an opening handshake; see :class:`~.hosts.Host`."""
        self._begin()
        wire = MemoryWire(self.clock.ring)
        scope = build_scope("websocket", request, self.state, extras)
        bridge = Bridge(wire.transport, request, self.clock, self.clock.detach)
        self.clock.attach(bridge)
        task = self.loop.create_task(self._serve(scope, bridge))
        self._keep(task)
        self.clock.run(lambda: bridge.is_answered or task.done(), _TIMEOUT)
        if bridge.response is not None:
            return bridge.response
        if bridge.is_answered:
            return wire
        self.clock.detach(bridge)
        if task.done():
            task.result()
            raise RuntimeError("the application has returned without an answer to the opening handshake")
        task.cancel()
        raise NoMessage(f"{request.target}: the opening handshake was not answered within {_TIMEOUT:g} s")

    def ask(self, request: Request, body: bytes, extras: Mapping[str, Any]) -> Response:
        """Bring any other request; see :class:`~.hosts.Host`."""
        self._begin()
        scope = build_scope("http", request, self.state, extras)
        return self._run(_ask(self.app, scope, body), f"{request.method} {request.target}")

    def shutdown(self) -> None:
        """Let the process end; see :class:`~.hosts.Host`."""
        self._begin()
        assert self._manager is not None
        self._run(self._manager.shutdown_async(), "the end of the connections")

    def close(self) -> None:
        """Tell the application of its end, and end its loop."""
        if self.loop.is_closed():
            return
        if self._lifespan is not None:
            self._run(self._lifespan.end(), "lifespan.shutdown")
        for task in [task for task in asyncio.all_tasks(self.loop) if not task.done()]:
            task.cancel()
        self.clock.settle()
        self._run(self.loop.shutdown_asyncgens(), "the end of the loop")
        self._run(self.loop.shutdown_default_executor(), "the end of the loop's threads")
        self.clock.detach(self)
        self.loop.close()

    # --- an actor --------------------------------------------------------------------------

    def step(self) -> bool:
        """Run the loop until it would have to wait."""
        manager = self._manager
        if manager is not None and (when := manager.next_deadline()) is not None and when <= self.clock():
            self.loop.call_soon(manager.take_timers)
        return self.loop.step()

    def next_deadline(self) -> float | None:
        """Return when its next timer is due, or the manager's."""
        times = [self.loop.next_deadline, None if self._manager is None else self._manager.next_deadline()]
        return min((when for when in times if when is not None), default=None)

    def is_busy(self) -> bool:
        """Tell whether a thread is at work for it."""
        return self.loop.is_busy or (self._manager is not None and self._manager.threads.is_busy)

    def fileno(self) -> int:
        """There is nothing that the test could wait for."""
        return -1

    # --- inside ----------------------------------------------------------------------------

    def _begin(self) -> None:
        if self.loop.is_closed():
            raise RuntimeError("this client is closed")
        if self._lifespan is None:
            self._lifespan = _Lifespan(self.app, self.state)
            self._run(self._set_up(self._lifespan), "lifespan.startup")

    async def _set_up(self, lifespan: _Lifespan) -> None:
        self._manager = SteppedTaskManager(self.clock)
        set_task_manager(self._manager)
        await lifespan.begin()

    async def _serve(self, scope: Message, bridge: Bridge) -> None:
        try:
            await self.app(scope, bridge.receive, bridge.send)
        except Exception:
            if not bridge.is_answered:
                raise  # it is the test's: there is no peer yet whom it could be told
            # One that comes behind the end of a connection is often no more than the news of that.
            level = logging.ERROR if bridge.finish(1011, "internal error") else logging.DEBUG
            logger.log(level, "the application has raised an exception", exc_info=True)
        else:
            bridge.finish(1000, "")

    def _keep(self, task: asyncio.Task[Any]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _run(self, coroutine: Coroutine[Any, Any, _T], what: str) -> _T:
        task = self.loop.create_task(coroutine)
        if not self.clock.run(task.done, _TIMEOUT):
            task.cancel()
            self.clock.settle()
            raise NoMessage(f"{what} was not answered within {_TIMEOUT:g} s")
        return task.result()


class _Lifespan:
    """The beginning and the end of an application, if it wants to know of them."""

    def __init__(self, app: Application, state: dict[str, Any]) -> None:
        self._app = app
        self._scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": state}
        self._to_app: asyncio.Queue[Message] = asyncio.Queue()
        self._from_app: asyncio.Queue[Message] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        """
        Tell of the beginning.

        Raises:
            RuntimeError: The application cannot begin.
        """
        self._task = asyncio.get_running_loop().create_task(self._run())
        await self._tell("startup")

    async def end(self) -> None:
        """Tell of the end."""
        await self._tell("shutdown")
        if self._task is not None:
            await self._task

    async def _run(self) -> None:
        try:
            await self._app(self._scope, self._to_app.get, self._from_app.put)
        except Exception:
            # What an application does that does not know of this; the specification lets it.
            logger.debug("the application takes no part in lifespan", exc_info=True)

    async def _tell(self, what: str) -> None:
        assert self._task is not None
        await self._to_app.put({"type": f"lifespan.{what}"})
        answer = asyncio.ensure_future(self._from_app.get())
        await asyncio.wait([answer, self._task], return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            answer.cancel()
        elif answer.result()["type"] == f"lifespan.{what}.failed":
            raise RuntimeError(f"lifespan.{what} has failed: {answer.result().get('message', '')}")


async def _ask(app: Application, scope: Message, body: bytes) -> Response:
    """Bring an HTTP request to an application."""
    status, headers, pieces = 0, [], []
    has_asked, is_done = False, asyncio.Event()

    async def receive() -> Message:
        nonlocal has_asked
        if not has_asked:
            has_asked = True
            return {"type": "http.request", "body": body, "more_body": False}
        await is_done.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        nonlocal status, headers
        if message["type"] == "http.response.start":
            status = message["status"]
            fields = message.get("headers", ())
            headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in fields]
        elif message["type"] == "http.response.body":
            pieces.append(message.get("body", b""))
            if not message.get("more_body", False):
                is_done.set()

    await app(scope, receive, send)
    if not status:
        raise RuntimeError("the application has returned without an answer")
    return Response(status, headers, b"".join(pieces))


def build_scope(kind: str, request: Request, state: Mapping[str, Any], extras: Mapping[str, Any]) -> Message:
    """
    Make the scope of a request, as a server does.

    >>> request = Request("GET", "/a%20b?c=d", "HTTP/1.1", [("Host", "testserver")])
    >>> scope = build_scope("websocket", request, {}, {})
    >>> scope["scheme"], scope["path"], scope["query_string"]
    ('ws', '/a b', b'c=d')
    """
    path, _, query = request.target.partition("?")
    scheme = {"websocket": "ws", "http": "http"}[kind]
    scope: dict[str, Any] = {
        "type": kind,
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "scheme": scheme + "s" * request.secure,
        "path": unquote(path),
        "raw_path": path.encode("ascii"),
        "query_string": query.encode("ascii"),
        "root_path": "",
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in request.headers],
        "client": ("127.0.0.1", 50000),
        "server": ((request.get("Host") or "testserver").partition(":")[0], 443 if request.secure else 80),
        "state": dict(state),
    }
    if kind == "websocket":
        scope["subprotocols"] = parse_subprotocols(request.get_all("Sec-WebSocket-Protocol"))
        scope["extensions"] = {"websocket.http.response": {}}
    else:
        scope["method"] = request.method
    return {**scope, **extras}
