"""Look at a site that runs somewhere, from outside."""

from __future__ import annotations

import dataclasses
from time import monotonic

from ...client.tls import make_context
from ...client.urls import parse_url
from ...core.events import CloseReceived, PingReceived
from .findings import Report
from .peer import Peer, Place
from .subject import Options, Subject
from .talk import at, check_opening, check_talk
from .tls import check_certificate

__all__ = ["examine", "read_place"]

#: What says who has answered.
_NAMES = ("Server", "Via", "X-Powered-By", "X-Cache", "CF-RAY")


def read_place(url: str, options: Options) -> Place:
    """
    Return where a URL leads; ``http`` and ``https`` mean ``ws`` and ``wss``.

    Raises:
        ValueError: It is none.
        OSError: The file of authorities cannot be read.
    """
    scheme, separator, rest = url.partition("://")
    scheme = {"http": "ws", "https": "wss"}.get(scheme.lower(), scheme)
    target = parse_url(f"{scheme}{separator}{rest}")
    context = None
    if scheme.startswith("wss"):
        import ssl

        chosen = {"cert_reqs": ssl.CERT_NONE} if options.insecure else {"ca_certs": options.ca}
        context = make_context(chosen)
    place = Place(target, context, options.headers, options.timeout, options.subprotocols)
    return place if options.path is None else at(place, options.path)


def examine(url: str, options: Options) -> Report:
    """
    Look at a site.

    Raises:
        ValueError: The URL is none.
        OSError: The file of authorities cannot be read.
    """
    report = Report(url)
    subject = Subject(report, read_place(url, options))
    if not check_opening(subject):
        return report
    with Peer(subject.place) as peer:
        named = [f"{name}: {value}" for name in _NAMES if (value := peer.answer.get(name))]
        if named:
            report.add("answered_by", headers=", ".join(named))
        if options.subprotocols and peer.subprotocol is None:
            report.add("subprotocol_refused", names=", ".join(map(repr, options.subprotocols)))
        elif options.subprotocols:
            report.add("subprotocol", name=peer.subprotocol)
    if check_talk(subject) and subject.place.context is not None:
        check_certificate(subject)
    if options.idle is not None:
        _check_idle(subject, options.idle)
    return report


@dataclasses.dataclass
class _Silence:
    """What a connection shows on which we say nothing of ourselves."""

    pings: list[float] = dataclasses.field(default_factory=list)
    close: CloseReceived | None = None
    #: How it ended; empty: it did not.
    ended: str = ""
    seconds: float = 0.0


def _check_idle(subject: Subject, seconds: float) -> None:
    with Peer(subject.place) as peer:
        seen = _watch(peer, seconds)
    interval = None
    if seen.pings:
        interval = seen.pings[-1] / len(seen.pings)
        subject.report.add("pings_seen", interval=f"{interval:.1f}")
    lasted = f"{seen.seconds:.1f}"
    if seen.close is not None:
        subject.report.add("idle_closed", code=seen.close.code, reason=seen.close.reason, seconds=lasted)
    elif seen.ended:
        pings = "no ping was seen before" if interval is None else f"pings came every {interval:.1f} s"
        how = "reset" if seen.ended == "reset" else "without a Close frame"
        subject.report.add("idle_cut", seconds=lasted, how=how, pings=pings)
    else:
        subject.report.add("idle_kept", seconds=lasted)


def _watch(peer: Peer, seconds: float) -> _Silence:
    seen = _Silence()
    started = monotonic()
    while not peer.ended and seen.close is None and (left := started + seconds - monotonic()) > 0:
        event = peer.wait(PingReceived, timeout=left)
        if isinstance(event, CloseReceived):
            seen.close = event
        elif event is not None:
            seen.pings.append(monotonic() - started)
    seen.ended = peer.ended
    seen.seconds = monotonic() - started
    return seen
