"""The transport of every flavour: bytes in, bytes out, never a wait."""

from __future__ import annotations

import contextlib
import errno
import gc
import os
import resource
import socket
import ssl
import threading
from pathlib import Path
from typing import Any

import gevent
import gevent.socket
import gevent.ssl
import pytest
from OpenSSL import SSL

from tests.drivers.handover_pairs import (
    TLS_FLAVOURS,
    Pair,
    fill,
    flavour,
    pair,
    raw_receive,
    readable,
    receive,
    receive_all,
    tls_pair,
)
from tests.servers import server_context, wait_for
from ws4py_middleware.handover import TLSTransport, Transport, from_socket, take, transports

__all__ = ["flavour", "pair", "tls_pair"]

# More than the kernel keeps for a peer that does not read.
TOO_MUCH = bytes(30_000_000)


def test_recv_gives_none_then_bytes_then_end(pair: Pair) -> None:
    transport, _ = pair.take()
    assert transport.recv() is None
    pair.client.sendall(b"hello")
    assert receive(transport, 5) == b"hello"
    assert transport.recv() is None
    if isinstance(pair.client, ssl.SSLSocket):
        with contextlib.suppress(ssl.SSLError):
            pair.client.settimeout(0)
            pair.client.unwrap()
    pair.client.close()
    readable(transport)
    assert transport.recv() == b""
    assert transport.recv() == b""


def test_recv_without_close_notify_is_an_end_too(tls_pair: Pair) -> None:
    transport, _ = tls_pair.take()
    tls_pair.client.sendall(b"last")
    # Without a word of TLS.
    socket.socket.shutdown(tls_pair.client, socket.SHUT_RDWR)
    assert receive(transport, 4) == b"last"
    readable(transport)
    assert transport.recv() == b""


def test_recv_and_send_of_a_reset_connection_raise_oserror(pair: Pair) -> None:
    transport, _ = pair.take()
    pair.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    pair.client.close()
    readable(transport)
    if isinstance(pair.server, ssl.SSLSocket | gevent.ssl.SSLSocket):
        # Before CPython 3.13 ssl reports a reset as it reports a cut.
        with contextlib.suppress(ConnectionResetError):
            assert transport.recv() == b""
    else:
        with pytest.raises(ConnectionResetError):
            transport.recv()
    with pytest.raises(OSError, match=r"reset|[Bb]roken|EOF|protocol|TLS"):
        transport.sendall(b"x", timeout=1)


def test_send_takes_what_fits_and_the_rest_arrives_intact(pair: Pair) -> None:
    transport, _ = pair.take()
    sent = fill(transport)
    binding = getattr(transport, "committed", 0)
    received: list[bytes] = []
    reader = threading.Thread(target=lambda: received.append(receive_all(pair.client, len(sent) + 9)))
    reader.start()
    rest = (sent[-binding:] if binding else b"") + b"and after"
    transport.sendall(rest, timeout=10)
    reader.join()
    assert received == [sent + b"and after"]
    assert transport.interest(True, True) == (True, True)


def test_send_after_a_refused_tls_write_must_begin_with_the_same_bytes(tls_pair: Pair) -> None:
    transport, _ = tls_pair.take()
    assert isinstance(transport, TLSTransport)
    fill(transport)
    assert 0 < transport.committed <= 16384
    with pytest.raises(ValueError, match=str(transport.committed)):
        transport.send(b"else")


def test_send_of_nothing_does_nothing(pair: Pair) -> None:
    transport, _ = pair.take()
    assert transport.send(b"") == 0
    transport.sendall(b"", timeout=0)


def test_sendall_waits_no_longer_than_it_may(pair: Pair) -> None:
    transport, _ = pair.take()
    with pytest.raises(TimeoutError):
        transport.sendall(TOO_MUCH, timeout=0.05)


@pytest.mark.parametrize("flavour", ["gevent", "gevent-tls"])
def test_sendall_under_gevent_lets_others_run(flavour: str, pair: Pair) -> None:
    transport, _ = pair.take()
    ran: list[bool] = []
    gevent.spawn(ran.append, True)
    with pytest.raises(TimeoutError):
        transport.sendall(TOO_MUCH, timeout=0.5)  # longer than to fill the kernel takes
    assert ran


