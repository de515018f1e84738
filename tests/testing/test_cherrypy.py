from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import cherrypy
import pytest

from examples.cherrypy_chat import app as chat
from ws4py_middleware.server.cherrypyserver import WebSocketPlugin
from ws4py_middleware.testing import HandshakeRefused, WebSocketTestClient


@pytest.fixture
def plugin() -> Iterator[WebSocketPlugin]:
    screen = cherrypy.log.screen
    cherrypy.log.screen = False
    plugin = WebSocketPlugin(cherrypy.engine)
    plugin.subscribe()
    yield plugin
    plugin.unsubscribe()
    cherrypy.log.screen = screen


def make_app() -> Any:
    return cherrypy.Application(chat.Root(), "", chat.CONFIG)


def test_chat_of_the_example_runs_in_memory(plugin: WebSocketPlugin) -> None:
    own = plugin.manager
    with WebSocketTestClient(make_app()) as client:
        assert client.interface == "cherrypy"
        with pytest.raises(HandshakeRefused, match="403 Forbidden"):
            client.connect("/ws")
        assert client.post("/enter", {"name": "Ann"}).header("Location") == "http://testserver/"
        with client.connect("/ws") as ann, client.connect("/ws") as bob:
            assert ann.receive_json()["text"] == "Ann came in"
            bob.send("hello")
            while (said := ann.receive_json())["type"] != "said":
                continue
            assert (said["name"], said["text"]) == ("Ann", "hello")
            cherrypy.engine.publish("websocket-broadcast", "to all")
            assert ann.receive_waiting()[-1] == "to all"
            client.clock.advance(60)
            assert ann.pings
        assert plugin.manager is not own
    assert plugin.manager is own
    assert not own.is_alive()


def test_tree_is_an_application_too(plugin: WebSocketPlugin) -> None:
    tree = type(cherrypy.tree)()
    tree.mount(chat.Root(), "/chat", chat.CONFIG)
    with WebSocketTestClient(tree) as client:
        client.post("/chat/enter", {"name": "Eve"})
        with client.connect("/chat/ws", cookies=client.cookies) as ws:
            assert ws.receive_json()["text"] == "Eve came in"
