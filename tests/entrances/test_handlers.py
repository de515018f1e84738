"""Handlers that block under stock gunicorn, and what docs/topics/handlers.md says of it."""

from __future__ import annotations

import contextlib
import runpy
import time

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.servers import ROOT, Server, start, wait_for
from ws4py_middleware.handon import Crew
from ws4py_middleware.manager import WebSocketManager

APP = "tests.entrances.blocking_app:app"
CODE = ROOT / "docs" / "code" / "handlers"
PAGE = (ROOT / "docs" / "topics" / "handlers.md").read_text(encoding="utf-8")
KINDS = ("gunicorn-sync", "gunicorn-gthread")


def open_client(stack: contextlib.ExitStack, server: Server, path: str) -> ClientConnection:
    return stack.enter_context(connect(f"{server.ws_url}{path}", proxy=None, close_timeout=1))


def block(stack: contextlib.ExitStack, server: Server, path: str = "/block") -> ClientConnection:
    client = open_client(stack, server, path)
    if path != "/opened":
        client.send("hello")
    assert client.recv(timeout=10) == "blocking"
    return client


def echo(client: ClientConnection, text: str) -> None:
    client.send(text)
    assert client.recv(timeout=10) == text


@pytest.mark.parametrize("kind", KINDS)
def test_handlers_that_block_stop_neither_websockets_nor_http(kind: str) -> None:
    with start(kind, APP) as server, contextlib.ExitStack() as stack:
        others = [open_client(stack, server, "/echo") for _ in range(5)]
        threads = server.threads()
        blocking = [block(stack, server, path) for path in ("/block", "/opened", "/exit") * 4]
        for number in range(50):
            for other in others:
                echo(other, str(number))
        assert server.http("/").status == 200
        echo(open_client(stack, server, "/echo"), "one who comes late")
        # A thread for each that blocks, one that leads, and the watchdog.
        assert server.threads() <= threads + len(blocking) + 2
        assert server.http("/release").status == 200
        for index, client in enumerate(blocking):
            if index % 3 == 2:
                with pytest.raises(ConnectionClosed):
                    client.recv(timeout=10)
                assert client.close_code == 1011
            else:
                assert client.recv(timeout=10) == ("opened" if index % 3 else "hello")
        for other in others:
            echo(other, "afterwards")
        assert server.log.count("SystemExit: 3") == 4


@pytest.mark.parametrize("kind", KINDS)
def test_more_handlers_block_than_there_are_threads(kind: str) -> None:
    with start(kind, APP) as server, contextlib.ExitStack() as stack:
        other = open_client(stack, server, "/echo")
        clients = [open_client(stack, server, "/block") for _ in range(40)]
        for client in clients:
            client.send("hello")
        wait_for(lambda: "threads are busy" in server.log, what="the line in the log")
        for number in range(50):
            echo(other, str(number))
        server.http("/release")
        for client in clients:
            assert [client.recv(timeout=10), client.recv(timeout=10)] == ["blocking", "hello"]
        assert server.log.count("all 32 threads are busy") == 1
        assert "the slowest is Blocking" in server.log


@pytest.mark.parametrize("kind", KINDS)
def test_worker_ends_in_time_although_handlers_block(kind: str) -> None:
    with start(kind, APP) as server, contextlib.ExitStack() as stack:
        other = open_client(stack, server, "/echo")
        blocking = [block(stack, server) for _ in range(3)]
        began = time.monotonic()
        server.signal()
        with pytest.raises(ConnectionClosed):
            other.recv(timeout=10)
        assert other.close_code == 1001
        for client in blocking:
            with pytest.raises(ConnectionClosed):
                client.recv(timeout=10)
        server.process.wait(10)
        assert time.monotonic() - began < 6
        assert "Traceback" not in server.log


# --- the page ---------------------------------------------------------------------------------------------


def test_page_says_what_the_settings_are() -> None:
    words = " ".join(PAGE.split())
    assert f"| `WebSocketManager.max_threads` | {WebSocketManager.max_threads} |" in words
    assert f"| `WebSocketManager.handon_after` | {WebSocketManager.handon_after} |" in words
    assert f"has taken 5 ms for {Crew.quick_time:.0f} s" in words
    assert f"nothing to do for {Crew.idle_time} s ends" in words


def test_code_of_the_page_runs() -> None:
    before = WebSocketManager.max_threads
    try:
        runpy.run_path(str(CODE / "threads.py"))
        assert WebSocketManager.max_threads == 64
    finally:
        WebSocketManager.max_threads = before


def test_handler_of_the_page_says_at_once_what_it_says_before_it_blocks() -> None:
    with start("gunicorn-sync", "docs.code.handlers.report:app") as server, contextlib.ExitStack() as stack:
        client = open_client(stack, server, "/report")
        client.send("how are we doing?")
        assert client.recv(timeout=10) == "one moment"
        assert client.recv(timeout=10) == "done"
