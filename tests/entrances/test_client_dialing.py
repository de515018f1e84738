"""client.dialing: addresses, Unix sockets, TLS with verified certificates, and one deadline for all."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gevent
import gevent.socket
import pytest
import trustme

from tests.entrances.scripted import Visit, get_hello, hello, no_leaks, reset, scripted
from tests.servers import certificates, client_context, free_port, server_context, wait_for
from ws4py_middleware import client as client_module
from ws4py_middleware.client import WebSocketBaseClient
from ws4py_middleware.client.dialing import Deadline, Waits, connect_tcp, connect_unix, drive
from ws4py_middleware.client.geventclient import _GreenletWaits as GreenletWaits
from ws4py_middleware.client.steps import Conversation, Dial, StartTLS
from ws4py_middleware.client.tls import make_context


@pytest.fixture(autouse=True)
def nothing_leaks() -> Iterator[None]:
    make_context(None)
    gevent.sleep(0)  # its hub has descriptors of its own
    with no_leaks():
        yield


class Net:
    """The module socket, with a resolver of the test's own."""

    def __init__(self, *addresses: tuple[int, Any]) -> None:
        self.addresses = addresses
        self.asked: list[Any] = []
        self.sockets: list[socket.socket] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(socket, name)

    def getaddrinfo(self, *args: Any) -> list[Any]:
        self.asked.append(args)
        return [(family, socket.SOCK_STREAM, 6, "", address) for family, address in self.addresses]


@contextlib.contextmanager
def black_hole() -> Iterator[tuple[str, int]]:
    """Listen at an address that answers no further SYN, because its backlog is full."""
    with socket.socket() as listener, contextlib.ExitStack() as stack:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(3):
            sock = stack.enter_context(socket.socket())
            sock.setblocking(False)
            sock.connect_ex(listener.getsockname())
        yield listener.getsockname()


# --- TCP ------------------------------------------------------------------------------------------


def test_the_first_address_that_answers_is_taken() -> None:
    with scripted(hello) as server:
        net = Net(
            (socket.AF_INET6, ("::1", free_port(), 0, 0)),
            (socket.AF_INET, ("127.0.0.1", free_port())),
            (socket.AF_INET, ("127.0.0.1", server.port)),
        )
        with connect_tcp("many.example", 80, Deadline(5), net=net) as sock:
            assert sock.getpeername() == ("127.0.0.1", server.port)
        assert net.asked == [("many.example", 80, 0, socket.SOCK_STREAM)]


def test_an_address_that_swallows_packets_has_its_share_of_the_time_only() -> None:
    with scripted(hello) as server, black_hole() as hole:
        net = Net((socket.AF_INET, hole), (socket.AF_INET, ("127.0.0.1", server.port)))
        began = time.monotonic()
        connect_tcp("many.example", 80, Deadline(1), net=net).close()
        assert 0.4 < time.monotonic() - began < 0.9


def test_when_none_answers_the_message_has_the_reason_of_each() -> None:
    port = free_port()
    net = Net((socket.AF_INET6, ("::1", port, 0, 0)), (socket.AF_INET, ("127.0.0.1", port)))
    with pytest.raises(
        OSError, match=r"no connection to many\.example:80 \(::1: .*; 127\.0\.0\.1: Connection refused\)"
    ):
        connect_tcp("many.example", 80, Deadline(5), net=net)
    with pytest.raises(
        ConnectionRefusedError, match=rf"no connection to 127\.0\.0\.1:{port}: Connection refused"
    ):
        WebSocketBaseClient(f"ws://127.0.0.1:{port}").connect()
    with pytest.raises(OSError, match="has no address"):
        connect_tcp("none.example", 80, Deadline(5), net=Net())


def test_tcp_that_takes_too_long_is_a_timeouterror_that_says_so() -> None:
    with black_hole() as (host, port):
        with pytest.raises(
            TimeoutError, match=rf"the TCP connection to {host}:{port} was not done within 0.1 s"
        ):
            WebSocketBaseClient(f"ws://{host}:{port}", open_timeout=0.1).connect()
        net = Net(*[(socket.AF_INET, (host, port))] * 2)
        with pytest.raises(TimeoutError, match=r"the TCP connection to many\.example:80"):
            connect_tcp("many.example", 80, Deadline(0.2), net=net)


