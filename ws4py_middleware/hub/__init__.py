"""
Rooms: who gets what is published.

::

    from ws4py_middleware.hub import get_hub

    class Chat(WebSocket):
        def opened(self):
            self.join("lobby", {"name": "Ada"})

        def received_message(self, message):
            self.hub.publish("lobby", message, exclude=self)

    get_hub().publish("lobby", "lunch is ready")      # in a view, or wherever

There is nothing to set up: every handler has :attr:`~.WebSocket.hub`, the one hub of its process, and
a view finds it through :func:`get_hub`. A member leaves its rooms by itself when its connection ends.
"""

from __future__ import annotations

from .backplane import Backplane, Envelope
from .default import get_hub, set_hub
from .entries import KeptMessage
from .members import Member, Receiver
from .messages import prepare
from .rooms import Hub

__all__ = [
    "Backplane",
    "Envelope",
    "Hub",
    "KeptMessage",
    "Member",
    "Receiver",
    "get_hub",
    "prepare",
    "set_hub",
]
