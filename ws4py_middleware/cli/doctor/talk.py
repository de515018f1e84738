"""What is asked of every WebSocket, wherever it is: handshake, ping, early frames, limits, origin, close."""

from __future__ import annotations

import dataclasses
import ssl
from time import monotonic

from ...core.events import CloseReceived, PongReceived
from ...core.frames import pack_frame
from ...core.types import Opcode
from ...exc import HandshakeError
from .peer import Peer, Place
from .refusals import LOG_TIME, explain
from .subject import Subject

__all__ = ["LIMITS", "at", "check_opening", "check_talk", "open_again", "open_peer", "show_ms"]

#: The answers of limits: too many handshakes or connections.
LIMITS = (429, 503)

_EARLY, _LATE = b"early", b"late"

#: How long a handler that fails may take to say so; seconds.
_FAILURE_TIME = 0.2

#: Largest message that is sent to see that it is refused; bytes.
_MAX_SENT = 8 * 2**20

#: A page that nobody's visitors come from.
_ELSEWHERE = "https://elsewhere.invalid"


def open_peer(subject: Subject) -> Peer | None:
    """Open a connection; where there is none, the report says why."""
    try:
        peer = Peer(subject.place)
    except ssl.SSLCertVerificationError as error:
        subject.report.add("certificate_refused", problem=error.verify_message)
    except OSError as error:
        subject.report.add("unreachable", problem=error, do="start it, or mend the address")
    except HandshakeError as error:
        subject.report.add("bad_handshake", problem=error.msg)
    else:
        if peer.is_open:
            return peer
        if peer.problem:
            subject.report.add("bad_handshake", problem=peer.problem)
        else:
            explain(subject, peer.answer)
        peer.drop()
    return None


def check_opening(subject: Subject) -> bool:
    """Open a connection, and see whether somebody is there; return whether it makes sense to go on."""
    peer = open_peer(subject)
    if peer is None:
        return False
    report = subject.report
    with peer:
        report.add("handshake", path=subject.place.path, ms=show_ms(peer.answer.seconds))
        started = monotonic()
        peer.send(Opcode.PING, _LATE)
        event = peer.wait(PongReceived)
        seconds = monotonic() - started
        if isinstance(event, PongReceived):
            event = peer.wait(CloseReceived, timeout=_FAILURE_TIME)
            if event is None and not peer.ended:
                report.add("ping", ms=show_ms(seconds))
                return True
        if isinstance(event, CloseReceived):
            _explain_close(subject, event)
        elif peer.ended:
            report.add("closed_at_once", code=1006, reason=peer.ended)
        elif subject.facts is not None and subject.facts.manager:
            report.add("preloaded_manager", app=subject.app, option=subject.before_fork)
        else:
            report.add("no_pong", seconds=f"{subject.place.timeout:g}")
        return False


def _explain_close(subject: Subject, event: CloseReceived) -> None:
    if event.code == 1011:
        problem = subject.find_exception(LOG_TIME) or event.reason or "the log of the server says which"
        subject.report.add("handler_failed", code=event.code, problem=problem)
    else:
        subject.report.add("closed_at_once", code=event.code, reason=event.reason)


def check_talk(subject: Subject) -> bool:
    """Look at all that one connection can show; return whether there were as many as were needed."""
    for check in (_check_early, _check_compression, _check_limit, _check_origin, _check_close):
        try:
            check(subject)
        except HandshakeError as error:
            if error.status in LIMITS:
                subject.report.add("limited", status=error.status, text=error.msg)
                return False
            subject.report.add("bad_handshake", problem=error.msg)
        except OSError as error:
            # The first connection worked: what fails now is what is between, or too slow.
            subject.report.add("bad_handshake", problem=error)
    return True


def open_again(subject: Subject, *, early: bytes = b"", compression: bool = False) -> Peer:
    """
    Open another connection, where one has been opened before.

    Raises:
        HandshakeError: It is refused.
        OSError: There is none.
    """
    peer = Peer(subject.place, early=early, compression=compression)
    if not peer.is_open:
        peer.drop()
        answer = peer.answer
        raise HandshakeError(answer.text or f"the answer is {answer.status}", answer.status, answer.headers)
    return peer


def _check_early(subject: Subject) -> None:
    early = pack_frame(Opcode.PING, _EARLY, mask_key=b"doct")
    try:
        with open_again(subject, early=early) as peer:
            # The answer to the second shows that the first has none.
            peer.send(Opcode.PING, _LATE)
            event = peer.wait(PongReceived)
            if isinstance(event, PongReceived) and event.data == _EARLY:
                subject.report.add("early")
                return
            outcome = "dropped" if event is not None or not peer.ended else f"connection {peer.ended}"
    except HandshakeError as error:
        if error.status in LIMITS:
            raise
        outcome = f"answered with {error.status}" if error.status else "no answer"
    except OSError:
        outcome = "no answer"
    subject.report.add("early_lost", outcome=outcome)


def _check_compression(subject: Subject) -> None:
    with open_again(subject, compression=True) as peer:
        is_on = "permessage-deflate" in peer.answer.get("Sec-WebSocket-Extensions")
    subject.report.add("compression", state="on" if is_on else "off")
    if not is_on and not subject.asgi and subject.route is not None and subject.route.compression:
        subject.report.add("compression_lost")


def _check_limit(subject: Subject) -> None:
    route = subject.route
    if route is None:
        return
    size = route.max_message_size
    if size is None:
        subject.report.add("limit_off")
        return
    with open_again(subject) as peer:
        if not subject.asgi:
            peer.announce(size + 1)
        elif size < _MAX_SENT:
            # A server that does the framing has a limit of its own; ours is for the whole message.
            peer.send(Opcode.BINARY, bytes(size + 1))
        else:
            return
        event = peer.wait(CloseReceived)
        if isinstance(event, CloseReceived) and event.code == 1009:
            subject.report.add("limit", size=size)
        elif subject.asgi and event is None and peer.ended:
            subject.report.add("limit_cut", size=size, outcome=peer.ended)
        else:
            outcome = f"closed with {event.code}" if isinstance(event, CloseReceived) else peer.ended
            subject.report.add("limit_not_kept", size=size, outcome=outcome or "nothing happens")


def _check_origin(subject: Subject) -> None:
    place = subject.place
    with Peer(place, origin=_ELSEWHERE) as peer:
        if peer.is_open:
            subject.report.add("origin_open")
        elif peer.answer.status == 403:
            subject.report.add("origin")
    own = f"{'http' if place.context is None else 'https'}://{place.host}"
    with Peer(place, origin=own) as peer:
        if peer.answer.status == 403:
            subject.report.add("own_origin_refused", origin=own)


def _check_close(subject: Subject) -> None:
    with open_again(subject) as peer:
        started = monotonic()
        peer.send_close()
        event = peer.wait(CloseReceived)
        ended = peer.wait_end() if event is not None else peer.ended
        if event is not None and ended:
            subject.report.add("close", ms=show_ms(monotonic() - started))
            return
        if event is not None:
            outcome = "it is answered, and the connection stays open"
        else:
            outcome = f"connection {ended}, no Close frame" if ended else "no answer"
        subject.report.add("close_unanswered", outcome=outcome)


def at(place: Place, path: str) -> Place:
    """Return another path of the same server."""
    return dataclasses.replace(place, target=place.target._replace(resource=path))


def show_ms(seconds: float) -> str:
    """Write seconds as milliseconds."""
    return f"{seconds * 1000:.1f}"
