"""Spans of OpenTelemetry on real servers: what they say, whose children they are, and who makes them."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from tests.entrances.admins import wait_closed
from tests.servers import Server, start, wait_for

WSGI = "tests.entrances.traced_app:wsgi"
ASGI = "tests.entrances.traced_app:asgi"
CHERRYPY = "tests.entrances.traced_cherrypy_app:app"

SERVERS = [
    ("gunicorn-gthread", WSGI),
    ("gunicorn-gevent", WSGI),
    ("gevent-pywsgi-unpatched", WSGI),
    ("uvicorn-websockets", ASGI),
    ("cherrypy", CHERRYPY),
]

TRACE_ID, PARENT_ID = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
HEADERS = {"traceparent": f"00-{TRACE_ID}-{PARENT_ID}-01"}
BOUND = 10.0


class Spans:
    """The spans that the processes of a server have written."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def all(self) -> list[dict[str, Any]]:
        files = self.directory.glob("*.spans")
        return [
            json.loads(line)
            for file in files
            for line in file.read_text().splitlines(True)
            if line[-1] == "\n"
        ]

    def find(self, name: str) -> list[dict[str, Any]]:
        """Return those whose names begin so."""
        return [span for span in self.all() if span["name"].startswith(name)]

    def one(self, name: str) -> dict[str, Any]:
        """Wait for the one whose name begins so."""
        wait_for(lambda: len(self.find(name)) == 1, BOUND, f"one span {name}: {self.all()}")
        return self.find(name)[0]


@pytest.fixture
def spans(tmp_path: Path) -> Spans:
    return Spans(tmp_path)


@contextmanager
def run(kind: str, app: str, spans: Spans, *options: str, ends: bool = True, **env: str) -> Iterator[Server]:
    with start(kind, app, options=options, env={"SPANS": str(spans.directory), **env}) as server:
        yield server
        log = server.log
    assert "could not be" not in log, log


def open_ws(server: Server, path: str) -> ClientConnection:
    return connect(server.ws_url + path, additional_headers=HEADERS, proxy=None, compression=None)


def id_of(span: dict[str, Any]) -> str:
    return str(span["context"]["span_id"]).removeprefix("0x")


def parent_of(span: dict[str, Any]) -> str:
    return str(span["parent_id"]).removeprefix("0x")


@pytest.mark.parametrize(("kind", "app"), SERVERS, ids=lambda value: value.partition(":")[0])
def test_upgrade_hooks_and_end_are_one_trace(kind: str, app: str, spans: Spans) -> None:
    with run(kind, app, spans) as server:
        with open_ws(server, "/ws/bob?password=hunter2") as client:
            pid = int(client.recv(BOUND))
            client.send("payload")
            assert client.recv(BOUND) == "payload"
            client.close(4000, "confidential")
        closed = spans.one("closed")
        upgrade, end = spans.one("GET"), spans.one("websocket close")
        route = "" if app == CHERRYPY else " /ws/<name>"
        assert (upgrade["name"], end["name"]) == (f"GET{route}", f"websocket close{route}")
        assert (upgrade["kind"], parent_of(upgrade)) == ("SpanKind.SERVER", PARENT_ID)
        expected = {
            "http.request.method": "GET",
            "url.path": "/ws/bob",
            "url.scheme": "ws",
            "network.protocol.name": "websocket",
            "client.address": "127.0.0.1",
            "http.response.status_code": 101,
        } | ({"http.route": route[1:]} if route else {})
        assert upgrade["attributes"] == expected
        children = [spans.one("authorize"), spans.one("opened"), spans.one("received"), closed, end]
        assert {parent_of(span) for span in children} == {id_of(upgrade)}
        assert {span["context"]["trace_id"] for span in spans.all()} == {f"0x{TRACE_ID}"}
        assert {span["pid"] for span in spans.all()} == {pid}
        assert [link["context"]["span_id"] for link in end["links"]] == [f"0x{id_of(upgrade)}"]
        told = end["attributes"]
        assert 0 < told.pop("websocket.duration") < 60
        assert told.pop("websocket.bytes.sent") >= 8
        assert told.pop("websocket.bytes.received") >= 7
        assert told == {
            "network.protocol.name": "websocket",
            "client.address": "127.0.0.1",
            "websocket.close.code": 4000,
            "websocket.close.reason": "application",
            "websocket.close.clean": True,
            "websocket.messages.received": 1,
            "websocket.messages.sent": 2,
            "websocket.messages.dropped": 0,
        } | ({"http.route": route[1:]} if route else {})
        everything = json.dumps(spans.all())
        for secret in ("hunter2", "payload", "confidential"):
            assert secret not in everything


@pytest.mark.parametrize(("kind", "app"), SERVERS, ids=lambda value: value.partition(":")[0])
def test_refusal_has_its_status(kind: str, app: str, spans: Spans) -> None:
    with run(kind, app, spans) as server:
        with pytest.raises(InvalidStatus, match="402"):
            open_ws(server, "/ws/nobody")
        upgrade = spans.one("GET")
        assert upgrade["attributes"]["http.response.status_code"] == 402
        assert upgrade["status"]["status_code"] == "UNSET"
        assert parent_of(spans.one("authorize")) == id_of(upgrade)
        with pytest.raises(InvalidStatus, match="403"):
            connect(server.ws_url + "/ws/bob", origin=Origin("https://evil.example"), proxy=None)
        wait_for(lambda: len(spans.find("GET")) == 2, BOUND, "the other refusal")
        (refused,) = [span for span in spans.find("GET") if span != upgrade]
        assert refused["attributes"]["http.response.status_code"] == 403
        assert "may not connect" in refused["attributes"]["websocket.refusal.reason"]
        assert refused["parent_id"] is None
        assert not spans.find("websocket close")


