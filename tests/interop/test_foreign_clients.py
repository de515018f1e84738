"""The clients of others against our servers: every case, with compression and without."""

from __future__ import annotations

from contextlib import AbstractContextManager
from time import monotonic

import pytest
import websockets.sync.client

from tests.interop.cases import CASES, Pair, build_params
from tests.interop.foreign.clients import CLIENTS
from tests.interop.foreign.talker import BOUND, Options, Talker
from tests.interop.servers import OURS, Serving
from tests.interop.words import FRAGMENTS, MODES

pytestmark = pytest.mark.interop


@pytest.mark.parametrize(
    ("server", "client", "mode", "case"),
    [
        (server, client, mode, case)
        for server, ours in OURS.items()
        for client, foreign in CLIENTS.items()
        for mode, case in build_params({*ours.lacks, *foreign.lacks})
    ],
)
def test_case(serving: Serving, server: str, client: str, mode: str, case: str) -> None:
    url = serving.get_our_url(server, mode)

    def connect(subprotocols: tuple[str, ...] = ()) -> AbstractContextManager[Talker]:
        return CLIENTS[client].connect(url, Options(subprotocols, compression=mode == "deflate"))

    CASES[case].run(Pair(connect, client_answers=CLIENTS[client].answers))


@pytest.mark.parametrize("server", OURS)
@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("offers", [False, True])
def test_compression_is_agreed_on_when_both_want_it(
    serving: Serving, server: str, client: str, offers: bool
) -> None:
    foreign = CLIENTS[client]
    for mode in MODES:
        with foreign.connect(serving.get_our_url(server, mode), Options(compression=offers)) as talker:
            wanted = (offers or foreign.always_offers) and "compression" not in foreign.lacks
            assert talker.is_compressed is (wanted and mode == "deflate")


@pytest.mark.parametrize(
    "server", [name for name, ours in OURS.items() if "fragments received" not in ours.lacks]
)
@pytest.mark.parametrize("path", [*MODES, "function"])
def test_fragments_arrive_as_they_were_made(serving: Serving, server: str, path: str) -> None:
    with websockets.sync.client.connect(serving.get_our_url(server, path), proxy=None) as connection:
        connection.send("!fragments")
        assert tuple(connection.recv_streaming()) == FRAGMENTS


@pytest.mark.parametrize("server", OURS)
@pytest.mark.parametrize("client", CLIENTS)
def test_function_handler_sends_fragments_from_its_own_thread(
    serving: Serving, server: str, client: str
) -> None:
    url = serving.get_our_url(server, "function")
    with CLIENTS[client].connect(url, Options(compression=True)) as talker:
        for _ in range(3):
            talker.send("!fragments")
            assert talker.receive() == "".join(FRAGMENTS)


@pytest.mark.parametrize(
    "server", [name for name, ours in OURS.items() if "pings received" not in ours.lacks]
)
@pytest.mark.parametrize("client", CLIENTS)
def test_server_measures_the_latency(serving: Serving, server: str, client: str) -> None:
    with CLIENTS[client].connect(serving.get_our_url(server, "pinging"), Options()) as talker:
        deadline = monotonic() + BOUND
        answer = "!latency "
        while answer == "!latency " and monotonic() < deadline:
            talker.send("!latency")
            answer = str(talker.receive())
        assert 0 < float(answer.removeprefix("!latency ")) < BOUND
