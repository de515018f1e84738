"""What a refused handshake means: from the status and the first line of its body to a finding."""

from __future__ import annotations

from ...exc import HandshakeError
from ...handover.adapter import OUTERMOST
from .peer import Answer, Peer, Place
from .subject import Subject

__all__ = ["LOG_TIME", "explain"]

#: How long a server may take to print what has happened; seconds.
LOG_TIME = 1.0

_NOT_ALLOWED = (401, 403, 407, 421)
_NO_ROOM = (429, 503)
_GATEWAY = (502, 504)

#: What uvicorn prints when it is asked for the first WebSocket.
_NO_LIBRARY = "No supported WebSocket library detected"


def explain(subject: Subject, answer: Answer) -> None:
    """Add the finding of an answer that is no 101."""
    report, status = subject.report, answer.status
    facts = {"path": subject.place.path, "status": status, "text": answer.text or "no word on why"}
    if status == 501:
        _explain_hand_over(subject, answer)
    elif 300 <= status < 400 and answer.get("Location"):
        location = answer.get("Location")
        report.add("redirected", location=location, target=_find_target(subject.place, location), **facts)
    elif _NO_LIBRARY in subject.log:
        report.add("library_missing", server="uvicorn")
    elif status == 426 or (status == 400 and "upgrade" in answer.text.lower()):
        report.add("upgrade_dropped", **facts)
    elif status == 404:
        report.add("route_not_found", routes=subject.name_routes(), **facts)
    elif status in _NOT_ALLOWED:
        report.add("not_allowed", **facts)
    elif status in _NO_ROOM:
        report.add("no_room", **facts)
    elif status in _GATEWAY:
        report.add("bad_gateway", **facts)
    elif status >= 500:
        problem = subject.find_exception(LOG_TIME) or answer.text or "it says no more"
        report.add("server_error", problem=problem, **facts)
    elif _is_page(subject.place, status):
        report.add("not_a_websocket", **facts)
    else:
        report.add("refused", **facts)


def _explain_hand_over(subject: Subject, answer: Answer) -> None:
    text = answer.text
    code = "no_handover"
    behind = ""
    if OUTERMOST in text:
        code = "input_replaced"
        names = subject.route.behind if subject.route is not None else []
        behind = f" ({', '.join(names)})" if names else ""
    elif "--enable-threads" in text:
        code = "uwsgi_threads"
    elif "--http-raw-body" in text and "router" in text:
        code = "uwsgi_router"
    subject.report.add(code, text=text or "no word on why", behind=behind)


def _is_page(place: Place, status: int) -> bool:
    """Tell whether a plain request is answered with the same status."""
    try:
        with Peer(place, upgrade=False) as peer:
            return peer.answer.status == status
    except (OSError, HandshakeError):
        return False


def _find_target(place: Place, location: str) -> str:
    """Return what a redirect leads to, as a URL of a WebSocket."""
    scheme = place.target.scheme
    if location.startswith("/"):
        return f"{scheme}://{place.host}{location}"
    return location.replace("https://", "wss://", 1).replace("http://", "ws://", 1)