@pytest.mark.parametrize("kind", ["ws4py-wsgiref", "ws4py-gevent", "gunicorn-gthread"])
def test_application_that_is_one_websocket_is_traced(kind: str, spans: Spans) -> None:
    with run(kind, "tests.entrances.traced_app:own_site", spans) as server:
        with open_ws(server, "/any") as client:
            client.recv(BOUND)
        closed, upgrade = spans.one("closed"), spans.one("GET")
        assert (upgrade["attributes"]["http.response.status_code"], parent_of(upgrade)) == (101, PARENT_ID)
        children = [spans.one("opened"), spans.one("websocket close"), closed]
        assert {parent_of(span) for span in children} == {id_of(upgrade)}
        with pytest.raises(InvalidStatus, match="403"):
            connect(server.ws_url + "/any", origin=Origin("https://evil.example"), proxy=None)
        wait_for(lambda: len(spans.find("GET")) == 2, BOUND, "the refusal")


@pytest.mark.parametrize(("kind", "app"), SERVERS[::3], ids=lambda value: value.partition(":")[0])
def test_faults_of_the_application_are_errors(kind: str, app: str, spans: Spans) -> None:
    with run(kind, app, spans) as server:
        with pytest.raises(InvalidStatus, match="500"):
            open_ws(server, "/ws/error")
        upgrade = spans.one("GET")
        assert upgrade["status"]["status_code"] == "ERROR"
        assert upgrade["attributes"]["http.response.status_code"] == 500
        assert [event["attributes"]["exception.type"] for event in upgrade["events"]] == ["LookupError"]
        with open_ws(server, "/fail") as client:
            assert wait_closed(client)[0] == 1011
        end = spans.one("websocket close /fail")
        assert end["status"]["status_code"] == "ERROR"
        assert end["attributes"]["websocket.close.reason"] == "internal_error"


@pytest.mark.parametrize(("kind", "app"), SERVERS[:4], ids=lambda value: value.partition(":")[0])
def test_function_is_in_the_trace_of_its_upgrade(kind: str, app: str, spans: Spans) -> None:
    with run(kind, app, spans) as server:
        paths = ["/function", "/async/x", "/async"] if app == ASGI else ["/function"]
        for path in paths:
            with open_ws(server, path) as client:
                client.recv(BOUND)
                client.send("hello")
                assert client.recv(BOUND) == "hello"
        wait_for(lambda: len(spans.find("received")) == len(paths), BOUND, "all of them")
        upgrades = {id_of(span) for span in spans.find("GET")}
        assert {parent_of(span) for span in spans.find("received")} == upgrades
        assert len(upgrades) == len(paths)


@pytest.mark.parametrize("worker", ["gthread", "gevent"])
def test_forked_workers_export_their_own_up_to_the_end(worker: str, spans: Spans) -> None:
    words = ("--workers", "2", "--preload")
    with run(f"gunicorn-{worker}", WSGI, spans, *words, BATCH="1") as server, ExitStack() as stack:
        clients: dict[int, ClientConnection] = {}
        count = 0
        while len(clients) < 2:
            assert count < 200, "all of them came to one worker"
            client = stack.enter_context(open_ws(server, "/ws/bob"))
            clients.setdefault(int(client.recv(BOUND)), client)
            count += 1
        wait_for(lambda: {span["pid"] for span in spans.find("GET")} == set(clients), BOUND, "both of them")
        os.kill(server.process.pid, signal.SIGTERM)
        for client in clients.values():
            assert wait_closed(client)[0] == 1001
        server.process.wait(BOUND)
        # What waits in a worker's batch is exported when it ends.
        assert {span["pid"] for span in spans.find("websocket close")} == set(clients)
        assert len(spans.find("websocket close")) == count
        for span in spans.find("websocket close"):
            assert span["attributes"]["websocket.close.code"] == 1001


def test_exporter_that_fails_harms_no_connection(spans: Spans) -> None:
    with run("gunicorn-gthread", WSGI, spans, FAILING="1") as server, open_ws(server, "/ws/bob") as client:
        client.recv(BOUND)
        for _ in range(5):
            client.send("hello")
            assert client.recv(BOUND) == "hello"
        client.close()
        assert client.close_code == 1000
        assert "the disk is full" in server.log
        assert not spans.all()


class Collector(HTTPServer):
    """What an OpenTelemetry collector is to an exporter of OTLP over HTTP."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Collecting)
        self.names: list[str] = []


class _Collecting(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        assert isinstance(self.server, Collector)
        request = ExportTraceServiceRequest.FromString(self.rfile.read(int(self.headers["Content-Length"])))
        for resource in request.resource_spans:
            for scope in resource.scope_spans:
                if scope.scope.name == "ws4py_middleware":
                    self.server.names += [span.name for span in scope.spans]
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None: ...


@pytest.mark.parametrize("kind", ["gunicorn-gthread", "gunicorn-gevent"])
def test_spans_reach_a_collector_by_otlp(kind: str, spans: Spans) -> None:
    with Collector() as collector:
        thread = threading.Thread(target=collector.serve_forever)
        thread.start()
        try:
            endpoint = f"http://127.0.0.1:{collector.server_address[1]}"
            with run(kind, WSGI, spans, BATCH="1", OTEL_EXPORTER_OTLP_ENDPOINT=endpoint) as server:
                with open_ws(server, "/ws/bob") as client:
                    client.recv(BOUND)
                expected = {"GET /ws/<name>", "websocket close /ws/<name>"}
                wait_for(lambda: set(collector.names) == expected, BOUND, "both spans")
        finally:
            collector.shutdown()
            thread.join()
