"""What others do not do though the RFCs say so; on a failure docs/topics/interop.md is to be changed."""

from __future__ import annotations

import pytest

from tests.interop.foreign.clients import CLIENTS
from tests.interop.foreign.talker import Options, Talker
from tests.interop.own_clients import connect
from tests.interop.servers import Serving
from tests.interop.words import FRAGMENTS
from tests.servers import start

pytestmark = pytest.mark.interop

COMPRESSED = Options(compression=True)


def survives_a_ping_between(talker: Talker) -> bool:
    """Tell whether a compressed message comes back in which there was a ping."""
    talker.send_fragments(FRAGMENTS)
    assert talker.receive() == "".join(FRAGMENTS)
    talker.send_fragments(FRAGMENTS, b"between")
    return talker.receive() == "".join(FRAGMENTS)


def test_tornado_loses_a_compressed_message_with_a_ping_between_its_fragments(serving: Serving) -> None:
    with connect("base", serving.get_their_url("tornado", "deflate"), COMPRESSED) as talker:
        assert talker.is_compressed
        assert not survives_a_ping_between(talker)


@pytest.mark.parametrize("kind", ["uvicorn-wsproto", "hypercorn"])
def test_servers_on_wsproto_do_so_too(kind: str) -> None:
    with start(kind, "tests.interop.asgi_app:app") as server:
        with CLIENTS["websockets-sync"].connect(f"{server.ws_url}/deflate", COMPRESSED) as talker:
            assert talker.is_compressed
            assert not survives_a_ping_between(talker)
