from __future__ import annotations

import cherrypy

from ws4py_middleware import WebSocket
from ws4py_middleware.hub import get_hub
from ws4py_middleware.messaging import Message
from ws4py_middleware.server.cherrypyserver import WebSocketPlugin, WebSocketTool

WebSocketPlugin(cherrypy.engine).subscribe()
cherrypy.tools.websocket = WebSocketTool()


class Chat(WebSocket):
    name = "Somebody"

    def opened(self) -> None:
        self.room = self.params["room"]
        self.join(self.room)
        self.send(f"Welcome to {self.room}, {self.name}!")

    def received_message(self, message: Message) -> None:
        self.hub.publish(self.room, f"{self.name}: {message}")


class Root:
    @cherrypy.expose
    def index(self) -> str:
        return "a page"

    @cherrypy.expose
    def login(self, name: str) -> str:
        cherrypy.session["name"] = name
        return "welcome"

    # [chat]
    @cherrypy.expose
    def chat(self, room: str) -> None:
        name = cherrypy.session.get("name")
        if name is None:
            raise cherrypy.HTTPError(401, "Say your name first.")
        cherrypy.request.ws_handler.name = name

    # [/chat]

    # [publish]
    @cherrypy.expose
    def announce(self, room: str, text: str) -> str:
        return f"told {get_hub().publish(room, text)}"

    @cherrypy.expose
    def goodnight(self) -> str:
        cherrypy.engine.publish("websocket-broadcast", "We close in five minutes.")
        return "told everybody"

    # [/publish]


app = cherrypy.tree.mount(
    Root(),
    "/",
    {
        "/": {"tools.sessions.on": True},
        "/chat": {
            "tools.websocket.on": True,
            "tools.websocket.handler_cls": Chat,
            "tools.websocket.max_message_size": "16 KiB",
            "tools.websocket.origins": ["same", "https://example.com"],
        },
    },
)

if __name__ == "__main__":
    cherrypy.config.update({"server.socket_port": 9000})
    cherrypy.engine.signals.subscribe()
    cherrypy.engine.start()
    cherrypy.engine.block()
