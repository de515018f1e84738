"""Spans in one process: none without instrument(), and processors that raise are nobody's harm."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.drivers.peer import Recorder, wait_until
from tests.entrances.asyncio_host import AsyncioHost, host, kind
from tests.entrances.in_process import ask, site
from tests.entrances.wire import build
from ws4py_middleware import EchoWebSocket, WebSocketMiddleware, tracing
from ws4py_middleware.core.policy import Policy
from ws4py_middleware.link import Link
from ws4py_middleware.tracedlink import TracedLink, link_class
from ws4py_middleware.traces import UNTRACED, trace_upgrade

__all__ = ["host", "kind"]


@pytest.fixture
def exporter() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracing.instrument(provider)
    yield exporter
    tracing.uninstrument()
    provider.shutdown()


class Handler:
    def __init__(self, environ: Any) -> None:
        self.environ = environ


def test_nothing_is_there_unless_somebody_asks_for_it() -> None:
    environ: dict[str, Any] = {"REQUEST_METHOD": "GET"}
    with trace_upgrade(environ, Policy()) as untraced:
        assert untraced is UNTRACED
        assert not trace.get_current_span().get_span_context().is_valid
    assert environ == {"REQUEST_METHOD": "GET"}
    assert link_class(Handler(environ)) is Link
    assert link_class(Handler(None)) is Link


def test_instrumented_upgrade_has_another_link(exporter: InMemorySpanExporter) -> None:
    environ: dict[str, Any] = {"REQUEST_METHOD": "BREW", "PATH_INFO": "/pot"}
    with trace_upgrade(environ, Policy()) as traced:
        assert trace.get_current_span().get_span_context().is_valid
        assert link_class(Handler(environ)) is TracedLink
        traced.accept()
        traced.accept()
    assert not trace.get_current_span().get_span_context().is_valid
    (span,) = exporter.get_finished_spans()
    assert (span.name, dict(span.attributes or {})["url.path"]) == ("_OTHER", "/pot")
    current = traced.call(lambda: trace.get_current_span().get_span_context().span_id)
    assert span.context is not None
    assert current == span.context.span_id


def test_client_that_leaves_before_the_101_is_told_of(exporter: InMemorySpanExporter) -> None:
    with trace_upgrade({"REQUEST_METHOD": "GET"}, Policy()):
        pass
    (span,) = exporter.get_finished_spans()
    assert dict(span.attributes or {})["error.type"] == "disconnected"


def test_upgrade_inside_another_span_is_its_child(exporter: InMemorySpanExporter) -> None:
    provider = TracerProvider()
    with provider.get_tracer("outer").start_as_current_span("request") as outer:
        environ = {"HTTP_TRACEPARENT": f"00-{'a' * 32}-{'b' * 16}-01", "REQUEST_METHOD": "GET"}
        with trace_upgrade(environ, Policy()) as traced:
            traced.refuse(404)
            traced.refuse(500)
    (span,) = exporter.get_finished_spans()
    assert span.parent is not None
    assert span.parent.span_id == outer.get_span_context().span_id
    assert span.kind is trace.SpanKind.INTERNAL
    assert dict(span.attributes or {})["http.response.status_code"] == 404
    provider.shutdown()


def test_refusal_that_begins_late_has_its_status_all_the_same(exporter: InMemorySpanExporter) -> None:
    closed: list[bool] = []

    def who_are_you(environ: Any, start_response: Any) -> Iterator[bytes]:
        """An application as WSGI allows: it says its status when it is asked for the first piece."""
        try:
            start_response("401 Unauthorized", [("Content-Type", "text/plain")])
            yield b"who are"
            yield b" you?"
        finally:
            closed.append(True)

    response = ask(WebSocketMiddleware(site, {"/ws": EchoWebSocket}, authorize=lambda environ: who_are_you))
    assert (response.status_int, response.text, closed) == (401, "who are you?", [True])
    (span,) = exporter.get_finished_spans()
    attributes = dict(span.attributes or {})
    assert attributes["http.response.status_code"] == 401
    assert "error.type" not in attributes
    assert attributes["http.route"] == "/ws"


def test_asyncio_server_is_traced(
    host: AsyncioHost, kind: type[Recorder], exporter: InMemorySpanExporter
) -> None:
    host.serve(kind)
    with host.open() as peer:
        peer.send("hello")
        assert peer.read() == "hello"
        assert peer.finish() == (1000, "")
    assert host.ask(build("/chat", {"Origin": "https://evil.example"})).status == 403
    wait_until(lambda: len(exporter.get_finished_spans()) == 3)
    told = [dict(span.attributes or {}) for span in exporter.get_finished_spans()]
    statuses = [each.get("http.response.status_code") for each in told]
    assert {101, 403, None} == set(statuses)
    assert told[statuses.index(None)]["websocket.messages.received"] == 1
    assert told[statuses.index(403)]["url.path"] == "/chat"


def test_connection_that_outlives_the_instrument_has_no_end_in_it(
    host: AsyncioHost, kind: type[Recorder], exporter: InMemorySpanExporter
) -> None:
    host.serve(kind)
    with host.open() as peer:
        wait_until(lambda: len(exporter.get_finished_spans()) == 1)
        tracing.uninstrument()
        assert peer.finish() == (1000, "")
    host.wait_until(lambda: not len(host.manager))
    assert [span.name for span in exporter.get_finished_spans()] == ["GET"]


class Raising(SpanProcessor):
    """Is broken."""

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        raise ArithmeticError("on_start")

    def on_end(self, span: ReadableSpan) -> None:
        raise ArithmeticError("on_end")


class RaisingAtTheEnd(Raising):
    def on_start(self, span: Any, parent_context: Any = None) -> None: ...


@pytest.mark.parametrize("processor", [Raising, RaisingAtTheEnd])
def test_processor_that_raises_is_logged_once_and_harms_nobody(
    processor: type[SpanProcessor], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracing, "_warned_at", float("-inf"))
    provider = TracerProvider()
    provider.add_span_processor(processor())
    tracing.instrument(provider)
    try:
        with caplog.at_level(logging.ERROR):
            for _ in range(3):
                environ = {"REQUEST_METHOD": "GET"}
                with trace_upgrade(environ, Policy()) as traced:
                    traced.accept()
                assert traced.call(int, "7") == 7
        assert [record.message for record in caplog.records] == [
            "a span could not be made; that is told once a minute at most"
        ]
    finally:
        tracing.uninstrument()
