"""What a name in a docstring leads to is what it means in Python, and a name of nothing is found out."""

from __future__ import annotations

import threading

import pytest

from scripts.lib.docs.references import ABSENT, find, find_place, find_type_imports
from ws4py_middleware.exc import HandshakeError

PAGE = "ws4py_middleware.wsgi"


@pytest.mark.parametrize(
    ("name", "module", "cls", "meant"),
    [
        ("WebSocketMiddleware", PAGE, None, "ws4py_middleware.wsgi.WebSocketMiddleware"),
        ("close", "ws4py_middleware.websocket", "WebSocket", "ws4py_middleware.websocket.WebSocket.close"),
        ("exc.HandshakeError", PAGE, None, "ws4py_middleware.exc.HandshakeError"),  # a neighbour
        ("ws4py_middleware.Policy", None, None, "ws4py_middleware.core.policy.Policy"),
    ],
)
def test_name_is_what_it_is_where_it_stands(
    name: str, module: str | None, cls: str | None, meant: str
) -> None:
    found = find(name, module, cls)
    assert f"{found.__module__}.{found.__qualname__}" == meant


def test_name_of_python_and_of_an_attribute_is_real() -> None:
    assert find("ValueError", PAGE, None) is ValueError
    assert find("threading.Thread", PAGE, None) is threading.Thread
    # Only its instances have it.
    assert find("status", "ws4py_middleware.exc", "HandshakeError") is ABSENT
    assert not hasattr(HandshakeError, "status")


@pytest.mark.parametrize(
    "name", ["WebSoket", "Policy.max_size", "ws4py_middleware.polices", "nobodys.module"]
)
def test_name_of_nothing_is_not_found(name: str) -> None:
    with pytest.raises(LookupError, match=name):
        find(name, PAGE, None)


def test_what_is_imported_for_types_only_is_known() -> None:
    assert find_type_imports("ws4py_middleware")["WebSocket"] == ("ws4py_middleware.websocket", "WebSocket")


def test_names_are_shown_in_the_order_of_the_source() -> None:
    source = "from x import here\n\nLIMIT = 1\n\n\nclass First: ...\n\n\nasync def after(): ...\n"
    places = [find_place(source, name) for name in ("here", "LIMIT", "First", "after")]
    assert places == sorted(places)
    assert places[0] == 0
