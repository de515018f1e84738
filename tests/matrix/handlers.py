"""What is mounted on every server: the same classes, with the same limits."""

from __future__ import annotations

from typing import Any

from ws4py_middleware import EchoWebSocket, WebSocket


class LeavingWebSocket(WebSocket):
    """Closes as soon as it is open."""

    def opened(self) -> None:
        self.close(1000, "that was all")


ROUTES: dict[str, Any] = {"/echo": EchoWebSocket, "/leave": LeavingWebSocket}

#: The 5 MB of the matrix are more than the default takes.
OPTIONS: dict[str, Any] = {"max_message_size": 8 * 1024 * 1024, "write_limit": 16 * 1024 * 1024}
