"""
SOCKS5, :rfc:`1928`, with user and password, :rfc:`1929`; the messages are those of the package socksio.

The proxy is given the server's name and looks it up itself, be its URL ``socks5://`` or ``socks5h://``.
"""

from __future__ import annotations

import contextlib
from typing import Any

from ..exc import HandshakeError
from ..extras import needs
from .answers import Part, receive
from .proxies import Proxy
from .steps import Send, build_where

__all__ = ["ask_socks"]

_WHO = "the proxy"
_WHAT = "the proxy's answer"

_VERSION = 5

#: What a reply says.
_CODES = {
    0: "succeeded",
    1: "it failed",
    2: "its rules do not allow the connection",
    3: "the network is unreachable",
    4: "the host is unreachable",
    5: "the connection was refused",
    6: "the server is too far away (TTL expired)",
    7: "it does not know the command",
    8: "it does not know the kind of address",
}
#: The HTTP status that says the same as a reply; of the others it is 502. So refusals of all proxies
#: can be told apart in one way.
_STATUS = {2: 403, 6: 504, 7: 501, 8: 501}
_LOGIN_REFUSED = 407

#: The length of an address by its type; a name has its own in front of it.
_LENGTHS = {1: 4, 4: 16}
_NAME = 3


def ask_socks(proxy: Proxy, host: str, port: int) -> Part[bytes]:
    """
    Ask for a connection to a server; return what came behind the answer.

    Raises:
        HandshakeError: The proxy refuses, or speaks something else.
        ImportError: socksio is not installed; raised at once, before anything is sent.
    """
    with needs("socksio", "socks", "a SOCKS proxy"):
        import socksio
    return _Talk(proxy, socksio).ask(host, port)


class _Talk:
    """What is said to one proxy. socksio wants whole messages, and nothing in these marks their end."""

    def __init__(self, proxy: Proxy, socksio: Any) -> None:
        self.proxy = proxy
        self.socksio = socksio
        self.conn = socksio.SOCKS5Connection()
        self.buffer = b""

    def ask(self, host: str, port: int) -> Part[bytes]:
        """Log in where that is asked for, and ask for the server."""
        socksio = self.socksio
        yield from self._log_in()
        command = socksio.SOCKS5Command.CONNECT
        yield from self._send(socksio.SOCKS5CommandRequest.from_address(command, (host, port)))
        data = yield from self._take(4)
        code, kind = data[1], data[3]
        if data[0] != _VERSION or code not in _CODES:
            raise self._is_none()
        if code != 0:
            # Behind a refusal not every proxy sends all of its message.
            raise self._refuse(f"{_CODES[code]}; there is no way to {build_where(host, port)}", code)
        if kind == _NAME:
            data += yield from self._take(1)
        elif kind not in _LENGTHS:
            raise self._is_none()
        data += yield from self._take((data[4] if kind == _NAME else _LENGTHS[kind]) + 2)
        self._parse(data)
        return self.buffer

    def _log_in(self) -> Part[None]:
        socksio, userinfo = self.socksio, self.proxy.userinfo
        methods = [socksio.SOCKS5AuthMethod.NO_AUTH_REQUIRED]
        if userinfo is not None:
            methods.append(socksio.SOCKS5AuthMethod.USERNAME_PASSWORD)
        yield from self._send(socksio.SOCKS5AuthMethodsRequest(methods))
        data = yield from self._take(2)
        if data[0] != _VERSION:
            raise self._is_none()
        method = self._parse(data).method
        if method not in methods:
            wanted = "none of ours" if userinfo else "a user and a password, which its URL does not have"
            raise self._refuse(f"it wants {wanted}", None)
        if userinfo is not None and method is socksio.SOCKS5AuthMethod.USERNAME_PASSWORD:
            user, password = userinfo
            yield from self._send(socksio.SOCKS5UsernamePasswordRequest(user.encode(), password.encode()))
            if not self._parse((yield from self._take(2))).success:
                raise self._refuse("it does not take the user and the password", None)

    def _refuse(self, why: str, code: int | None) -> HandshakeError:
        status = _LOGIN_REFUSED if code is None else _STATUS.get(code, 502)
        return HandshakeError(f"{_WHO} {self.proxy.where} refused: {why}", status)

    def _parse(self, data: bytes) -> Any:
        try:
            return self.conn.receive_data(data)
        except self.socksio.ProtocolError:
            raise self._is_none() from None

    def _is_none(self) -> HandshakeError:
        return HandshakeError(f"{_WHO} {self.proxy.where} does not answer as one of SOCKS5", 0)

    def _send(self, request: Any) -> Part[None]:
        self.conn.send(request)
        # Who takes no more has perhaps answered already.
        with contextlib.suppress(ConnectionError):
            yield Send(self.conn.data_to_send(), _WHAT)

    def _take(self, size: int) -> Part[bytes]:
        """Read exactly so many bytes."""
        while len(self.buffer) < size:
            data = yield from receive(_WHO, _WHAT)
            if not data:
                raise HandshakeError(f"{_WHO} closed the connection before the end of its answer", 0)
            self.buffer += data
        taken, self.buffer = self.buffer[:size], self.buffer[size:]
        return taken