def test_sendall_knows_descriptors_above_1023() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 1200), hard))
    try:
        for kind in ("plain", "gevent"):
            with contextlib.closing(Pair(kind, high=True)) as pair:
                transport, _ = pair.take()
                assert transport.fileno() > 1023
                with pytest.raises(TimeoutError):
                    transport.sendall(TOO_MUCH, timeout=0.01)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_pending_counts_what_no_poller_sees(tls_pair: Pair) -> None:
    transport, _ = tls_pair.take()
    tls_pair.client.sendall(b"r" * 10_000)
    readable(transport)
    assert transport.recv(100) == b"r" * 100
    assert transport.pending() == 9_900
    assert transport.recv() == b"r" * 9_900
    assert transport.pending() == 0


def test_recv_reads_several_records_up_to_its_size(tls_pair: Pair) -> None:
    transport, _ = tls_pair.take()
    tls_pair.client.sendall(b"r" * 100_000)
    # Loopback delivers in order; all of it has arrived when the last byte can be peeked at.
    wait_for(lambda: len(peek(transport)) > 100_000)
    assert len(transport.recv(65536) or b"") == 65536
    assert len(transport.recv(65536) or b"") == 100_000 - 65536


def peek(transport: Transport) -> bytes:
    with socket.socket(fileno=os.dup(transport.fileno())) as twin:
        return twin.recv(200_000, socket.MSG_PEEK)


