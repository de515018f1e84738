"""
Through a proxy: a connection to it that it passes on to the server, bytes as they are.

What is said to the proxy, a password among it, is said before there is a tunnel, and what the
server is asked only afterwards, in TLS with the server itself where the URL is ``wss``. It is a
tunnel for ``ws``, too, :rfc:`6455#section-4.1`: a proxy that looked into it would not let it pass.
"""

from __future__ import annotations

from ..core.headers import build_head
from ..core.policy import Policy
from ..exc import HandshakeError
from .answers import Part, ask, describe, parse_line, read_body
from .proxies import Proxy
from .socks import ask_socks
from .steps import Dial, build_where
from .urls import build_basic_auth

__all__ = ["open_tunnel"]

_WHO = "the proxy"
_WHAT = "the proxy's answer"


def open_tunnel(proxy: Proxy, host: str, port: int, policy: Policy) -> Part[None]:
    """
    Connect to a proxy, and have it connect to a server.

    Args:
        policy: What the proxy's answer may cost.

    Raises:
        HandshakeError: The proxy refuses, or answers something else; the status is the one of its answer.
        OSError: There is no connection to the proxy.
        ImportError: It is one of SOCKS, and socksio is not installed.
    """
    # An address' zone is this machine's own name for it.
    host = host.partition("%")[0]
    is_http = proxy.scheme == "http"
    tunnel = _ask_http(proxy, host, port, policy) if is_http else ask_socks(proxy, host, port)
    yield Dial(proxy.host, proxy.port, f"{_WHO} ")
    early = yield from tunnel
    if early:
        # The server has not been asked yet: whoever says this wants it to be taken for the server's.
        raise HandshakeError(f"{_WHO} {proxy.where} goes on to speak behind its answer", 0)


def _ask_http(proxy: Proxy, host: str, port: int, policy: Policy) -> Part[bytes]:
    """Ask with CONNECT, :rfc:`9110#section-9.3.6`; return what came behind the answer."""
    where = build_where(host, port)
    headers = [("Host", where)]
    if proxy.userinfo is not None:
        headers.append(("Proxy-Authorization", build_basic_auth(*proxy.userinfo)))
    request = build_head(f"CONNECT {where} HTTP/1.1", headers)
    answer = yield from ask(request, policy, who=_WHO, what=_WHAT)
    if not 200 <= answer.status < 300:
        said = describe(parse_line(answer.line, policy))
        body = yield from read_body(answer)
        message = f"{_WHO} {proxy.where} answered with {said}; there is no way to {where}"
        raise HandshakeError(message, answer.status, answer.headers, body)
    return answer.rest
