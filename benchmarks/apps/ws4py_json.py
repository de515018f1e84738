"""ws4py: the handler that reads JSON and writes it again, for both of its servers."""

from __future__ import annotations

from typing import Any

from ws4py.websocket import WebSocket

from benchmarks.apps.common import answer_json

__all__ = ["Json"]


class Json(WebSocket):  # type: ignore[misc]
    """Reads each message, and writes it again."""

    def received_message(self, message: Any) -> None:
        """Answer."""
        self.send(answer_json(message.data))
