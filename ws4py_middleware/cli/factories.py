"""
The application that ``module:app`` names, or that a factory makes: ``module:create_app("test", debug=True)``.

A factory is called as gunicorn calls it: its arguments are literals, so that nothing on a command line is run
but the factory itself. Nobody guesses: a factory without its parentheses is taken for the application.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..config import import_object

__all__ = ["load_app"]


def load_app(name: str) -> Any:
    """
    Import the application that a name stands for; make it, where the name is a call.

    Args:
        name: ``"module:app"``, or ``"module:create_app()"``, with literals for arguments.

    Returns:
        What is there, or what the factory has returned; it can be called.

    Raises:
        ValueError: It is no such name or call, there is nothing of that name, or it is no application. Where
            the module or the factory has raised an exception, that is the cause.

    >>> load_app("ws4py_middleware.asgi:WebSocketASGI(None, {})")  # doctest: +ELLIPSIS
    <ws4py_middleware.asgi.WebSocketASGI object at 0x...>
    >>> load_app("shop:create_app(os.environ)")
    Traceback (most recent call last):
    ValueError: 'shop:create_app(os.environ)' is no call of a factory: its arguments are to be literals, ...
    """
    place, bracket, _ = name.partition("(")
    if not bracket:
        app = import_object(name)
        said = f"{name} is {app!r}"
    else:
        args, options = _read_arguments(name, place)
        app = _call(name, import_object(place), args, options)
        said = f"{name} has returned {app!r}"
    if not callable(app):
        raise ValueError(f"{said}; a WSGI or ASGI application is something to call")
    return app


def _read_arguments(name: str, place: str) -> tuple[list[Any], dict[str, Any]]:
    try:
        call = ast.parse(f"factory{name[len(place) :]}", mode="eval").body
    except (SyntaxError, ValueError):  # a zero byte is the latter on older Pythons
        call = None
    # factory(1)(2) is a call, too, of what the first one has returned.
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
        raise ValueError(f"{name!r} is no call of a factory; one is 'shop:create_app()'")
    try:
        args = [ast.literal_eval(each) for each in call.args]
        options = {str(each.arg): ast.literal_eval(each.value) for each in call.keywords if each.arg}
    except (TypeError, ValueError):  # the former is a list as the key of a dict
        args, options = None, {}
    if args is None or len(options) != len(call.keywords):
        raise ValueError(
            f"{name!r} is no call of a factory: its arguments are to be literals,"
            " as in 'shop:create_app(\"test\", debug=True)'"
        )
    return args, options


def _call(name: str, factory: Any, args: Sequence[Any], options: Mapping[str, Any]) -> Any:
    place = name.partition("(")[0]
    if not callable(factory):
        raise ValueError(f"{name} cannot be called: {place} is {factory!r}")
    _check_signature(name, place, factory, args, options)
    try:
        app = factory(*args, **options)
    except Exception as error:
        raise ValueError(f"{name} has raised {type(error).__name__}: {error}") from error
    if inspect.iscoroutine(app):
        app.close()
        raise ValueError(f"{place} is async; a factory is called before there is a loop")
    return app


def _check_signature(
    name: str, place: str, factory: Callable[..., Any], args: Sequence[Any], options: Mapping[str, Any]
) -> None:
    """Tell wrong arguments from a ``TypeError`` of the factory's own, which is shown with its traceback."""
    try:
        signature = inspect.signature(factory)
    except (TypeError, ValueError):  # what is written in C may not say what it takes
        return
    try:
        signature.bind(*args, **options)
    except TypeError as error:
        raise ValueError(f"{name} does not fit {place}{signature}: {error}") from None
