"""Routes: from a configuration to what the entrances take."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from ..contexts import Context, in_context, is_async
from ..core.policy import Policy
from ..functions import handler_class
from ..routing import Authorize, Route, Router, check_authorize, check_context
from .errors import ConfigError, join_key
from .files import find_line, read_file
from .imports import import_object
from .values import CALLABLES, SETTINGS, convert, hint

__all__ = ["Config", "Source", "read_config", "routes_from", "websockets_from_config"]

#: A dict, or the path of a TOML file or of the folder that it is in.
Source = Mapping[str, Any] | str | os.PathLike[str]

_TABLES = ("routes", "defaults")
_OBJECTS = ("authorize", "context")


class Config:
    """
    A configuration that has been read and checked: what it imports is imported, and every value is one.

    Attributes:
        file: The file, or what stands for it.
        routes: Path → :class:`~ws4py_middleware.routing.Route`.
        defaults: The settings of all routes, as the entrances take them: those of a policy, ``authorize``
            and ``context``. A handler class with a ``policy`` of its own, and a route, have the last word.
    """

    def __init__(
        self,
        file: str,
        routes: dict[str, Route],
        defaults: dict[str, Any],
        fail: Callable[[str, str, BaseException], NoReturn],
    ) -> None:
        self.file = file
        self.routes = routes
        self.defaults = defaults
        self._fail = fail

    def wrap(self, entrance: Callable[..., Any], app: Any, **options: Any) -> Any:
        """
        Put an entrance around an application.

        Args:
            entrance: ``WebSocketMiddleware`` or ``WebSocketASGI``.
            app: The application that has all the rest.
            options: What is said in code, which has precedence over ``defaults``.

        Raises:
            ConfigError: The entrance refuses something.
        """
        options = {**self.defaults, **options}
        try:
            return entrance(app, self.routes, **options)
        except (TypeError, ValueError) as error:
            if _find_fault(entrance, app, {}, options) is None:
                # It is a route, then; one whose handler is async, where the entrance is WSGI's.
                for path, route in self.routes.items():
                    fault = _find_fault(entrance, app, {path: route}, options)
                    if fault is not None:
                        self._fail(path, str(fault).removeprefix(f"routes[{path!r}]: "), fault)
            raise ConfigError(self.file, "", str(error)) from error


def _find_fault(
    entrance: Callable[..., Any], app: Any, routes: dict[str, Route], options: dict[str, Any]
) -> Exception | None:
    try:
        entrance(app, routes, **options)
    except (TypeError, ValueError) as error:
        return error
    return None


def read_config(
    source: Source,
    *,
    name: str = "config",
    context: Context | None = None,
    around_authorize: Callable[[Authorize], Authorize] | None = None,
) -> Config:
    """
    Read a configuration, and check everything in it.

    Args:
        source: A dict, or a TOML file; a path is taken from the current folder.
        name: What errors call a dict.
        context: What the handlers are called in that say nothing about it themselves.
        around_authorize: Makes of an ``authorize`` the function that is called.

    Raises:
        ConfigError: Something in it is wrong.
    """
    if isinstance(source, Mapping):
        return _Reader(source, name, None, (), context, around_authorize).read()
    if isinstance(source, str | os.PathLike):
        tree, path, table = read_file(Path(source))
        return _Reader(tree, os.fspath(path), path, table, context, around_authorize).read()
    raise ConfigError(name, "", f"it is {source!r}; it is a dict, or the path of a TOML file")


def routes_from(source: Source) -> dict[str, Route]:
    """
    Return the routes of a configuration alone, for an entrance whose other settings are in code.

    Raises:
        ConfigError: Something in it is wrong.
    """
    return read_config(source).routes


def websockets_from_config(app: Any, source: Source, *, asgi: bool | None = None, **options: Any) -> Any:
    """
    Put the WebSocket routes of a configuration in front of an application, a WSGI or an ASGI one.

    ::

        app = websockets_from_config(app, "ws4py_middleware.toml")

    Args:
        app: The application that has all the rest; for ASGI it may be ``None``.
        source: A dict, or a TOML file: ``ws4py_middleware.toml``, a ``pyproject.toml`` with a table
            ``[tool.ws4py_middleware]``, or the folder that one of them is in.
        asgi: Whether the application is an ASGI one; by default it is where it is ``async``.
        options: What is said in code: options of ``WebSocketMiddleware`` or ``WebSocketASGI``, which
            have precedence over ``[defaults]``.

    Returns:
        A ``WebSocketMiddleware`` or a ``WebSocketASGI``.

    Raises:
        ConfigError: Something in the configuration is wrong; it says where, and what would be right.
    """
    config = read_config(source)
    return config.wrap(find_entrance(app, asgi), app, **options)


def find_entrance(app: Any, asgi: bool | None = None) -> Callable[..., Any]:
    """Return what is to be put around an application."""
    if asgi is None:
        asgi = app is None or is_async(app)
    if asgi:
        from ..asgi import WebSocketASGI

        return WebSocketASGI
    from ..wsgi import WebSocketMiddleware

    return WebSocketMiddleware


class _Reader:
    """A configuration that is being read."""

    def __init__(
        self,
        tree: Mapping[str, Any],
        file: str,
        path: Path | None,
        table: tuple[str, ...],
        context: Context | None,
        around_authorize: Callable[[Authorize], Authorize] | None,
    ) -> None:
        self.tree = tree
        self.file = file
        self.path = path
        self.table = table
        self.context = context
        self.around_authorize = around_authorize

    def fail(self, key: Sequence[str], problem: str, cause: BaseException | None = None) -> NoReturn:
        line = None if self.path is None else find_line(self.path, (*self.table, *key))
        raise ConfigError(self.file, join_key((*self.table, *key)), problem, line) from cause

    def read(self) -> Config:
        for key in self.tree:
            if key not in _TABLES and not str(key).startswith("/"):
                self.fail([str(key)], self._no_such_table(key))
        defaults = self._read_options(["defaults"], self._get_table("defaults"), (*SETTINGS, *_OBJECTS))
        if self.context is not None:
            defaults.setdefault("context", self.context)
        found = list(self._find_routes())
        routes = {path: self._read_route(key, path, value, defaults) for key, path, value in found}
        keys = {path: key for key, path, _ in found}
        return Config(
            self.file, routes, defaults, lambda path, problem, cause: self.fail(keys[path], problem, cause)
        )

    def _no_such_table(self, key: object) -> str:
        if key in (*SETTINGS, *_OBJECTS):
            return "settings for all routes stand in [defaults]"
        if difflib.get_close_matches(str(key), _TABLES, n=1):
            return f"there is no such table; {hint(key, _TABLES)}"
        return "there is no such table; there are [routes] and [defaults], and routes begin with a slash"

    def _get_table(self, name: str) -> Mapping[str, Any]:
        table = self.tree.get(name, {})
        if not isinstance(table, Mapping):
            self.fail([name], f"it is {table!r}; it is a table")
        return table

    def _find_routes(self) -> Iterator[tuple[list[str], str, Any]]:
        """Find the routes, in the table ``routes`` or at the top."""
        table = self._get_table("routes")
        for path in self.tree:
            if path in table and path not in _TABLES:
                self.fail([path], "it stands in [routes], too")
        for path, value in table.items():
            yield ["routes", str(path)], path, value
        for path, value in self.tree.items():
            if path not in _TABLES:
                yield [path], path, value

    def _read_route(self, key: list[str], path: str, value: Any, defaults: Mapping[str, Any]) -> Route:
        if isinstance(value, Route):
            value = {
                "handler": value.handler,
                "authorize": value.authorize,
                "context": value.context,
            } | value.options
            value = {name: each for name, each in value.items() if each is not None or name in SETTINGS}
        where = [*key, "handler"] if isinstance(value, Mapping) else key
        if not isinstance(value, Mapping):
            value = {"handler": value}
        if "handler" not in value:
            near = difflib.get_close_matches(
                "handler", [str(name) for name in value if name not in SETTINGS], n=1
            )
            if near:
                self.fail([*key, near[0]], "there is no such setting; did you mean 'handler'?")
            self.fail(key, 'there is no handler; it is one such as handler = "chat.handlers:Chat"')
        options = {name: each for name, each in value.items() if name != "handler"}
        options = self._read_options(key, options, ("handler", *SETTINGS, *_OBJECTS))
        if "context" in defaults:
            options.setdefault("context", defaults["context"])
        handler = self._import(where, value["handler"])
        try:
            route = Route(handler, **options)
            context = options.get("context")
            handler_class(handler if context is None else in_context(handler, context))
        except (TypeError, ValueError) as error:
            self.fail(where, str(error), error)
        try:
            Router({path: route}, Policy())
        except (TypeError, ValueError) as error:
            self.fail(key, str(error).removeprefix(f"routes[{path!r}]: "), error)
        return route

    def _read_options(
        self, key: Sequence[str], table: Mapping[str, Any], known: Sequence[str]
    ) -> dict[str, Any]:
        options = {}
        for name, value in table.items():
            if name not in known:
                self.fail([*key, str(name)], f"there is no such setting; {hint(name, known)}")
            if name in _OBJECTS:
                options[name] = self._read_object([*key, name], name, value)
                continue
            if name in CALLABLES and isinstance(value, str) and ":" in value:
                value = self._import([*key, name], value)
            try:
                options[name] = convert(name, value)
            except (TypeError, ValueError) as error:
                self.fail([*key, name], str(error).removeprefix(f"{name} is "), error)
        return options

    def _read_object(self, key: Sequence[str], name: str, value: Any) -> Any:
        found = self._import(key, value)
        try:
            (check_authorize if name == "authorize" else check_context)(found)
        except TypeError as error:
            self.fail(key, str(error), error)
        if name == "authorize" and found is not None and self.around_authorize is not None:
            return self.around_authorize(found)
        return found

    def _import(self, key: Sequence[str], value: Any) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return import_object(value)
        except ValueError as error:
            # What a module raised when it was imported is the cause that has to be seen.
            self.fail(key, str(error), error.__cause__)
