"""Every flavour of socket: taken from its owner, and as a transport."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import gc
import os
import resource
import select
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gevent
import gevent.socket
import gevent.ssl
import pytest
from OpenSSL import SSL

from tests.servers import certificates, client_context, server_context, wait_for
from ws4py_middleware.exc import HandoverError
from ws4py_middleware.handover import TLSTransport, Transport, from_socket, take

FLAVOURS = ("plain", "tls", "gevent", "gevent-tls", "openssl")
TLS_FLAVOURS = ("tls", "gevent-tls", "openssl")


class Pair:
    """A server's socket of some flavour, and a plain or TLS client that is connected to it."""

    def __init__(self, flavour: str, high: bool = False) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            raw_client = socket.create_connection(listener.getsockname(), timeout=10)
            accepted, _ = listener.accept()
        accepted.settimeout(10)
        if high:
            fd = fcntl.fcntl(accepted.fileno(), fcntl.F_DUPFD_CLOEXEC, 1100)
            accepted.close()
            accepted = socket.socket(fileno=fd)
        self.client: socket.socket = raw_client
        self.server: Any = accepted
        if flavour.startswith("gevent"):
            self.server = gevent.socket.socket(fileno=accepted.detach())
        if flavour in TLS_FLAVOURS:
            handshake = threading.Thread(target=self.wrap_client)
            handshake.start()
            self.server = WRAP[flavour](self.server)
            handshake.join()

    def wrap_client(self) -> None:
        self.client = client_context().wrap_socket(self.client, server_hostname="localhost")

    def take(self) -> tuple[Transport, Any]:
        self.transport, self.sink = take(self.server)
        return self.transport, self.sink

    def close(self) -> None:
        self.client.close()
        self.server.close()
        if hasattr(self, "transport"):
            self.transport.close()
        if hasattr(self, "sink"):
            self.sink.close()


def wrap_gevent(sock: Any) -> Any:
    context = gevent.ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificates()[:2])
    return context.wrap_socket(sock, server_side=True)


def wrap_openssl(sock: socket.socket) -> Any:
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.use_certificate_file(str(certificates()[0]))
    context.use_privatekey_file(str(certificates()[1]))
    # As an accepting cheroot has it: pyOpenSSL itself does not know timeouts.
    sock.settimeout(None)
    connection = SSL.Connection(context, sock)
    connection.set_accept_state()
    connection.do_handshake()
    return connection


WRAP: dict[str, Callable[[Any], Any]] = {
    "tls": lambda sock: server_context().wrap_socket(sock, server_side=True),
    "gevent-tls": wrap_gevent,
    "openssl": wrap_openssl,
}


@pytest.fixture(params=FLAVOURS)
def flavour(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def pair(flavour: str) -> Iterator[Pair]:
    with contextlib.closing(Pair(flavour)) as made:
        yield made


@pytest.fixture(params=TLS_FLAVOURS)
def tls_pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    with contextlib.closing(Pair(request.param)) as made:
        yield made


def readable(transport: Transport) -> None:
    poller = select.poll()
    poller.register(transport.fileno(), select.POLLIN)
    assert poller.poll(5000)


def receive(transport: Transport, size: int) -> bytes:
    data = b""
    while len(data) < size:
        if not transport.pending():
            readable(transport)
        data += transport.recv() or b""
    return data


def receive_all(sock: socket.socket, size: int) -> bytes:
    chunks = []
    while size > 0:
        chunks.append(sock.recv(65536))
        assert chunks[-1]
        size -= len(chunks[-1])
    return b"".join(chunks)


def raw_receive(sock: socket.socket, size: int) -> None:
    for _ in range(size):
        assert socket.socket.recv(sock, size)


def fill(transport: Transport) -> bytes:
    """Send until nothing is taken any more; return what was."""
    block = os.urandom(200_000)
    sent = b""
    while taken := transport.send(memoryview(block)):
        sent += block[:taken]
        if taken < len(block):
            block = block[taken:]
            break
    assert transport.send(block) == 0
    return sent + block[: getattr(transport, "committed", 0)]


# --- the transport ---------------------------------------------------------------------------------


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
    sent = fill(transport)
    binding = getattr(transport, "committed", 0)
    with pytest.raises(TimeoutError):
        transport.sendall(sent[-binding:] if binding else b"x", timeout=0.05)


@pytest.mark.parametrize("flavour", ["gevent", "gevent-tls"])
def test_sendall_under_gevent_lets_others_run(flavour: str, pair: Pair) -> None:
    transport, _ = pair.take()
    sent = fill(transport)
    binding = getattr(transport, "committed", 0)
    ran: list[bool] = []
    gevent.spawn(ran.append, True)
    with pytest.raises(TimeoutError):
        transport.sendall(sent[-binding:] if binding else b"x", timeout=0.05)
    assert ran


def test_sendall_knows_descriptors_above_1023() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 1200), hard))
    try:
        for kind in ("plain", "gevent"):
            with contextlib.closing(Pair(kind, high=True)) as pair:
                transport, _ = pair.take()
                assert transport.fileno() > 1023
                fill(transport)
                with pytest.raises(TimeoutError):
                    transport.sendall(b"x", timeout=0.01)
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


# --- from_socket ----------------------------------------------------------------------------------


