"""Our clients, of each kind, against the servers of others: every case, with compression and without."""

from __future__ import annotations

from contextlib import AbstractContextManager
from time import monotonic

import pytest

from tests.clients import KINDS
from tests.interop.cases import CASES, Pair, build_params
from tests.interop.foreign.talker import BOUND, Options, Talker
from tests.interop.own_clients import connect
from tests.interop.servers import THEIRS, Serving
from tests.interop.words import FRAGMENTS, MODES

pytestmark = pytest.mark.interop


@pytest.mark.parametrize(
    ("server", "kind", "mode", "case"),
    [
        (server, kind, mode, case)
        for server, theirs in THEIRS.items()
        for kind in KINDS
        for mode, case in build_params(theirs.lacks)
    ],
)
def test_case(serving: Serving, server: str, kind: str, mode: str, case: str) -> None:
    url = serving.get_their_url(server, mode)

    def open_talker(subprotocols: tuple[str, ...] = ()) -> AbstractContextManager[Talker]:
        return connect(kind, url, Options(subprotocols, compression=mode == "deflate"))

    CASES[case].run(Pair(open_talker, server_answers=THEIRS[server].answers))


@pytest.mark.parametrize("server", THEIRS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("offers", [False, True])
def test_compression_is_agreed_on_when_both_want_it(
    serving: Serving, server: str, kind: str, offers: bool
) -> None:
    for mode in MODES:
        with connect(kind, serving.get_their_url(server, mode), Options(compression=offers)) as talker:
            assert talker.is_compressed is (offers and mode == "deflate")


@pytest.mark.parametrize("server", THEIRS)
@pytest.mark.parametrize("kind", KINDS)
def test_client_measures_the_latency(serving: Serving, server: str, kind: str) -> None:
    url = serving.get_their_url(server, "plain")
    with connect(kind, url, Options(), ping_interval=0.02) as talker:
        deadline = monotonic() + BOUND
        while talker.session.client.latency is None and monotonic() < deadline:
            talker.send("on")
            assert talker.receive() == "on"
        assert 0 < talker.session.client.latency < BOUND


@pytest.mark.parametrize("kind", KINDS)
def test_ping_between_fragments_leaves_and_its_pong_comes(serving: Serving, kind: str) -> None:
    with connect(kind, serving.get_their_url("node-ws", "plain"), Options()) as talker:
        talker.send_fragments(FRAGMENTS, b"between")
        assert talker.receive() == "".join(FRAGMENTS)
        assert talker.session.client.pongs == [b"between"]