def test_tls_reads_and_writes_from_two_threads_do_not_meet(tls_pair: Pair) -> None:
    transport, _ = tls_pair.take()
    total = 3_000_000
    chunk = bytes(range(250)) * 40

    def flood() -> None:
        for _ in range(total // len(chunk)):
            transport.sendall(chunk, timeout=10)

    # The client's ssl object has no lock: it only reads, and a second process of bytes comes from its kernel.
    tls_pair.client.sendall(b"u" * 1_000)
    writer = threading.Thread(target=flood)
    received: list[int] = []

    def drink() -> None:
        received.append(len(receive_all(tls_pair.client, total)))

    reader = threading.Thread(target=drink)
    writer.start()
    reader.start()
    got = 0
    while writer.is_alive():
        got += len(transport.recv(1) or b"")
    reader.join()
    assert received == [total]
    assert got + len(transport.recv() or b"") == 1_000


def test_renegotiation_crosses_the_waits() -> None:
    context = server_context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.options |= 0x100  # SSL_OP_ALLOW_CLIENT_RENEGOTIATION, which ssl has no name for
    ours, theirs = socket.socketpair()
    client = SSL.Connection(SSL.Context(SSL.TLS_CLIENT_METHOD), theirs)
    client.set_connect_state()
    handshake = threading.Thread(target=client.do_handshake)
    handshake.start()
    server = context.wrap_socket(ours, server_side=True)
    handshake.join()
    transport, sink = take(server)
    with theirs, contextlib.closing(server), contextlib.closing(sink), contextlib.closing(transport):
        theirs.setblocking(False)
        assert client.renegotiate()
        with pytest.raises(SSL.WantReadError):
            client.do_handshake()
        readable(transport)
        assert transport.recv() is None
        # The server has answered, and can not write data before the client has.
        assert transport.send(b"data") == 0
        assert transport.interest(True, True) == (True, False)
        assert transport.interest(False, True) == (True, False)
        assert transport.interest(True, False) == (True, False)
        with pytest.raises(SSL.WantReadError):
            client.do_handshake()
        readable(transport)
        assert transport.recv() is None
        assert transport.send(b"data") == 4
        assert transport.interest(True, True) == (True, True)
        assert client.recv(10) == b"data"


class WritesFirst:
    """A TLS connection whose read has to write first, and then breaks."""

    def __init__(self) -> None:
        self.answers: list[Any] = [ssl.SSLWantWriteError(), b"x" * 16384, OSError(errno.ECONNRESET, "reset")]

    def read(self, size: int, /) -> bytes:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return bytes(answer)

    def write(self, data: Any, /) -> int:
        raise ssl.SSLWantWriteError

    def pending(self) -> int:
        return 0

    def shutdown(self) -> None:
        raise ssl.SSLWantReadError


def test_read_that_must_write_first_waits_for_that() -> None:
    ours, theirs = socket.socketpair()
    with theirs, contextlib.closing(TLSTransport(ours, WritesFirst(), owner=ours)) as transport:
        assert transport.recv() is None
        assert transport.interest(True, False) == (False, True)
        assert transport.interest(False, False) == (False, False)
        # An error behind bytes waits until they are read.
        assert transport.recv() == b"x" * 16384
        assert transport.interest(True, False) == (True, False)


def test_shutdown_write_ends_our_side_only(flavour: str, pair: Pair) -> None:
    transport, _ = pair.take()
    transport.send(b"bye")
    transport.shutdown_write()
    transport.shutdown_write()
    assert pair.client.recv(3) == b"bye"
    assert pair.client.recv(3) == b""
    if flavour not in TLS_FLAVOURS:
        pair.client.sendall(b"you too")
        assert receive(transport, 7) == b"you too"
    with pytest.raises(OSError, match=r"[Bb]roken pipe|shutdown"):
        transport.send(b"more")


def test_close_is_clean_and_returns_descriptors_without_gc(flavour: str, pair: Pair) -> None:
    gc.disable()
    try:
        before = len(os.listdir("/proc/self/fd"))
        transport, sink = pair.take()
        transport.send(b"bye")
        transport.close()
        transport.close()
        pair.server.close()
        sink.close()
        # The server's is gone; in the other direction nothing but what was sent, and a clean end.
        assert pair.client.recv(9) == b"bye"
        assert pair.client.recv(9) == b""
        gevent.sleep(0)
        assert len(os.listdir("/proc/self/fd")) == before - 1
    finally:
        gc.enable()
    assert transport.fileno() == -1
    for call in (transport.recv, lambda: transport.send(b"x")):
        with pytest.raises(OSError, match=r"closed|Bad file descriptor"):
            call()
    assert transport.pending() == 0
    transport.abort()
    transport.shutdown_write()
    assert transport.local_address is None
    assert isinstance(transport.peer_address, tuple)
    assert "fd=-1" in repr(transport)


def test_abort_resets(pair: Pair) -> None:
    transport, _ = pair.take()
    transport.abort()
    transport.abort()
    assert transport.fileno() == -1
    # Below TLS, where there is any: ssl reports a reset as an end. First its session tickets.
    with pytest.raises(ConnectionResetError):
        raw_receive(pair.client, 65536)


def test_addresses_are_pairs(pair: Pair) -> None:
    transport, _ = pair.take()
    assert transport.peer_address == pair.client.getsockname()
    assert transport.local_address == pair.client.getpeername()
    assert transport.local_address is transport.local_address
    assert repr(transport.peer_address) in repr(transport)


def test_addresses_of_ipv6_are_cut_and_of_unix_are_paths(tmp_path: Path) -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as listener:
        client = socket.create_connection(listener.getsockname()[:2])
        transport = from_socket(listener.accept()[0])
        with client, contextlib.closing(transport):
            assert transport.peer_address == client.getsockname()[:2]
            assert transport.local_address == listener.getsockname()[:2]
    for address in (str(tmp_path / "s"), b"\0abstract-of-this-test"):
        with socket.socket(socket.AF_UNIX) as unix, socket.socket(socket.AF_UNIX) as client:
            unix.bind(address)
            unix.listen()
            client.connect(address)
            with contextlib.closing(from_socket(unix.accept()[0])) as transport:
                assert transport.local_address == address


def test_options_are_set(pair: Pair) -> None:
    transport, _ = pair.take()
    transport.setup()
    fd = os.dup(transport.fileno())
    with socket.socket(fileno=fd) as twin:
        assert twin.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert twin.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    assert not os.get_blocking(transport.fileno())


@pytest.mark.parametrize(
    "address",
    [
        ("127.0.0.1", 80),
        ("0.0.0.1", 1),
        ("255.255.255.255", 65535),
        ("::1", 443),
        ("2001:db8::ff00:42:8329", 0),
        ("::ffff:192.0.2.1", 65535),
        ("fe80::1%interface", 80),
        "/run/app.sock",
        b"\0abstract",
        "",
    ],
)
def test_address_that_is_kept_small_is_the_same(address: Any) -> None:
    is_ipv6 = isinstance(address, tuple) and ":" in address[0]
    kept: Any = transports._pack_address((*address, 0, 7) if is_ipv6 else address)
    assert (transports._unpack_address(kept) if isinstance(kept, int) else kept) == address
    if isinstance(address, tuple) and "%" not in address[0]:
        assert isinstance(kept, int)
