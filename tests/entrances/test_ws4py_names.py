"""What ws4py's users import from ``ws4py.server``: the same modules, names, arguments and defaults."""

from __future__ import annotations

import inspect
from importlib import import_module
from typing import Any

import pytest

from ws4py_middleware.websocket import WebSocket

_NONE: dict[str, Any] = {}

#: Module, name, and the arguments with their defaults; ``...`` for one that has to be given.
NAMES: list[tuple[str, str, dict[str, Any]]] = [
    (
        "wsgiutils",
        "WebSocketWSGIApplication",
        {"protocols": None, "extensions": None, "handler_cls": WebSocket},
    ),
    (
        "wsgiutils",
        "WebSocketWSGIApplication.make_websocket",
        {"sock": ..., "protocols": ..., "extensions": ..., "environ": ...},
    ),
    (
        "wsgirefserver",
        "WebSocketWSGIHandler",
        {
            "stdin": ...,
            "stdout": ...,
            "stderr": ...,
            "environ": ...,
            "multithread": True,
            "multiprocess": False,
        },
    ),
    ("wsgirefserver", "WebSocketWSGIHandler.setup_environ", _NONE),
    ("wsgirefserver", "WebSocketWSGIHandler.finish_response", _NONE),
    (
        "wsgirefserver",
        "WebSocketWSGIRequestHandler",
        {"request": ..., "client_address": ..., "server": ...},
    ),
    ("wsgirefserver", "WebSocketWSGIRequestHandler.handle", _NONE),
    (
        "wsgirefserver",
        "WSGIServer",
        {"server_address": ..., "RequestHandlerClass": ..., "bind_and_activate": True},
    ),
    ("wsgirefserver", "WSGIServer.initialize_websockets_manager", _NONE),
    ("wsgirefserver", "WSGIServer.link_websocket_to_server", {"ws": ...}),
    ("wsgirefserver", "WSGIServer.shutdown_request", {"request": ...}),
    ("wsgirefserver", "WSGIServer.server_close", _NONE),
    ("geventserver", "WebSocketWSGIHandler", {"sock": ..., "address": ..., "server": ..., "rfile": None}),
    ("geventserver", "WebSocketWSGIHandler.run_application", _NONE),
    ("geventserver", "WSGIServer", _NONE),
    ("geventserver", "WSGIServer.stop", _NONE),
    ("geventserver", "GEventWebSocketPool", {"size": None}),
    ("geventserver", "GEventWebSocketPool.track", {"websocket": ...}),
    ("geventserver", "GEventWebSocketPool.clear", _NONE),
    ("cherrypyserver", "WebSocketTool", _NONE),
    (
        "cherrypyserver",
        "WebSocketTool.upgrade",
        {
            "protocols": None,
            "extensions": None,
            "version": (8, 13),
            "handler_cls": WebSocket,
            "heartbeat_freq": None,
        },
    ),
    ("cherrypyserver", "WebSocketTool.complete", _NONE),
    ("cherrypyserver", "WebSocketTool.cleanup_headers", _NONE),
    ("cherrypyserver", "WebSocketTool.start_handler", _NONE),
    ("cherrypyserver", "WebSocketPlugin", {"bus": ...}),
    ("cherrypyserver", "WebSocketPlugin.start", _NONE),
    ("cherrypyserver", "WebSocketPlugin.stop", _NONE),
    ("cherrypyserver", "WebSocketPlugin.handle", {"ws_handler": ..., "peer_addr": ...}),
    ("cherrypyserver", "WebSocketPlugin.cleanup", _NONE),
    ("cherrypyserver", "WebSocketPlugin.broadcast", {"message": ..., "binary": False}),
]

_FREE = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def find(module: str, name: str) -> Any:
    found: Any = import_module(f"ws4py_middleware.{module}")
    for part in name.split("."):
        found = getattr(found, part)
    return found


@pytest.mark.parametrize(("module", "name", "arguments"), NAMES, ids=[f"{row[0]}.{row[1]}" for row in NAMES])
def test_name_is_there_with_ws4pys_arguments(module: str, name: str, arguments: dict[str, Any]) -> None:
    parameters = inspect.signature(find(f"server.{module}", name)).parameters.values()
    ours = [each for each in parameters if each.name != "self" and each.kind not in _FREE]
    empty = inspect.Parameter.empty
    found = {each.name: ... if each.default is empty else each.default for each in ours[: len(arguments)]}
    assert list(found.items()) == list(arguments.items()), "the same in the same order"
    assert all(each.default is not empty for each in ours[len(arguments) :]), (
        "more only if they may be left out"
    )
