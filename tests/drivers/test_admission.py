"""Admission: handshakes and connections of each address and key are counted, and given back."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.drivers.peer import Peer, Recorder
from tests.drivers.threads import ThreadHost, threads
from ws4py_middleware import admission
from ws4py_middleware.admission import Claim, check_rate, find_claim, get_address
from ws4py_middleware.core.policy import Policy, Rate
from ws4py_middleware.exc import HandshakeError

__all__ = ["threads"]


@pytest.fixture(autouse=True)
def new_books() -> Iterator[None]:
    admission.disown()
    yield
    admission.disown()


def environ(address: str | None = "203.0.113.9", **more: Any) -> dict[str, Any]:
    return {"REMOTE_ADDR": address, **more}


def get_user(environ: dict[str, Any]) -> Any:
    return environ.get("user")


@contextlib.contextmanager
def refused(text: str) -> Iterator[None]:
    with pytest.raises(HandshakeError, match=text) as info:
        yield
    assert info.value.status == 429
    ((name, value),) = info.value.headers
    assert name == "Retry-After"
    assert int(value) >= 1


def enter(policy: Policy, **request: Any) -> Claim:
    claim = find_claim(environ(**request), policy)
    assert claim is not None
    claim.check()
    claim.enter()
    return claim


def test_nothing_limited_claims_nothing() -> None:
    assert find_claim({}, Policy()) is None
    assert find_claim({}, Policy(connection_key=get_user)) is None
    for _ in range(100):
        check_rate({}, Policy())


def test_address_has_so_many_and_gets_them_back() -> None:
    policy = Policy(max_connections_per_address=2)
    claims = [enter(policy), enter(policy)]
    with refused("203.0.113.9 has 2 WebSockets open"):
        enter(policy)
    other = enter(policy, address="203.0.113.10")
    for claim in (*claims, other):
        claim.leave()
        claim.leave()
    assert admission._books.counts == {}
    enter(policy).leave()


def test_ipv6_addresses_of_one_network_are_one_client() -> None:
    policy = Policy(max_connections_per_address=1)
    enter(policy, address="2001:db8:1:2::1")
    with refused(r"2001:db8:1:2::/64 has 1"):
        enter(policy, address="2001:db8:1:2:ffff::7")
    enter(policy, address="2001:db8:1:3::1")


@pytest.mark.parametrize("nowhere", ["", None])
def test_clients_without_an_address_are_one(nowhere: str | None) -> None:
    policy = Policy(max_connections_per_address=1, handshake_rate=1)
    enter(policy, address=nowhere)
    with refused("this address has 1"):
        enter(policy, address=nowhere)
    check_rate(environ(nowhere), policy)
    with refused("too many connections from here"):
        check_rate(environ(nowhere), policy)


def test_spoofed_header_changes_nothing_where_nobody_is_trusted() -> None:
    policy = Policy(max_connections_per_address=1)
    enter(policy, HTTP_X_FORWARDED_FOR="6.6.6.6")
    with refused("203.0.113.9 has 1"):
        enter(policy, HTTP_X_FORWARDED_FOR="6.6.6.7")


def test_client_behind_a_proxy_is_who_that_has_seen_and_not_who_he_says() -> None:
    policy = Policy(max_connections_per_address=1, trusted_proxies=1)
    enter(policy, address="10.0.0.1", HTTP_X_FORWARDED_FOR="203.0.113.9")
    with refused("203.0.113.9 has 1"):
        enter(policy, address="10.0.0.1", HTTP_X_FORWARDED_FOR="6.6.6.6, 203.0.113.9")
    enter(policy, address="10.0.0.1", HTTP_X_FORWARDED_FOR="203.0.113.9, 203.0.113.10")
    assert get_address(environ("10.0.0.1", HTTP_X_FORWARDED_FOR="a, 203.0.113.9"), policy) == "203.0.113.9"


def test_key_has_so_many_and_nobody_is_not_counted() -> None:
    policy = Policy(max_connections_per_key=1, connection_key=get_user)
    enter(policy, user="ann")
    with refused("you have 1 WebSockets open"):
        enter(policy, user="ann")
    enter(policy, user="bob")
    assert find_claim(environ(), policy) is None


def test_key_of_another_function_is_another() -> None:
    def get_tenant(environ: dict[str, Any]) -> Any:
        return environ["user"]

    enter(Policy(max_connections_per_key=1, connection_key=get_user), user="ann")
    enter(Policy(max_connections_per_key=1, connection_key=get_tenant), user="ann")


def test_key_that_has_no_hash_or_does_not_exist_is_an_error_of_the_application() -> None:
    with pytest.raises(TypeError, match=r"connection_key returned \['a'\], which has no hash"):
        find_claim(environ(user=["a"]), Policy(max_connections_per_key=1, connection_key=get_user))
    with pytest.raises(ValueError, match="there is no connection_key"):
        find_claim(environ(), Policy(max_connections_per_key=1))


def test_one_limit_that_is_reached_takes_nothing_from_the_other() -> None:
    policy = Policy(max_connections_per_address=2, max_connections_per_key=1, connection_key=get_user)
    enter(policy, user="ann")
    for _ in range(5):
        with refused("you have 1"):
            enter(policy, user="ann")
    enter(policy, user="bob")


def test_of_many_that_come_at_once_no_more_enter_than_may() -> None:
    policy = Policy(max_connections_per_address=10)
    claims = [find_claim(environ(), policy) for _ in range(100)]
    entered = []
    gate = threading.Barrier(100)

    def run(claim: Claim) -> None:
        gate.wait()
        with contextlib.suppress(HandshakeError):
            claim.enter()
            entered.append(claim)

    threads = [threading.Thread(target=run, args=(claim,)) for claim in claims]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(entered) == 10


def test_handshakes_come_at_the_rate_of_their_address() -> None:
    policy = Policy(handshake_rate=Rate(3, per=3600))
    for _ in range(3):
        check_rate(environ(), policy)
    with pytest.raises(HandshakeError, match=r"too many connections from 203.0.113.9; try again") as info:
        check_rate(environ(), policy)
    assert (info.value.status, info.value.headers) == (429, (("Retry-After", "1200"),))
    check_rate(environ("203.0.113.10"), policy)


def test_forked_child_begins_anew_and_takes_nothing_from_its_parent() -> None:
    policy = Policy(max_connections_per_address=1)
    claim = enter(policy)
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            mine = enter(policy)
            claim.leave()  # the parent's
            with refused("has 1"):
                enter(policy)
            mine.leave()
            enter(policy)
            status = 0
        finally:
            os._exit(status)
    assert os.waitpid(pid, 0)[1] == 0
    with refused("has 1"):
        enter(policy)


def close(websocket: Recorder, peer: Peer) -> None:
    websocket.close()
    peer.answer()


@pytest.mark.parametrize(
    "end",
    [
        lambda websocket, peer: peer.finish(),
        lambda websocket, peer: peer.reset(),
        lambda websocket, peer: websocket.terminate(),
        close,
    ],
)
def test_connection_that_ends_gives_its_place_back(
    threads: ThreadHost, end: Callable[[Recorder, Peer], object]
) -> None:
    policy = Policy(max_connections_per_address=1)
    websocket = Recorder()
    websocket._claim = enter(policy)
    peer = threads.connect(websocket)
    with refused("has 1"):
        enter(policy)
    end(websocket, peer)
    threads.wait_until(lambda: not admission._books.counts)


def test_connection_that_leaves_its_manager_gives_its_place_back(threads: ThreadHost) -> None:
    policy = Policy(max_connections_per_address=1)
    websocket = Recorder()
    websocket._claim = enter(policy)
    threads.connect(websocket)
    threads.manager.remove(websocket)
    enter(policy)
    websocket.sock.close()
