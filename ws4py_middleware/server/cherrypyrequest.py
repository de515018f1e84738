"""What a request of CherryPy's says, in the words of the rest of the package."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Mapping
from typing import Any

__all__ = ["NotYet", "find_params", "get_status", "make_environ"]


class NotYet:
    """The socket of a handler in the page handler: it has addresses, and nothing can be sent."""

    def __init__(self, request: Any) -> None:
        self._local = request.local.ip or request.local.name, request.local.port
        self._peer = request.remote.ip, request.remote.port

    def getsockname(self) -> Any:
        return self._local

    def getpeername(self) -> Any:
        return self._peer

    def sendall(self, data: object) -> None:
        raise RuntimeError(
            "the WebSocket is not open while the page handler runs: send in opened(), "
            "and refuse it with cherrypy.HTTPError"
        )


def get_status(response: Any) -> bytes:
    """Return the final status; empty where the response was not finished."""
    status: bytes = getattr(response, "output_status", b"")
    return status


def make_environ(request: Any) -> dict[str, Any]:
    """Return the request's environ, or make one where it came without, by CherryPy's native gateway."""
    environ: dict[str, Any] | None = getattr(request, "wsgi_environ", None)
    first = request
    while first.prev is not None:
        first = first.prev
    if environ is not None:
        # After an InternalRedirect there is a substitute for it.
        return environ if first is request else {**environ, "wsgi.input": first.rfile}
    # With an underscore a name would pass for another one, such as a proxy's X-Forwarded-For.
    fields = [(name.upper(), value) for name, value in request.header_list if "_" not in name]
    environ = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": request.script_name,
        "PATH_INFO": request.path_info,
        "QUERY_STRING": request.query_string,
        "SERVER_PROTOCOL": "HTTP/{}.{}".format(*request.protocol),
        "SERVER_NAME": request.local.name or request.local.ip,
        "SERVER_PORT": str(request.local.port),
        "REMOTE_ADDR": request.remote.ip,
        "REMOTE_PORT": str(request.remote.port),
        "wsgi.url_scheme": request.scheme,
        "wsgi.input": first.rfile,
    }
    for name, value in fields:
        key = name.replace("-", "_")
        if key not in ("CONTENT_LENGTH", "CONTENT_TYPE"):
            key = f"HTTP_{key}"
        environ[key] = f"{environ[key]}, {value}" if key in environ else value
    return environ


def find_params(page: Any, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a page handler was called with, by name."""
    arguments = tuple(getattr(page, "args", ()))
    names: list[str] = []
    if arguments:
        with contextlib.suppress(TypeError, ValueError):
            parameters = inspect.signature(page.callable).parameters.values()
            names = [
                each.name
                for each in parameters
                if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)
            ]
    return {**params, **dict(zip(names, arguments, strict=False))}
