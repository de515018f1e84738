"""Scopes: what an ASGI server says of a connection, as the validator and the handlers want it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

from .core.handshake import Request

__all__ = ["build_environ", "build_request", "get_path"]

#: What says that this is a WebSocket. Some servers have taken it out, and over HTTP/2 it never was there
#: (:rfc:`8441#section-5`); the ``scope`` says it already.
_IMPLIED = (
    ("Upgrade", "websocket"),
    ("Connection", "Upgrade"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA=="),
)

#: Headers that CGI, and so WSGI, has another name for.
_UNPREFIXED = ("CONTENT_LENGTH", "CONTENT_TYPE")


def get_path(scope: Mapping[str, Any]) -> str:
    """
    Return the path below ``root_path``, as WSGI has it: decoded, each byte a character.

    Since version 2.3 of the specification ``path`` begins with the ``root_path``; older servers
    leave it out.

    >>> get_path({"path": "/api/chat/ä", "root_path": "/api"})
    '/chat/Ã¤'
    >>> get_path({"path": "/chat", "root_path": "/api"})
    '/chat'
    """
    path: str = scope["path"]
    root: str = (scope.get("root_path") or "").rstrip("/")
    if root and (path == root or path.startswith(root + "/")):
        path = path[len(root) :]
    return _to_wsgi(path)


def build_request(scope: Mapping[str, Any]) -> Request:
    """
    Make the request of a scope, as the one validator wants it.

    The opening handshake is the server's own: what it has removed of it is taken for granted, what
    it shows is checked. It alone chooses extensions.

    >>> request = build_request({"type": "websocket", "path": "/a b", "query_string": b"x=1",
    ...     "scheme": "wss", "http_version": "2", "headers": [(b"host", b"localhost")]})
    >>> request.target, request.http_version, request.secure, request.get("Upgrade")
    ('/a%20b?x=1', 'HTTP/1.1', True, 'websocket')
    """
    headers = [
        (name, value)
        for name, value in _decode(scope["headers"])
        if name.lower() != "sec-websocket-extensions" and not name.startswith(":")
    ]
    present = {name.lower() for name, _ in headers}
    headers += [(name, value) for name, value in _implied(scope) if name.lower() not in present]
    raw: bytes | None = scope.get("raw_path")
    path = quote(scope["path"]) if raw is None else raw.partition(b"?")[0].decode("latin-1")
    query: str = (scope.get("query_string") or b"").decode("latin-1")
    version: str = scope.get("http_version") or "1.1"
    return Request(
        "GET",
        f"{path}?{query}" if query else path,
        f"HTTP/{version}" if version.startswith("1.") else "HTTP/1.1",
        headers,
        secure=scope.get("scheme") in ("https", "wss"),
    )


def build_environ(scope: Mapping[str, Any]) -> dict[str, Any]:
    """
    Make a WSGI environ, so that handlers find what they know.

    The scope itself is in ``asgi.scope``.
    """
    root = (scope.get("root_path") or "").rstrip("/")
    version: str = scope.get("http_version") or "1.1"
    host, port = scope.get("server") or ("", None)
    environ: dict[str, Any] = {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": _to_wsgi(root),
        "PATH_INFO": get_path(scope),
        "QUERY_STRING": (scope.get("query_string") or b"").decode("latin-1"),
        "SERVER_NAME": host,
        "SERVER_PORT": "" if port is None else str(port),
        "SERVER_PROTOCOL": f"HTTP/{version}",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "https" if scope.get("scheme") in ("https", "wss") else "http",
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        "asgi.scope": scope,
    }
    client = scope.get("client")
    if client:
        environ["REMOTE_ADDR"], environ["REMOTE_PORT"] = client[0], str(client[1])
    for name, value in _decode(scope["headers"]):
        if "_" in name:
            continue  # X_Forwarded_For, say, is not what a proxy has written, and would look like it here
        key = name.upper().replace("-", "_")
        key = key if key in _UNPREFIXED else f"HTTP_{key}"
        if key in environ:
            # RFC 9113 section 8.2.3: a cookie may come in several pieces.
            value = f"{environ[key]}{'; ' if key == 'HTTP_COOKIE' else ','}{value}"
        environ[key] = value
    return environ


def _implied(scope: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    yield from _IMPLIED
    authority = next((value for name, value in _decode(scope["headers"]) if name == ":authority"), None)
    if authority is not None:
        yield "Host", authority
    subprotocols = scope.get("subprotocols")
    if subprotocols:
        yield "Sec-WebSocket-Protocol", ", ".join(subprotocols)


def _decode(headers: Iterable[tuple[bytes, bytes]]) -> Iterable[tuple[str, str]]:
    return ((name.decode("latin-1"), value.decode("latin-1")) for name, value in headers)


def _to_wsgi(text: str) -> str:
    # A server that has not decoded some bytes says so by surrogates.
    return text.encode("utf-8", "surrogateescape").decode("latin-1")
