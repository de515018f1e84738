"""What happens in time: silence, reloads of the proxy, the end of a gunicorn, and several of them."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

import pytest
import websocket

from tests.proxies.conftest import Backend
from tests.proxies.programs import KINDS, PROGRAMS, Changes, Proxy, start_proxy
from tests.proxies.visits import Visit, visit, visiting
from tests.servers import free_port, start, wait_for

pytestmark = pytest.mark.proxies

APP = "tests.proxies.app:app"
Backends = Callable[[str], Backend]


@contextlib.contextmanager
def start_all(port: int, *, minute: bool = False) -> Iterator[dict[str, Proxy]]:
    """Run all four before one gunicorn; a minute of silence may be a second."""
    with contextlib.ExitStack() as stack:
        yield {
            kind: stack.enter_context(
                start_proxy(kind, {**(program.minute if minute else {}), **program.at_port(port)})
            )
            for kind, program in PROGRAMS.items()
        }


# --- silence -----------------------------------------------------------------------------------------


def stay_silent(proxy: Proxy, path: str) -> int | None:
    """Say nothing for five minutes of a second each; return how it ended, or None if it has an echo again."""
    with visiting(proxy, path) as ws:
        ws.receive()
        end = ws.read_end(5)
        if end is None:
            assert ws.ask("still there") == "still there"
        return end


def test_pings_keep_a_silent_connection_and_without_them_it_is_cut(backends: Backends) -> None:
    """Through all four at once: it takes its five seconds."""
    port = backends(APP).port
    visits = [(kind, path) for kind in KINDS for path in ("/pinged", "/silent")]
    with start_all(port, minute=True) as proxies, ThreadPoolExecutor(len(visits)) as pool:
        ends = pool.map(lambda visit: stay_silent(proxies[visit[0]], visit[1]), visits)
        assert dict(zip(visits, ends, strict=True)) == {
            (kind, path): None if path == "/pinged" else 1006 for kind, path in visits
        }
    wait_for(lambda: backends(APP).server.log.count("closed /silent 1006") == len(KINDS))


# --- reloads -----------------------------------------------------------------------------------------


def reload(proxy: Proxy, changes: Changes, port: int) -> Visit:
    """
    Have a proxy take up a configuration with another port of gunicorn's.

    Returns:
        The first visit that came through the new one: for a moment, nginx serves by both.
    """
    proxy.configure({**changes, **proxy.program.at_port(port)})
    proxy.reload()
    found: list[Visit] = []

    def has_taken_it_up() -> bool:
        try:
            ws = visit(proxy, "/silent")
        except OSError:
            if proxy.program is not PROGRAMS["stunnel"]:  # which closes its port and opens it again
                raise
            return False
        if ws.receive() != str(port):
            ws.close()
            return False
        found.append(ws)
        return True

    wait_for(has_taken_it_up, 10, "the new configuration")
    return found[0]


@pytest.mark.parametrize("kind", KINDS)
def test_reload_leaves_connections_as_long_as_it_is_told(kind: str, backends: Backends) -> None:
    backend, program = backends(APP), PROGRAMS[kind]
    with start_proxy(kind, program.at_port(backend.port)) as proxy, visiting(proxy, "/silent") as first:
        assert first.receive() == str(backend.port)
        with contextlib.closing(reload(proxy, program.farewell, backend.second)) as second:
            assert first.ask("through the old configuration") == "through the old configuration"
            with contextlib.closing(reload(proxy, {}, backend.port)) as third:
                if program.farewell:
                    assert second.read_end() == 1006
                else:
                    assert second.ask("nothing ends this one") == "nothing ends this one"
                assert first.ask("for ten minutes") == "for ten minutes"
                assert third.ask("from now on") == "from now on"


# --- gunicorn's end ----------------------------------------------------------------------------------


def read_ends(proxies: Mapping[str, Proxy], cause: Callable[[], None]) -> dict[str, int | None]:
    """Connect through each proxy and return how that ends then."""
    with contextlib.ExitStack() as stack:
        visits = {kind: stack.enter_context(visiting(proxy, "/echo")) for kind, proxy in proxies.items()}
        for ws in visits.values():
            ws.receive()
        cause()
        return {kind: ws.read_end() for kind, ws in visits.items()}


def read_refusal(proxy: Proxy) -> int | None:
    """Return the status with which a proxy refuses a visit; None for the end of the connection."""
    began = time.monotonic()
    with pytest.raises((websocket.WebSocketException, OSError)) as caught:
        visit(proxy, "/echo")
    assert time.monotonic() - began < 5
    status = getattr(caught.value, "status_code", None)
    assert status is None or isinstance(status, int)
    return status


def test_drain_of_gunicorn_is_told_and_its_absence_is_an_error_at_once() -> None:
    """Behind all four at once: each of them alone needs a gunicorn that ends."""
    options = ["--proxy-protocol", "--threads=2"]
    with start("gunicorn-gthread", APP, options=options) as server, start_all(server.port) as proxies:
        assert read_ends(proxies, lambda: server.signal(signal.SIGHUP)) == dict.fromkeys(KINDS, 1012)
        assert read_ends(proxies, server.signal) == dict.fromkeys(KINDS, 1001)
        server.process.wait(10)
        assert {kind: read_refusal(proxy) for kind, proxy in proxies.items()} == {
            kind: program.away for kind, program in PROGRAMS.items()
        }


# --- several gunicorns -------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_connections_are_spread_over_two_gunicorns(kind: str, backends: Backends) -> None:
    backend = backends(APP)
    changes = PROGRAMS[kind].at_ports(backend.port, backend.second)
    with start_proxy(kind, changes) as proxy, contextlib.ExitStack() as stack:
        # Each worker of nginx's begins with the first one.
        found = {stack.enter_context(visiting(proxy, "/echo")).receive() for _ in range(16)}
        assert found == {str(backend.port), str(backend.second)}


@pytest.mark.parametrize("kind", KINDS)
def test_visitors_come_to_the_gunicorn_that_is_there(kind: str, backends: Backends) -> None:
    here = backends(APP).port
    with (
        start_proxy(kind, PROGRAMS[kind].at_ports(free_port(), here)) as proxy,
        contextlib.ExitStack() as stack,
    ):
        found = {stack.enter_context(visiting(proxy, "/echo")).receive() for _ in range(4)}
        assert found == {str(here)}
