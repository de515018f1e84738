"""Applications that a factory makes: what is called, and what is said of what cannot be."""

from __future__ import annotations

import functools
import sys
import types
from typing import Any

import pytest

from ws4py_middleware.cli.applications import ApplicationError, Wanted
from ws4py_middleware.cli.factories import load_app

MODULE = "factories_to_load"


def site(environ: Any, start_response: Any, *more: Any, **options: Any) -> Any:
    return more, options


def create_app(name: str = "shop", *, debug: bool = False) -> Any:
    return functools.partial(site, None, None, name, debug=debug)


def take_all(*args: Any, **options: Any) -> Any:
    return functools.partial(site, None, None, *args, **options)


def fail() -> Any:
    raise TypeError("it is out of order")


async def create_later() -> Any:
    return site


@pytest.fixture(autouse=True)
def _module(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType(MODULE)
    found = {each.__name__: each for each in (site, create_app, take_all, fail, create_later)}
    module.__dict__.update(found, number=7, factories=types.SimpleNamespace(create_app=create_app))
    monkeypatch.setitem(sys.modules, MODULE, module)


@pytest.mark.parametrize(
    ("call", "made"),
    [
        ("create_app()", (("shop",), {"debug": False})),
        ("create_app('blue', debug=True)", (("blue",), {"debug": True})),
        ("factories.create_app( name='a:b=(c)' )", (("a:b=(c)",), {"debug": False})),
        ("take_all(-1, [1.5, b'x'], a={'b': None})", ((-1, [1.5, b"x"]), {"a": {"b": None}})),
    ],
)
def test_factory_is_called_with_literals(call: str, made: tuple[Any, Any]) -> None:
    assert load_app(f"{MODULE}:{call}")() == made


def test_name_without_parentheses_is_the_application_itself() -> None:
    assert load_app(f"{MODULE}:site") is site
    assert load_app(f"{MODULE}:create_app") is create_app


@pytest.mark.parametrize(
    ("call", "text"),
    [
        ("create_app(", "is no call of a factory; one is 'shop:create_app\\(\\)'"),
        ("create_app()()", "is no call of a factory; one is"),
        ("create_app().app", "is no call of a factory; one is"),
        ("create_app(),", "is no call of a factory; one is"),
        ("create_app(\0)", "is no call of a factory; one is"),
        (
            "create_app(name)",
            "its arguments are to be literals, as in 'shop:create_app\\(\"test\", debug=True\\)'",
        ),
        ("create_app(open('x'))", "its arguments are to be literals"),
        ("create_app(*'ab')", "its arguments are to be literals"),
        ("create_app(**{'name': 'x'})", "its arguments are to be literals"),
        ("create_app({[]: 1})", "its arguments are to be literals"),
        ("create_ap()", "has no 'create_ap'; did you mean 'create_app'?"),
        ("()", "is no import path"),
        ("number()", "cannot be called: .*:number is 7"),
        ("create_app(1, 2)", r"does not fit .*\(name: .* too many positional arguments"),
        ("fail()", r"fail\(\) has raised TypeError: it is out of order"),
        ("create_later()", "create_later is async"),
        ("dict()", "has no 'dict'"),
        ("number", "number is 7; a WSGI or ASGI application is something to call"),
    ],
)
def test_what_is_wrong_is_named(call: str, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        load_app(f"{MODULE}:{call}")


def test_what_a_factory_returns_is_an_application() -> None:
    with pytest.raises(
        ValueError, match=r"^fractions:Fraction\(1\) has returned .*; a WSGI or ASGI application"
    ):
        load_app("fractions:Fraction(1)")


def test_exception_of_a_factory_is_the_cause_that_serve_shows() -> None:
    with pytest.raises(ApplicationError) as caught:
        Wanted(f"{MODULE}:fail()").load()
    assert isinstance(caught.value.__cause__, TypeError)
