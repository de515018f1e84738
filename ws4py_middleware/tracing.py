"""
OpenTelemetry: a span for each upgrade, and one for the end of each connection, in the same trace.

Once, where the application is made::

    from ws4py_middleware.tracing import instrument

    instrument()

The upgrade is a server span, whose parent is the one in the request's ``traceparent``, or what the global
propagator reads in its place; where a middleware around this one has a span for the request already, that.
The end is a span of its own, a child of the upgrade's. Spans that the hooks of a handler make, and functions
that are handlers, are children of it, too: the context is that of the upgrade while they run.

Only ``opentelemetry-api`` is needed here. Which spans are kept and where they go, the application says by the
SDK; nothing that goes wrong there harms a connection. There is no payload in any span, and no query.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Mapping
from time import monotonic
from types import TracebackType
from typing import Any, ParamSpec, TypeVar

from .extras import needs

with needs("opentelemetry", "opentelemetry", __name__):
    from opentelemetry import context as contexts
    from opentelemetry import propagate, trace
    from opentelemetry.context import Context
    from opentelemetry.propagators.textmap import Getter
    from opentelemetry.trace import (
        NonRecordingSpan,
        Span,
        SpanKind,
        Status,
        StatusCode,
        Tracer,
        TracerProvider,
    )

from ._version import __version__
from .admission import get_address
from .core.policy import Policy
from .core.types import CloseCode
from .exc import HandshakeError
from .figures import get_path, inspect
from .routing import ROUTE
from .traces import Trace, watch_upgrades

__all__ = ["instrument", "uninstrument"]

logger = logging.getLogger("ws4py_middleware")

#: How often it is logged that spans cannot be made; seconds.
_WARN_INTERVAL = 60.0

#: What a request may be called by its method; peers could make thousands of others.
_METHODS = frozenset({"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"})

_Params = ParamSpec("_Params")
_Result = TypeVar("_Result")

_tracer: Tracer | None = None
_warned_at = -_WARN_INTERVAL


def instrument(tracer_provider: TracerProvider | None = None) -> None:
    """
    Make spans from now on. Again, what was said last holds.

    It may be called before the server forks: each worker has what the SDK makes of that. Connections that
    are open already have no trace.

    Args:
        tracer_provider: Where the spans go; by default the global one, also when it is set later.
    """
    global _tracer
    _tracer = trace.get_tracer("ws4py_middleware", __version__, tracer_provider=tracer_provider)
    watch_upgrades(_UpgradeTrace)


def uninstrument() -> None:
    """Make no more spans, also not for the ends of connections that are open."""
    global _tracer
    _tracer = None
    watch_upgrades(None)


def _harmless(function: Callable[_Params, _Result]) -> Callable[_Params, _Result | None]:
    """Let whatever a span processor, a sampler or a propagator raises be a line in the log."""

    @functools.wraps(function)
    def call(*args: _Params.args, **options: _Params.kwargs) -> _Result | None:
        global _warned_at
        try:
            return function(*args, **options)
        except Exception:
            now = monotonic()
            if now - _warned_at >= _WARN_INTERVAL:
                _warned_at = now
                logger.exception("a span could not be made; that is told once a minute at most")
            return None

    return call


class _EnvironGetter(Getter[Mapping[str, Any]]):
    """Reads the headers of a request for a propagator."""

    def get(self, carrier: Mapping[str, Any], key: str) -> list[str] | None:
        value = carrier.get("HTTP_" + key.upper().replace("-", "_"))
        return None if value is None else [str(value)]

    def keys(self, carrier: Mapping[str, Any]) -> list[str]:
        return [key[5:].lower().replace("_", "-") for key in carrier if key.startswith("HTTP_")]


_getter = _EnvironGetter()


class _UpgradeTrace(Trace):
    """The spans of one upgrade, and of the connection that it becomes."""

    __slots__ = ("_context", "_environ", "_policy", "_route", "_span", "_tokens")

    def __init__(self, environ: Mapping[str, Any], policy: Policy) -> None:
        self._environ: Mapping[str, Any] | None = environ
        self._policy = policy
        self._route = str(environ.get(ROUTE, ""))
        self._span: Span | None = None
        self._context: Context | None = None
        self._tokens: list[Any] = []

    # --- the upgrade -------------------------------------------------------------------------------------

    @_harmless
    def _start(self) -> None:
        environ, tracer = self._environ, _tracer
        if environ is None or tracer is None:
            return
        current = contexts.get_current()
        is_inside = trace.get_current_span(current).get_span_context().is_valid
        parent = current if is_inside else propagate.extract(environ, current, _getter)
        method = str(environ.get("REQUEST_METHOD", ""))
        method = method if method in _METHODS else "_OTHER"
        attributes = {
            "http.request.method": method,
            "url.path": get_path(environ),
            "url.scheme": "wss" if environ.get("wsgi.url_scheme") in ("https", "wss") else "ws",
            "network.protocol.name": "websocket",
            "client.address": get_address(environ, self._policy),
            "http.route": self._route,
        }
        span = tracer.start_span(
            f"{method} {self._route}".rstrip(),
            parent,
            SpanKind.INTERNAL if is_inside else SpanKind.SERVER,
            {name: value for name, value in attributes.items() if value},
        )
        self._span = span
        self._tokens.append(contexts.attach(trace.set_span_in_context(span, parent)))
        # For all that follows; the span itself is not to be kept as long as the connection.
        self._context = trace.set_span_in_context(NonRecordingSpan(span.get_span_context()), parent)

    def __enter__(self) -> Trace:
        self._start()
        self._environ = None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace_: TracebackType | None
    ) -> None:
        if isinstance(error, HandshakeError):
            self.refuse(error.status, error.msg)
        elif isinstance(error, Exception):
            self._fail(error)
        else:
            self._give_up()
        while self._tokens:
            contexts.detach(self._tokens.pop())

    @_harmless
    def refuse(self, status: int, reason: str = "") -> None:
        """Note that the answer is another one than 101."""
        span = self._span
        if span is not None:
            self._span = None
            span.set_attribute("http.response.status_code", status)
            if reason:
                span.set_attribute("websocket.refusal.reason", reason)
            if status >= 500:
                span.set_attribute("error.type", str(status))
                span.set_status(Status(StatusCode.ERROR, reason or None))
            span.end()

    @_harmless
    def _fail(self, error: Exception) -> None:
        """Note an error of the application, or of ours, that the server answers with 500."""
        span = self._span
        if span is not None:
            span.record_exception(error)
            self.refuse(500, type(error).__qualname__)

    @_harmless
    def _give_up(self) -> None:
        """Note that the client has left before it could be told anything."""
        span, self._span = self._span, None
        if span is not None:
            span.set_attribute("error.type", "disconnected")
            span.end()

    @_harmless
    def accept(self) -> None:
        """Note that the answer was 101, and the connection begins."""
        span, self._span = self._span, None
        if span is not None:
            span.set_attribute("http.response.status_code", 101)
            span.end()
            if self._tokens and self._context is not None:
                # What is begun from here, such as the connection's task, begins with it.
                self._tokens.append(contexts.attach(self._context))

    # --- the connection ------------------------------------------------------------------------------------

    def call(self, function: Callable[..., _Result], *args: Any) -> _Result:
        """Call a function in the context of the upgrade, in whatever thread this is."""
        if self._context is None:
            return function(*args)
        token = contexts.attach(self._context)
        try:
            return function(*args)
        finally:
            contexts.detach(token)

    @_harmless
    def end(self, link: Any) -> None:
        """Make the span of the end."""
        tracer, context = _tracer, self._context
        if tracer is None or context is None:
            return
        conn = link.conn
        stats = inspect(link.handler, link)
        code = int(conn.close_code)
        attributes: dict[str, Any] = {
            "network.protocol.name": "websocket",
            "http.route": self._route,
            "client.address": stats.client,
            "websocket.close.code": code,
            "websocket.close.reason": _classify(code),
            # Whoever has heard a Close frame has answered it, or had sent one before.
            "websocket.close.clean": conn.close_received is not None and code != CloseCode.ABNORMAL_CLOSURE,
            "websocket.duration": stats.age,
            "websocket.messages.received": stats.messages_received,
            "websocket.messages.sent": stats.messages_sent,
            "websocket.messages.dropped": stats.messages_dropped,
            "websocket.bytes.received": stats.bytes_received,
            "websocket.bytes.sent": stats.bytes_sent,
        }
        upgrade = trace.get_current_span(context).get_span_context()
        span = tracer.start_span(
            f"websocket close {self._route}".rstrip(),
            context,
            SpanKind.INTERNAL,
            {name: value for name, value in attributes.items() if value != ""},
            [trace.Link(upgrade)] if upgrade.is_valid else None,
        )
        if code == CloseCode.INTERNAL_ERROR:
            span.set_attribute("error.type", "internal_error")
            span.set_status(Status(StatusCode.ERROR))
        span.end()


def _classify(code: int) -> str:
    """
    Return what a close code stands for; of words that a peer has chosen there is nothing in it.

    >>> _classify(1001), _classify(1006), _classify(4711), _classify(2999)
    ('going_away', 'abnormal_closure', 'application', 'other')
    """
    try:
        return CloseCode(code).name.lower()
    except ValueError:
        return "application" if 3000 <= code < 5000 else "other"
