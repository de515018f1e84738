"""
Find the WebSockets that an application object has, without starting anything.

::

    for route in find_routes(app):
        print(route.path, route.handler_name, route.policy.max_message_size, route.source)

Looked at are :class:`~ws4py_middleware.wsgi.WebSocketMiddleware` and
:class:`~ws4py_middleware.asgi.WebSocketASGI`, and what may be around them: Flask's ``app.wsgi_app``,
Starlette's mounts and middleware, Werkzeug's dispatcher, CherryPy's tree, and other middleware that keeps
what it wraps in an attribute or in a closure. What a view returns by ``upgrade()`` is known only when the
view is asked.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from werkzeug.routing.rules import parse_converter_args

from ..asgi import WebSocketASGI
from ..contexts import is_async
from ..core.policy import Policy
from ..functions import AsyncFunctionHandler, FunctionHandler
from ..routing import Router
from ..websocket import WebSocket
from ..wsgi import WebSocketMiddleware

__all__ = ["MountedRoute", "fill_in", "find_routes", "is_asgi"]

#: What things that wrap an application call it.
_INNER = (
    "wsgi_app",
    "asgi_app",
    "app",
    "application",
    "_app",
    "wrapped",
    "wrap_app",
    "inner",
    "func",
    "__wrapped__",
    "__self__",
)

#: How deep wrappers are followed.
_DEPTH = 16

_PARAMETER = re.compile(r"<(?:(?P<converter>[a-zA-Z_]\w*)(?:\((?P<arguments>.*?)\))?:)?(?P<name>\w+)>")
_UUID = "00000000-0000-4000-8000-000000000000"


@dataclasses.dataclass(frozen=True)
class MountedRoute:
    """A WebSocket that an application serves."""

    #: As it was written, behind the prefix of what it is mounted in: ``"/chat/<room>"``.
    path: str
    #: The class; for a function the one that runs it.
    handler: type[Any]
    #: The settings that hold for it.
    policy: Policy
    #: What serves it: ``"WebSocketMiddleware"``, ``"WebSocketASGI"`` or ``"CherryPy"``.
    source: str
    #: What is in front of it, outermost first: ``("ProxyFix",)``; frameworks count, too.
    behind: tuple[str, ...] = ()
    #: A path that leads to it, parameters filled in; ``None`` where none was found.
    sample: str | None = None

    @property
    def handler_name(self) -> str:
        """The name that an import would have: ``"chat.handlers:Chat"``."""
        target: Any = self.handler
        if issubclass(target, FunctionHandler | AsyncFunctionHandler):
            target = target.function
        return f"{target.__module__}:{getattr(target, '__qualname__', target)}"

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of the parameters in the path."""
        return tuple(found["name"] for found in _PARAMETER.finditer(self.path))


def find_routes(app: object) -> list[MountedRoute]:
    """
    Find the WebSocket routes of an application.

    Args:
        app: A WSGI or ASGI application, or CherryPy's tree.

    Returns:
        The routes, outer ones first; none where nothing was found, which does not say that there is nothing.

    >>> from ws4py_middleware import EchoWebSocket
    >>> [route] = find_routes(WebSocketMiddleware(lambda *request: [], {"/chat/<room>": EchoWebSocket}))
    >>> route.path, route.handler_name, route.sample
    ('/chat/<room>', 'ws4py_middleware.websocket:EchoWebSocket', '/chat/x')
    """
    return list(_Walk().visit(app, "", (), 0))


def is_asgi(app: object) -> bool:
    """
    Tell whether an application is an ASGI one: whether what is called is ``async``.

    >>> is_asgi(WebSocketASGI()), is_asgi(WebSocketMiddleware(lambda *request: []))
    (True, False)
    """
    return is_async(app)


def fill_in(path: str) -> str | None:
    """
    Return a path that a route with parameters may match; ``None`` where its converter is not known.

    >>> fill_in("/chat/<room>/<int(min=3):number>"), fill_in("/n/<any(red, blue):colour>")
    ('/chat/x/3', '/n/red')
    """
    missing = False

    def value(found: re.Match[str]) -> str:
        nonlocal missing
        args, options = parse_converter_args(found["arguments"] or "")
        converter = found["converter"] or "string"
        match converter:
            case "string" | "default":
                return "x" * int(
                    options.get("length") or options.get("minlength") or (args[0] if args else 1)
                )
            case "int":
                low = options.get("min")
                digits = int(options.get("fixed_digits") or 0)
                return str(1 if low is None else low).zfill(digits)
            case "float":
                low = options.get("min")
                return str(float(1 if low is None else low))
            case "path":
                return "x"
            case "uuid":
                return _UUID
            case "any" if args:
                return str(args[0])
        missing = True
        return ""

    filled = _PARAMETER.sub(value, path)
    return None if missing else filled


class _Walk:
    """One look through an application, which may lead in circles."""

    def __init__(self) -> None:
        #: Applications, and under which prefix: one may be mounted more than once.
        self._seen: set[tuple[int, str]] = set()
        #: Those that are being looked at: who comes to one again has gone in a circle.
        self._above: set[int] = set()

    def visit(self, app: Any, prefix: str, behind: tuple[str, ...], depth: int) -> Iterator[MountedRoute]:
        if (
            app is None
            or isinstance(app, type | str | int)
            or depth > _DEPTH
            or (id(app), prefix) in self._seen
        ):
            return
        if id(app) in self._above:
            return
        self._seen.add((id(app), prefix))
        self._above.add(id(app))
        if isinstance(app, WebSocketMiddleware | WebSocketASGI):
            yield from _read_router(app.router, prefix, type(app).__name__, behind)
        else:
            yield from _find_cherrypy(app, prefix, behind)
        behind = (*behind, _name(app))
        for where, inner in _find_inner(app):
            yield from self.visit(inner, prefix + where, behind, depth + 1)
        self._above.discard(id(app))