def test_ipv6_and_names(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as listener:
        port = listener.getsockname()[1]
        connect_tcp("::1", port, Deadline(5)).close()
    with scripted(hello) as server:
        get_hello(f"ws://localhost:{server.port}/")
        monkeypatch.setattr(client_module, "socket", Net((socket.AF_INET, ("127.0.0.1", server.port))))
        get_hello("ws://some.example:1/", open_timeout=None)
        assert server.visits[1].header("Host") == ["some.example:1"]


def test_a_name_that_nobody_knows_is_an_oserror_with_the_name() -> None:
    def unknown(*args: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    net = Net()
    net.getaddrinfo = unknown  # type: ignore[method-assign]
    for timeout in (5, None):
        with pytest.raises(socket.gaierror, match=r"nobody\.example cannot be looked up: Name or service"):
            connect_tcp("nobody.example", 80, Deadline(timeout), net=net)


def test_a_resolver_that_hangs_is_left_alone_after_open_timeout() -> None:
    over = threading.Event()

    def hang(*args: Any) -> Any:
        over.wait(10)
        raise OSError("too late")

    net = Net()
    net.getaddrinfo = hang  # type: ignore[method-assign]
    with pytest.raises(TimeoutError, match=r"the look-up of slow\.example was not done within 0\.1 s"):
        connect_tcp("slow.example", 80, Deadline(0.1), net=net)
    over.set()


# --- Unix sockets -----------------------------------------------------------------------------------


def test_unix_socket_with_and_without_tls(tmp_path: Path) -> None:
    for tls, scheme in ((None, "ws+unix"), (server_context(), "wss+unix")):
        path = str(tmp_path / f"a socket of {scheme}")
        with scripted(hello, path=path, tls=tls) as server:
            get_hello(f"{scheme}://{path.replace(' ', '%20')}?a=b", ssl_options=client_context())
            assert server.visits[0].request.startswith(b"GET /?a=b HTTP/1.1\r\nHost: localhost\r\n")


def test_unix_socket_that_is_not_there_or_full(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    with pytest.raises(FileNotFoundError, match=r"no connection to '.*/socket': No such file"):
        WebSocketBaseClient(f"ws+unix://{path}").connect()
    with pytest.raises(OSError, match="path too long"):
        connect_unix("/" + "x" * 200, Deadline(1))
    with socket.socket(socket.AF_UNIX) as listener, contextlib.ExitStack() as stack:
        listener.bind(path)
        listener.listen(0)
        stack.enter_context(connect_unix(path, Deadline(1)))
        with pytest.raises(TimeoutError, match=f"the connection to '{path}' was not done within 0.1 s"):
            connect_unix(path, Deadline(0.1))


# --- TLS --------------------------------------------------------------------------------------------


def other_authority() -> tuple[ssl.SSLContext, trustme.CA]:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("other.example").configure_cert(context)
    return context, authority


def test_an_authority_that_nobody_knows_is_refused_by_default() -> None:
    with scripted(hello, tls=server_context()) as server:
        for options in (
            None,
            {},
            {"cert_reqs": ssl.CERT_REQUIRED},
            {"cert_reqs": ssl.CERT_OPTIONAL},
            {"ciphers": "HIGH"},
        ):
            with pytest.raises(ssl.SSLCertVerificationError, match="certificate verify failed"):
                get_hello(server.url, ssl_options=options)


def test_a_certificate_for_another_host_is_refused() -> None:
    context, authority = other_authority()
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    with scripted(hello, tls=context) as server:
        with pytest.raises(ssl.SSLCertVerificationError, match=r"Hostname mismatch.*localhost"):
            get_hello(server.url, ssl_options=trusting)


def test_the_name_of_the_host_is_sent_and_can_be_another(tmp_path: Path) -> None:
    context, authority = other_authority()
    names = []
    context.sni_callback = lambda sock, name, context: names.append(name)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    options: dict[str, Any] = {"ca_certs": str(tmp_path / "ca.pem"), "server_hostname": "other.example"}
    with scripted(hello, tls=context) as server:
        get_hello(server.url, ssl_options=options)
        get_hello(server.url, ssl_options={"cert_reqs": ssl.CERT_NONE})
        get_hello(server.url, ssl_options={"ca_certs": options["ca_certs"], "check_hostname": False})
    assert names == ["other.example", "localhost", "localhost"]


@pytest.mark.parametrize(
    "options",
    [
        {"cert_reqs": ssl.CERT_NONE},
        {"ca_certs": "ca", "ssl_version": ssl.PROTOCOL_TLS_CLIENT, "do_handshake_on_connect": True},
        {"ca_certs": "ca", "ssl_version": ssl.PROTOCOL_TLSv1_2, "ciphers": "ECDHE+AESGCM", "cert_reqs": None},
    ],
)
def test_ws4pys_dictionary_of_options(options: dict[str, Any]) -> None:
    if "ca_certs" in options:
        options["ca_certs"] = str(certificates()[2])
    with scripted(hello, tls=server_context()) as server:
        get_hello(server.url, ssl_options=options)
        get_hello(f"wss://127.0.0.1:{server.port}/", ssl_options=options)


def test_a_certificate_of_the_clients_own(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.issue_cert("client.example").private_key_and_cert_chain_pem.write_to_path(
        tmp_path / "client.pem"
    )
    context = server_context()
    context.verify_mode = ssl.CERT_REQUIRED
    authority.configure_trust(context)
    trust = {"ca_certs": str(certificates()[2])}
    with scripted(hello, tls=context) as server:
        get_hello(server.url, ssl_options={**trust, "certfile": str(tmp_path / "client.pem")})


def test_mistakes_in_the_options_are_named() -> None:
    with pytest.raises(TypeError, match="ssl_options has 'cafile'; there are ca_certs, "):
        make_context({"cafile": "x"})
    with pytest.raises(ValueError, match=r"TLS 1\.2 and later"):
        make_context({"ssl_version": ssl.PROTOCOL_TLSv1})
    with pytest.raises(FileNotFoundError):
        make_context({"ca_certs": "/no/such/file"})
    context = ssl.create_default_context()
    assert make_context(context) is context
    assert make_context(None) is make_context({}), "reading the system's authorities takes long"


def test_a_server_without_tls_is_an_oserror() -> None:
    def script(visit: Visit) -> None:
        visit.sock.recv(10)
        visit.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with scripted(script) as server, pytest.raises(ssl.SSLError):
        get_hello(server.url.replace("ws://127.0.0.1", "wss://localhost"))


@pytest.mark.parametrize("cut", [0, 1, 5, 6, 40, 100, 500, 900])
def test_tls_cut_within_its_handshake_is_an_oserror(cut: int) -> None:
    """A relay between the client and a TLS server lets some bytes of the server's through."""

    def script(visit: Visit) -> None:
        with socket.create_connection(("127.0.0.1", inner.port)) as upstream:
            upstream.sendall(visit.sock.recv(65536))
            data = b""
            while len(data) < cut:
                data += upstream.recv(cut - len(data))
            visit.send(data)

    with scripted(hello, tls=server_context()) as inner, scripted(script) as server:
        with pytest.raises(OSError, match=r".") as caught:
            get_hello(server.url.replace("ws://127.0.0.1", "wss://localhost"), ssl_options=client_context())
        assert not isinstance(caught.value, TimeoutError)


def test_interrupted_while_dialing_leaves_no_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*args: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(ssl.SSLSocket, "do_handshake", interrupt)
    before = len(os.listdir("/proc/self/fd"))
    with scripted(Visit.wait_end) as server:
        with pytest.raises(KeyboardInterrupt):
            get_hello(server.url.replace("ws://127.0.0.1", "wss://localhost"))
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("kind", ["blocking", "gevent"])
def test_a_reset_before_tls_leaves_no_descriptor_even_while_the_error_is_kept(kind: str) -> None:
    base, net = (Waits, socket) if kind == "blocking" else (GreenletWaits, gevent.socket)

    class Late(base):  # type: ignore[misc, valid-type]
        """Puts a socket into TLS when the reset has arrived."""

        def wrap(self, context: ssl.SSLContext, sock: Any, name: str) -> Any:
            poller = select.poll()
            poller.register(sock, select.POLLIN)
            assert poller.poll(5000)
            return super().wrap(context, sock, name)

    def conversation() -> Conversation:
        yield Dial("127.0.0.1", server.port)
        yield StartTLS(client_context(), "localhost", "localhost")
        return b""

    with scripted(reset) as server:
        descriptors = len(os.listdir("/proc/self/fd"))
        with pytest.raises(OSError, match="reset") as caught:
            drive(conversation(), Deadline(5), net=net, waits=Late())
        assert caught.value.errno == errno.ECONNRESET
        wait_for(lambda: server.visits != [])
        gevent.sleep(0)  # it closes in the hub's next round
        assert len(os.listdir("/proc/self/fd")) <= descriptors