def test_from_socket_wraps_every_flavour_and_closes_it(flavour: str, pair: Pair) -> None:
    transport = from_socket(pair.server)
    assert transport.tls is (flavour in TLS_FLAVOURS)
    assert transport.gevent is flavour.startswith("gevent")
    assert transport.send(b"down") == 4
    assert pair.client.recv(4) == b"down"
    pair.client.sendall(b"up")
    assert receive(transport, 2) == b"up"
    transport.close()
    gevent.sleep(0)
    assert pair.server.fileno() == -1
    assert pair.client.recv(1) == b""


def test_from_socket_of_something_else_raises_typeerror() -> None:
    with pytest.raises(TypeError, match="not a socket"):
        from_socket(object())


# --- take -----------------------------------------------------------------------------------------


def test_taken_socket_is_a_client_that_ended_and_swallows(flavour: str, pair: Pair) -> None:
    server = pair.server
    fd = server.fileno()
    transport, sink = pair.take()
    assert transport.gevent is flavour.startswith("gevent")
    assert transport.tls is (flavour in TLS_FLAVOURS)
    assert transport.fileno() == fd
    assert server.fileno() not in (-1, fd)
    # What servers do after the application returned.
    server.settimeout(2.0)
    assert server.gettimeout() == 2.0
    server.setblocking(True)
    assert server.recv(100) == b""
    assert server.recv_into(bytearray(10)) == 0
    server.sendall(b"HTTP/1.1 200 OK\r\n")
    assert server.send(b"x") == 1
    assert sink.recv(100) == b"HTTP/1.1 200 OK\r\nx"
    with pytest.raises(BlockingIOError):
        sink.recv(1)
    assert server.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE) == socket.SOCK_STREAM
    server.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    (getattr(server, "sock_shutdown", None) or server.shutdown)(socket.SHUT_WR)
    assert sink.recv(1) == b""
    server.close()
    assert server.fileno() == -1
    # And the client has seen nothing of it.
    assert transport.send(b"frame") == 5
    assert pair.client.recv(100) == b"frame"
    pair.client.sendall(b"frame")
    assert receive(transport, 5) == b"frame"


@pytest.mark.parametrize("flavour", ["tls", "openssl"])
def test_taken_tls_socket_answers_the_calls_of_tls(flavour: str, pair: Pair) -> None:
    server = pair.server
    _, sink = pair.take()
    assert server.read(10) == b""
    assert server.write(b"abc") == 3
    assert server.pending() == 0
    assert sink.recv(10) == b"abc"
    server.do_handshake()
    if flavour == "openssl":
        assert server.shutdown() is True
        assert server.sendall(b"abc") == 3
    else:
        assert server.read(10, bytearray(10)) == 0
        assert server.unwrap() is server
        assert server.getblocking() is (server.timeout != 0)
        with server:
            pass
        assert server.fileno() == -1
        assert server.detach() == -1


@pytest.mark.parametrize("flavour", ["plain", "tls", "gevent", "gevent-tls"])
def test_file_of_a_taken_socket_gives_its_buffer_and_ends(pair: Pair) -> None:
    file = pair.server.makefile("rb")
    pair.client.sendall(b"line\r\nearly frames")
    assert file.readline() == b"line\r\n"
    transport, sink = pair.take()
    assert file.read() == b"early frames"
    assert transport.recv() is None
    file.close()
    pair.server.close()
    gevent.sleep(0)
    assert sink.recv(1) == b""


def test_socket_of_an_unknown_type_is_refused_untouched() -> None:
    # As eventlet has it: a class of its own on top of the stdlib's.
    green = type("GreenSocket", (socket.socket,), {"__module__": "eventlet.greenio.base"})
    ours, theirs = socket.socketpair()
    strange = green(fileno=ours.detach())
    with theirs, strange:
        with pytest.raises(HandoverError, match=r"eventlet\.greenio\.base\.GreenSocket") as caught:
            take(strange)
        assert caught.value.status == 501
        theirs.sendall(b"untouched")
        assert strange.recv(9) == b"untouched"
    with pytest.raises(HandoverError, match="object"):
        take(object())


@pytest.mark.parametrize("flavour", ["tls", "openssl"])
def test_tls_socket_is_taken_once(pair: Pair) -> None:
    pair.take()
    with pytest.raises(HandoverError, match="already"):
        take(pair.server)


@pytest.mark.parametrize("flavour", ["plain", "gevent", "tls", "gevent-tls"])
def test_closed_socket_is_refused(pair: Pair) -> None:
    pair.server.close()
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(HandoverError, match="closed"):
        take(pair.server)
    assert len(os.listdir("/proc/self/fd")) == before


def test_openssl_connection_of_another_make_is_refused_untouched() -> None:
    connection = SSL.Connection(SSL.Context(SSL.TLS_SERVER_METHOD))
    with pytest.raises(HandoverError, match="not as expected"):
        take(connection)
    assert type(connection) is SSL.Connection


def test_socket_is_refused_untouched_when_there_are_no_descriptors(pair: Pair) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        with pytest.raises(HandoverError) as caught:
            take(pair.server)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert caught.value.status == 503
    assert dict(caught.value.headers) == {"Retry-After": "5"}
    pair.client.sendall(b"untouched")
    assert pair.server.recv(9) == b"untouched"
