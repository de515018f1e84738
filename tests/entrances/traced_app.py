"""WSGI, ASGI and CherryPy applications whose WebSockets are traced, with spans of their own in hooks."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    SimpleSpanProcessor,
    SpanExporter,
    SpanExportResult,
)

from ws4py_middleware import AsyncWebSocket, WebSocket, WebSocketASGI, WebSocketMiddleware
from ws4py_middleware.messaging import Message
from ws4py_middleware.server.wsgiutils import WebSocketWSGIApplication
from ws4py_middleware.tracing import instrument

DIRECTORY = Path(os.environ["SPANS"])


class ToFile(SpanExporter):
    """Writes spans into a file of this process."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        with (DIRECTORY / f"{os.getpid()}.spans").open("a") as file:
            for span in spans:
                file.write(json.dumps({**json.loads(span.to_json(indent=None)), "pid": os.getpid()}) + "\n")
        return SpanExportResult.SUCCESS


class Failing(SpanExporter):
    """Fails."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        raise OSError("the disk is full")


def make_exporter() -> SpanExporter:
    if "OTEL_EXPORTER_OTLP_ENDPOINT" in os.environ:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        return OTLPSpanExporter()
    return Failing() if "FAILING" in os.environ else ToFile()


provider = TracerProvider()
if "BATCH" in os.environ:
    provider.add_span_processor(BatchSpanProcessor(make_exporter(), schedule_delay_millis=200))
else:
    provider.add_span_processor(SimpleSpanProcessor(make_exporter()))
trace.set_tracer_provider(provider)
instrument()
tracer = trace.get_tracer("app")


class Traced(WebSocket):
    def opened(self) -> None:
        with tracer.start_as_current_span("opened"):
            self.send(str(os.getpid()))

    def received_message(self, message: Message) -> None:
        with tracer.start_as_current_span("received"):
            self.send(message)

    def closed(self, code: int, reason: str | None = None) -> None:
        with tracer.start_as_current_span("closed"):
            pass


class TracedAsync(AsyncWebSocket):
    async def opened(self) -> None:
        with tracer.start_as_current_span("opened"):
            await self.send(str(os.getpid()))

    async def received_message(self, message: Message) -> None:
        with tracer.start_as_current_span("received"):
            await self.send(message)

    async def closed(self, code: int, reason: str | None = None) -> None:
        with tracer.start_as_current_span("closed"):
            pass


def echo(ws: Any, **params: Any) -> None:
    ws.send(str(os.getpid()))
    for message in ws:
        with tracer.start_as_current_span("received"):
            ws.send(message)


async def echo_async(ws: Any) -> None:
    await ws.send(str(os.getpid()))
    async for message in ws:
        with tracer.start_as_current_span("received"):
            await ws.send(message)


def fail(ws: Any) -> None:
    raise LookupError("a handler's fault")


def authorize(environ: Any, **params: Any) -> Any:
    with tracer.start_as_current_span("authorize"):
        if params.get("name") == "nobody":
            return 402, "no"
        if params.get("name") == "error":
            raise LookupError("an application's fault")
    return True


def site(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5")])
    return [b"hello"]


COMMON: dict[str, Any] = {"/ws/<name>": Traced, "/function": echo, "/fail": fail}
#: For servers that are told by their environ; they know no routes.
own = WebSocketWSGIApplication(handler_cls=Traced)


def own_site(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    return (own if "HTTP_UPGRADE" in environ else site)(environ, start_response)


wsgi = WebSocketMiddleware(site, COMMON, authorize=authorize)
asgi = WebSocketASGI(
    None, {**COMMON, "/async/<name>": TracedAsync, "/async": echo_async}, authorize=authorize
)
