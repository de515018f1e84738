"""
A chat in rooms: who is here, who is typing, what was said.

    gunicorn app:app
    gunicorn -k gthread --threads 4 app:app
    gunicorn -k gevent app:app

The page and its WebSocket share one address: a browser that opens ``/chat/lobby`` gets the page from
Flask, and the script in it opens a WebSocket to the same ``/chat/lobby``, which :class:`Chat` answers.
Both sides speak JSON objects with a ``type``. What is said has a room of its own, with a history: who comes
gets the last messages, and a browser that was away for a while gets those that it has missed.

With a Redis there is one lobby for all workers, and machines::

    REDIS_URL=redis://localhost:6379/0 gunicorn --workers 4 -k gthread --threads 4 app:app
"""

from __future__ import annotations

import json
import os
import time
from threading import RLock
from urllib.parse import parse_qs

from flask import Flask, redirect, render_template, send_file, url_for
from werkzeug.wrappers import Response

from ws4py_middleware import WebSocket, WebSocketMiddleware, browser
from ws4py_middleware.hub import Hub, Member, get_hub, set_hub
from ws4py_middleware.messaging import Message

ROOMS = ("lobby", "kitchen", "workshop")  # offered in the list; any other begins with its first visitor
HISTORY = 50  # messages that a room remembers
LIMITS = {"name": 24, "text": 2000}

app = Flask(__name__)


def said_in(room: str) -> str:
    """Return where that is published which is to be remembered; no room of the list has a slash."""
    return f"{room}/said"


set_hub(Hub(os.environ.get("REDIS_URL"), history=lambda room: HISTORY if room.endswith("/said") else None))


@app.get("/")
def index() -> Response:
    """Send a new visitor to the first room."""
    return redirect(url_for("page", room=ROOMS[0]))


@app.get("/chat/<room>")
def page(room: str) -> str:
    """Show the page of a room."""
    return render_template("index.html", room=room, rooms=ROOMS, limits=LIMITS)


@app.get("/replay.js")
def replay_js() -> Response:
    """Send the package's script, with which a page misses nothing."""
    return send_file(browser.path("replay.js"), mimetype="text/javascript")


# Handlers of several people may run at once. What changes a room happens under this lock, so that
# everybody in the room is told the same things in the same order.
changing = RLock()


class Refused(ValueError):
    """What a browser sent is not what we expect; the text is for the person in front of it."""


class Chat(WebSocket):
    """One browser in one room."""

    def opened(self) -> None:
        """Come in: ``/chat/<room>?name=<name>``."""
        self.room = str(self.params["room"])
        asked = parse_qs(self.environ.get("QUERY_STRING", "")).get("name", [""])[0]
        with changing:
            name = self.free_name(tidy(asked)[: LIMITS["name"]] or "Guest")
            self.me = self.join(self.room, {"name": name})
            people = [public(member) for member in self.hub.members(self.room)]
            self.tell("welcome", you=public(self.me), people=people, at=time.time())
            self.tell_others("joined", person=public(self.me))
        self.join(said_in(self.room), since="0")  # all there is; but who comes back says where it was

    def received_message(self, message: Message) -> None:
        """Do what the browser asks for, or say why not."""
        try:
            try:
                request = json.loads(message.data)
            except (ValueError, RecursionError):
                raise Refused("That was not JSON.") from None
            match request:
                case {"type": "say", "text": str(text)}:
                    self.say(text)
                case {"type": "typing", "on": bool(on)}:
                    self.tell_others("typing", id=self.me.id, on=on)
                case {"type": "name", "name": str(name)}:
                    self.rename(name)
                case _:
                    raise Refused(
                        'Expected {"type": "say", "text": …}, or "typing" with "on", or "name" with "name".'
                    )
        except Refused as reason:
            self.tell("error", text=str(reason))

    def say(self, text: str) -> None:
        text = checked(text.strip(), "text", "A message")
        said = {"from": public(self.me), "text": text, "at": time.time()}
        self.hub.publish(said_in(self.room), encode("said", **said))  # to this browser too: it is the receipt

    def rename(self, name: str) -> None:
        name = checked(tidy(name), "name", "A name")
        with changing:
            self.me = self.join(self.room, {"name": self.free_name(name)})  # it is there; its name changes
            self.hub.publish(self.room, encode("renamed", person=public(self.me)))

    def tell(self, kind: str, **fields: object) -> None:
        self.send(encode(kind, **fields))

    def tell_others(self, kind: str, **fields: object) -> None:
        self.hub.publish(self.room, encode(kind, **fields), exclude=self)

    def free_name(self, wanted: str) -> str:
        """Return the name, with a number behind it when somebody here has it."""
        others = [member for member in self.hub.members(self.room) if member.websocket is not self]
        taken = {member.info["name"].casefold() for member in others}
        name, number = wanted, 1
        while name.casefold() in taken:
            number += 1
            name = f"{wanted} {number}"
        return name


@get_hub().on_left
def say_goodbye(room: str, member: Member) -> None:
    """Tell the others who left; this is called for everybody who has come in, however the connection ends."""
    if not room.endswith("/said"):
        with changing:
            get_hub().publish(room, encode("left", id=member.id))


def public(member: Member) -> dict[str, str]:
    return {"id": member.id, "name": member.info["name"]}


def encode(kind: str, **fields: object) -> str:
    return json.dumps({"type": kind, **fields})


def tidy(name: str) -> str:
    """Leave out what cannot be seen: control characters, line breaks, marks that reverse the text."""
    return " ".join("".join(c if c.isprintable() else " " for c in name).split())


def checked(text: str, limit: str, what: str) -> str:
    if not text:
        raise Refused(f"{what} cannot be empty.")
    if len(text) > LIMITS[limit]:
        raise Refused(f"{what} has at most {LIMITS[limit]} characters; this has {len(text)}.")
    return text


app.wsgi_app = WebSocketMiddleware(  # type: ignore[method-assign]
    app.wsgi_app, {"/chat/<room>": Chat}, subprotocols=["ws4py.replay.v1"]
)
