"""
Routing: from the path of a request to the handler, its policy and its parameters.

The paths are those of Werkzeug and Flask: ``"/chat/<room>"``, ``"/n/<int:number>"``,
``"/files/<path:name>"``. A path matches as it is: nothing is redirected, because WebSocket
clients do not follow, and what matches no route is the application's business.
"""

from __future__ import annotations

import dataclasses
import difflib
import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, RequestRedirect, Rule
from werkzeug.routing.exceptions import RoutingException

from .contexts import Context, around, in_context
from .core.policy import Policy

__all__ = ["ROUTE", "Authorize", "Handler", "Match", "Route", "Router"]

#: The key in a handler's environ for the path of its route, such as ``"/chat/<room>"``.
ROUTE = "ws4py_middleware.route"

#: A class, or a function ``f(ws, **params)``.
Handler = type[Any] | Callable[..., Any]

#: Called as ``authorize(environ, **params)``; :mod:`ws4py_middleware.wsgi` says what it may return.
Authorize = Callable[..., Any]

#: Handler → its class, and the policy that the class brings.
Adapt = Callable[[Handler], tuple[type[Any], Policy | None]]

_POLICY = frozenset(field.name for field in dataclasses.fields(Policy))


class Route:
    """
    A handler with settings of its own, where the handler alone is not enough.

    ::

        routes = {
            "/chat/<room>": Chat,
            "/upload": Route(Upload, authorize=is_member, max_message_size=64 * 2**20),
        }

    Args:
        handler: A subclass of ``WebSocket``, or a function ``f(ws, **params)``.
        authorize: Called as ``authorize(environ, **params)`` before the upgrade, in place of
            the middleware's; :mod:`ws4py_middleware.wsgi` says what it may return.
        context: Makes a context manager for each callback, such as Flask's ``app.app_context``; see
            :mod:`ws4py_middleware.contexts`.
        options: Settings of :class:`~ws4py_middleware.core.policy.Policy`, in place of the middleware's.

    Raises:
        TypeError: The handler is none, or there is no such setting.
    """

    __slots__ = ("authorize", "context", "handler", "options")

    def __init__(
        self,
        handler: Handler,
        *,
        authorize: Authorize | None = None,
        context: Context | None = None,
        **options: Any,
    ) -> None:
        check_handler(handler)
        check_authorize(authorize)
        check_context(context)
        check_options(options, "authorize", "context")
        self.handler = handler
        self.authorize = authorize
        self.context = context
        self.options = options

    def __repr__(self) -> str:
        arguments = [getattr(self.handler, "__qualname__", repr(self.handler))]
        for name in ("authorize", "context"):
            value = getattr(self, name)
            if value is not None:
                arguments.append(f"{name}={getattr(value, '__qualname__', repr(value))}")
        arguments += [f"{name}={value!r}" for name, value in self.options.items()]
        return f"Route({', '.join(arguments)})"


class Match(NamedTuple):
    """What a path leads to."""

    handler: type[Any]
    policy: Policy
    params: dict[str, Any]
    authorize: Authorize | None
    #: The path of the route; empty where a view has decided.
    route: str = ""


class Router:
    """
    Path → handler, policy and parameters.

    Everything that can be wrong with a route is found here, when the application starts,
    and the message names the route.

    Args:
        routes: For each path a handler class, a function ``f(ws, **params)`` or a :class:`Route`.
        policy: The settings of routes that have none of their own.
        authorize: The one of routes that have none of their own.
        context: The one of routes that have none of their own.
        adapt: Makes the class of a handler, and says which policy the class brings, if any;
            raises TypeError when it cannot.

    Raises:
        TypeError: A path is no string, a handler no handler, an option unknown or of the wrong type.
        ValueError: A path cannot be parsed, or the value of an option is out of range.

    >>> class Chat: ...
    >>> router = Router({"/chat/<room>/<int:number>": Chat}, Policy())
    >>> router.match("/chat/lobby/7").params
    {'room': 'lobby', 'number': 7}
    >>> router.match("/chat/lobby/seven") is None
    True
    """

    def __init__(
        self,
        routes: Mapping[str, Handler | Route],
        policy: Policy,
        *,
        authorize: Authorize | None = None,
        context: Context | None = None,
        adapt: Adapt | None = None,
    ) -> None:
        if not isinstance(routes, Mapping):
            raise TypeError(f'routes is {routes!r}; it is a dict such as {{"/chat/<room>": Chat}}')
        self._map = Map(strict_slashes=True, merge_slashes=False, redirect_defaults=False)
        self._targets: dict[str, tuple[Any, Policy, Authorize | None]] = {}
        prefixes = set()
        for path, target in routes.items():
            try:
                rule = _build_rule(path)
                self._targets[path] = _resolve(target, policy, authorize, context, adapt)
                self._map.add(rule)
                check_takes(target, rule.arguments)
            except SyntaxError:
                # Werkzeug compiles a function whose arguments are the parameters.
                raise ValueError(f"routes[{path!r}]: a parameter is there twice, or is no name") from None
            except (TypeError, ValueError, LookupError) as error:
                kind = TypeError if isinstance(error, TypeError) else ValueError
                raise kind(f"routes[{path!r}]: {error.args[0] if error.args else error}") from error
            prefixes.add(_to_wsgi(path.partition("<")[0]))
        self._map.update()
        self._adapter = self._map.bind("")
        self._prefixes = tuple(prefixes)

    def match(self, path: str) -> Match | None:
        """
        Find the route of a path.

        Costs a request that is none of ours a comparison with the beginnings of the routes,
        and no more.

        Args:
            path: ``PATH_INFO``, as WSGI has it: decoded, each byte a character.

        Returns:
            ``None`` where there is no route; that a trailing slash would make one is no route either.
        """
        path = path or "/"
        if not path.startswith(self._prefixes):
            return None
        if path.startswith("//"):
            # Werkzeug takes //chat for /chat; a proxy in front that guards /chat does not.
            return None
        try:
            endpoint, params = self._adapter.match(path.encode("latin-1").decode("utf-8"), "GET")
        except (RequestRedirect, RoutingException, HTTPException, UnicodeError):
            return None
        handler, policy, authorize = self._targets[endpoint]
        return Match(handler, policy, dict(params), authorize, endpoint)

    def __iter__(self) -> Iterator[Match]:
        """Go through all routes, in the order in which they were given; their ``params`` are empty."""
        for path, (handler, policy, authorize) in self._targets.items():
            yield Match(handler, policy, {}, authorize, path)