def _name(app: Any) -> str:
    if hasattr(app, "__qualname__"):
        return str(app.__qualname__).removesuffix(".<lambda>").split(".<locals>")[0]
    return type(app).__name__


def _read_router(router: Router, prefix: str, source: str, behind: tuple[str, ...]) -> Iterator[MountedRoute]:
    for match in router:
        sample = fill_in(match.route)
        if sample is not None and router.match(sample) is None:
            sample = None
        filled = None if sample is None else prefix + sample
        yield MountedRoute(prefix + match.route, match.handler, match.policy, source, behind, filled)


def _find_inner(app: Any) -> Iterator[tuple[str, Any]]:
    """Find what an application may hand requests on to, and under which prefix."""
    yield from _find_mounts(app)
    for name in _INNER:
        inner = getattr(app, name, None)
        if callable(inner):
            yield "", inner
    for cell in getattr(app, "__closure__", None) or ():
        try:
            inner = cell.cell_contents
        except ValueError:  # a name that has no value yet
            continue
        if callable(inner):
            yield "", inner


def _find_mounts(app: Any) -> Iterator[tuple[str, Any]]:
    mounts = getattr(app, "mounts", None)
    if isinstance(mounts, Mapping):  # Werkzeug's DispatcherMiddleware
        yield from ((str(path), inner) for path, inner in mounts.items())
    mapping = getattr(app, "application_mapping", None)
    if isinstance(mapping, Mapping):  # Channels' ProtocolTypeRouter
        yield from (("", inner) for inner in mapping.values())
    # Starlette, FastAPI: middleware is made at the first request only.
    for middleware in _iterate(getattr(app, "user_middleware", None)):
        if getattr(middleware, "cls", None) is WebSocketASGI:
            yield "", WebSocketASGI(None, *middleware.args, **middleware.kwargs)
    for route in _iterate(getattr(app, "routes", None)):
        if type(route).__name__ in ("Mount", "Host"):
            yield getattr(route, "path", ""), route.app


def _iterate(value: Any) -> Iterable[Any]:
    return value if isinstance(value, list | tuple) else ()


# --- CherryPy ------------------------------------------------------------------------------------------


def _find_cherrypy(app: Any, prefix: str, behind: tuple[str, ...]) -> Iterator[MountedRoute]:
    cherrypy: Any = sys.modules.get("cherrypy")
    if cherrypy is None:
        return
    if isinstance(app, cherrypy._cptree.Tree):
        for script_name, mounted in app.apps.items():
            yield from _find_cherrypy(mounted, prefix + script_name, (*behind, "Tree"))
        return
    if not isinstance(app, cherrypy._cptree.Application):
        return
    found = {"": _settings_of(cherrypy.config)}
    for path, section in app.config.items():
        if path.startswith("/"):
            found[path.rstrip("/")] = _settings_of(section)
    pages = dict(_find_pages(app.root))
    for path, page in pages.items():
        own = _settings_of(getattr(page, "_cp_config", {}))
        # What is written in a file has precedence.
        found[path] = own | found.get(path, {})
    for path in sorted(found):
        if path and "on" in found[path] and found[path]["on"]:
            # What the page handler takes are further parts of the path.
            sample = path + "/x" * _count_required(pages.get(path))
            yield from _read_settings(path, sample, found, prefix, behind)


def _count_required(page: Any) -> int:
    if page is None:
        return 0
    kinds = inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD
    parameters = inspect.signature(page).parameters.values()
    return sum(each.kind in kinds and each.default is each.empty for each in parameters)


def _read_settings(
    path: str, sample: str, found: Mapping[str, dict[str, Any]], prefix: str, behind: tuple[str, ...]
) -> Iterator[MountedRoute]:
    from ..config import ConfigError
    from ..server.cherrypysettings import read_settings

    merged: dict[str, Any] = {}
    for parent in sorted(found, key=len):
        if path == parent or path.startswith(f"{parent}/"):
            merged |= found[parent]
    options = {name: value for name, value in merged.items() if name not in ("on", "priority")}
    try:
        settings = read_settings(options)
        handler, policy = settings.handler, settings.policy
    except ConfigError:
        # The engine says so when it starts, better than this could.
        handler, policy = WebSocket, Policy()
    yield MountedRoute(prefix + path, handler, policy, "CherryPy", behind, prefix + sample)


def _settings_of(section: Any) -> dict[str, Any]:
    start = "tools.websocket."
    if not isinstance(section, Mapping):
        return {}
    return {str(key)[len(start) :]: value for key, value in section.items() if str(key).startswith(start)}


def _find_pages(root: Any, path: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Go through the page handlers of a CherryPy application, as its default dispatcher finds them."""
    if root is None or depth > 4:
        return
    for name in dir(root):
        if name.startswith("_"):
            continue
        page = getattr(root, name, None)
        if callable(page) and getattr(page, "exposed", False):
            yield f"{path}/{name}".removesuffix("/index") or "/", page
        elif hasattr(page, "__dict__") and not callable(page) and getattr(page, "__module__", None):
            yield from _find_pages(page, f"{path}/{name}", depth + 1)
