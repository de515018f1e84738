"""P31: the connection is cut at every byte of the opening handshake, of TLS, and of the first frame."""

from __future__ import annotations

import contextlib
import re
import ssl
from collections.abc import Iterable

import pytest

from tests.entrances.scripted import Visit, reset, scripted, text
from tests.promises.clients_app import THREADS
from tests.promises.clientside import SLACK, ClientProcess, Job, at_most, trusting
from tests.promises.wire import MiB
from tests.servers import server_context

#: Beyond everything that is sent.
NEVER = 1_000_000

#: Every so many bytes of what TLS sends: the connections are many already.
STEP = 16


def read_position(visit: Visit) -> int:
    """Return where to cut, which the client has in its URL."""
    found = re.match(rb"GET /(\d+)", visit.request)
    assert found is not None, visit.request
    return int(found[1])


def visit_all(clients: ClientProcess, jobs: Iterable[Job]) -> list[str]:
    """Let clients do something, see that each ended as it may, and return the sizes or statuses."""
    ends = []
    with at_most(8 * MiB, clients, at_once=THREADS):
        outcomes = clients.ask_all(jobs)
    for outcome in outcomes:
        assert outcome.seconds <= SLACK, outcome
        if outcome.error:
            ends.append("OSError" if outcome.status is None else str(outcome.status))
        else:
            assert outcome.code == 1006, outcome
            ends.append(" ".join(map(str, outcome.sizes)))
    return ends


@pytest.mark.parametrize("end", ["fin", "rst"])
@pytest.mark.parametrize("scheme", ["ws", "wss"])
def test_p31_cut_in_handshake_or_first_frame_is_a_handshakeerror_or_1006(
    clients: ClientProcess, scheme: str, end: str
) -> None:
    head = whole = b""

    def script(visit: Visit) -> None:
        nonlocal head, whole
        visit.read_request()
        position = read_position(visit)
        head = visit.build_101()
        whole = head + text("hello")
        if end == "rst":
            reset(visit)
        visit.send(whole[:position])

    options = {"ssl_options": trusting()} if scheme == "wss" else {}
    tls = server_context() if scheme == "wss" else None
    with scripted(script, tls=tls, parallel=True) as server:
        uncut = visit_all(clients, [Job(f"{server.url}/{NEVER}", options)])
        ends = visit_all(clients, [Job(f"{server.url}/{at}", options) for at in range(len(whole) + 1)])
    if end == "rst":
        # A reset takes away what was not read yet; so any position may look as if it were cut before.
        assert {*ends, *uncut} <= {"0", "OSError", "", "5"}
    else:
        assert uncut == ["5"]
        assert ends == ["0"] * len(head) + [""] * (len(whole) - len(head)) + ["5"]


@pytest.mark.parametrize("end", ["fin", "rst"])
def test_p31_cut_in_what_tls_sends_is_an_oserror_a_handshakeerror_or_1006(
    clients: ClientProcess, end: str
) -> None:
    positions: list[int] = []
    sent = 0

    def script(visit: Visit) -> None:
        nonlocal sent
        at = positions.pop() if positions else NEVER
        if end == "rst":
            reset(visit)
        sent = serve_tls(visit, at)

    with scripted(script, parallel=True) as server:
        job = Job(f"wss://localhost:{server.port}/", {"ssl_options": trusting()})
        uncut = visit_all(clients, [job])
        positions += range(0, sent, STEP)
        ends = visit_all(clients, [job] * len(positions))
    assert len(ends) > 50
    assert end == "rst" or uncut == ["5"]
    assert {*ends} <= {"0", "OSError", "", "5"}
    assert "OSError" in ends


def serve_tls(visit: Visit, limit: int) -> int:
    """Speak TLS, and cut it behind so many bytes; return how many were sent."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = server_context().wrap_bio(incoming, outgoing, server_side=True)
    sent = 0
    head = b""
    is_ready = is_said = False
    while not is_said:
        try:
            if not is_ready:
                tls.do_handshake()
                is_ready = True
            head += tls.read(65536)
            if b"\r\n\r\n" in head:
                visit.request = head
                tls.write(visit.build_101() + text("hello"))
                is_said = True
        except ssl.SSLWantReadError:
            pass
        data = outgoing.read()[: limit - sent]
        visit.send(data)
        sent += len(data)
        if sent == limit:
            break
        if not is_said:
            incoming.write(visit.receive())
    return sent


@pytest.mark.parametrize("end", ["fin", "rst"])
@pytest.mark.parametrize("scheme", ["ws", "wss"])
def test_p31_cut_before_anything_is_an_oserror_or_a_handshakeerror(
    clients: ClientProcess, scheme: str, end: str
) -> None:
    def script(visit: Visit) -> None:
        if end == "rst":
            reset(visit)
        else:
            with contextlib.suppress(OSError):
                visit.sock.shutdown(2)

    with scripted(script, parallel=True) as server:
        url = f"{scheme}://localhost:{server.port}/"
        options = {"ssl_options": trusting()} if scheme == "wss" else {}
        ends = visit_all(clients, [Job(url, options)] * 20)
    assert {*ends} <= {"0", "OSError"}