def _build_rule(path: str) -> Rule:
    if not isinstance(path, str):
        raise TypeError('the path is no string; it is one such as "/chat/<room>"')
    if not path.startswith("/"):
        raise ValueError(f"a path begins with a slash: {'/' + path!r}")
    return Rule(path, endpoint=path)


def _resolve(
    target: Handler | Route,
    policy: Policy,
    authorize: Authorize | None,
    context: Context | None,
    adapt: Adapt | None,
) -> tuple[Any, Policy, Authorize | None]:
    route = target if isinstance(target, Route) else Route(target)
    context = route.context or context
    handler = route.handler if context is None else in_context(route.handler, context)
    handler, own = (handler, None) if adapt is None else adapt(handler)
    merged = merge_policy(policy if own is None else own, route, context)
    return handler, merged, route.authorize if route.authorize is not None else authorize


def merge_policy(base: Policy, route: Route, context: Context | None) -> Policy:
    """
    Return the policy of a route, whose own options come last.

    Args:
        base: Those of the middleware, or of the handler class.
        route: The route.
        context: What its handler's callbacks run in, ``reauthorize`` among them.

    Raises:
        ValueError: One setting needs another, which is not there.
    """
    merged = base.replace(**route.options) if route.options else base
    merged.check()
    if merged.reauthorize is not None and context is not None:
        merged = merged.replace(reauthorize=around(merged.reauthorize, context))
    return merged


def _to_wsgi(text: str) -> str:
    return text.encode("utf-8").decode("latin-1")


def check_handler(handler: object) -> None:
    """
    Check that something can be a handler: a class or a function.

    Raises:
        TypeError: It is something else; the message says what to write instead.
    """
    if isinstance(handler, type) or inspect.isroutine(handler):
        return
    if isinstance(handler, str):
        raise TypeError(f"the handler is the string {handler!r}; import the class and give the class itself")
    if handler is None or inspect.ismodule(handler):
        raise TypeError(f"the handler is {handler!r}; it is a WebSocket class or a function f(ws, **params)")
    if not callable(handler):
        raise TypeError(
            f"the handler is an instance, {handler!r}; give the class, {type(handler).__name__}: "
            "each connection makes its own instance"
        )


def check_takes(target: Handler | Route, names: set[str]) -> None:
    """
    Check that a function handler takes the parameters of its path.

    Raises:
        TypeError: It does not.
    """
    handler = target.handler if isinstance(target, Route) else target
    if isinstance(handler, type):
        return
    try:
        signature = inspect.signature(handler)
    except ValueError:
        return
    try:
        signature.bind(None, **dict.fromkeys(names))
    except TypeError as error:
        name = getattr(handler, "__name__", repr(handler))
        raise TypeError(
            f"{name}{signature} does not take what it is called with, "
            f"{name}({', '.join(['ws', *(f'{each}=...' for each in sorted(names))])}): {error}"
        ) from None


def check_authorize(authorize: object) -> None:
    """
    Check that something can be called to authorize a request.

    Raises:
        TypeError: It cannot.
    """
    if authorize is not None and not callable(authorize):
        raise TypeError(f"authorize is {authorize!r}; it is a function authorize(environ, **params)")


def check_context(context: object) -> None:
    """
    Check that something can be called to make a context.

    Raises:
        TypeError: It cannot; a context itself cannot be entered again and again.
    """
    if context is not None and not callable(context):
        raise TypeError(f"context is {context!r}; it is a function that makes one, such as app.app_context")


def check_options(options: Mapping[str, Any], *others: str) -> None:
    """
    Check names and values of options, those of a policy.

    Args:
        options: Name → value.
        others: Names of other options that there are, for the hint.

    Raises:
        TypeError: There is no such option, or its value is of the wrong type.
        ValueError: The value is out of range.
    """
    known = [*_POLICY, *others]
    for name in options:
        if name not in _POLICY:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(sorted(known))}"
            raise TypeError(f"there is no option {name!r}; {hint}")
    Policy(**options)
