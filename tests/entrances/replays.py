"""The server's part of ``ws4py.replay.v1``, said word by word."""

from __future__ import annotations

import json
from typing import Any

from tests.core.wire import TEXT, build_close
from tests.entrances.phoenix import Script
from tests.entrances.scripted import Visit, text

PROTOCOL = "ws4py.replay.v1"
MARK = "\x1e"


def said(**fields: Any) -> bytes:
    """Build the frame of a message of the protocol."""
    return text(MARK + json.dumps(fields))


def resume(visit: Visit) -> Any:
    """Read what a client says first: where it was in each room."""
    opcode, payload = visit.read_frame()
    assert opcode == TEXT
    message = json.loads(payload.decode().removeprefix(MARK))
    assert list(message) == ["resume"], message
    return message["resume"]


def agree(visit: Visit) -> None:
    """Open the WebSocket, in this protocol; the request may have been read."""
    if not visit.request:
        visit.read_request()
    visit.send(visit.build_101(f"Sec-WebSocket-Protocol: {PROTOCOL}"))


def replay(*frames: bytes, end: int | None = None) -> Script:
    """Agree on the protocol, read the resume, say something; then close, or say what is said."""

    def script(visit: Visit) -> None:
        agree(visit)
        visit.resume = resume(visit)  # type: ignore[attr-defined]
        visit.send(b"".join(frames) + (b"" if end is None else build_close(end, b"")))
        visit.echo()

    return script


def resumed(visits: list[Visit]) -> list[Any]:
    """Return what was asked for on each connection."""
    return [visit.resume for visit in visits]  # type: ignore[attr-defined]
