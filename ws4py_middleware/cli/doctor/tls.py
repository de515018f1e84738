"""What a TLS connection says of itself, and how long its certificate is good."""

from __future__ import annotations

import contextlib
from datetime import datetime, timezone

from .peer import Peer
from .subject import Subject

__all__ = ["check_certificate", "find_end"]

#: From here on somebody should know; days.
_SOON = 14

_SEQUENCE, _UTC_TIME, _GENERALIZED_TIME, _VERSION = 0x30, 0x17, 0x18, 0xA0


def check_certificate(subject: Subject) -> None:
    """Say which TLS is spoken, and until when the certificate is good."""
    with Peer(subject.place) as peer:
        sock = peer.tls
        if sock is None:
            return
        version, cipher = sock.version(), (sock.cipher() or ("no cipher",))[0]
        certificate = sock.getpeercert(binary_form=True)
    end = None if certificate is None else find_end(certificate)
    days = "?" if end is None else str((end - datetime.now(timezone.utc)).days)
    subject.report.add("tls", version=version, cipher=cipher, days=days)
    if end is not None and int(days) < _SOON:
        subject.report.add("certificate_ends", days=days)


def find_end(certificate: bytes) -> datetime | None:
    """
    Return the time until which a certificate is good, from its DER; ``None`` where it cannot be read.

    The standard library reads only certificates that it has verified.

    Spec: :rfc:`5280#section-4.1`.
    """
    with contextlib.suppress(IndexError, ValueError):
        inside = _read(_read(certificate, 0)[1], 0)[1]
        at = 0
        fields: list[tuple[int, bytes]] = []
        while at < len(inside) and len(fields) < 5:
            tag, value, at = _read(inside, at)
            if tag != _VERSION:
                fields.append((tag, value))
        # Serial number, signature, issuer, validity.
        validity = fields[3][1]
        _, _, at = _read(validity, 0)
        tag, text, _ = _read(validity, at)
        form = {_UTC_TIME: "%y%m%d%H%M%SZ", _GENERALIZED_TIME: "%Y%m%d%H%M%SZ"}[tag]
        return datetime.strptime(text.decode("ascii"), form).replace(tzinfo=timezone.utc)
    return None


def _read(data: bytes, at: int) -> tuple[int, bytes, int]:
    """Read one value: its tag, what it is, and where the next one begins."""
    tag, size, at = data[at], data[at + 1], at + 2
    if size & 0x80:
        count = size & 0x7F
        size, at = int.from_bytes(data[at : at + count], "big"), at + count
    return tag, data[at : at + size], at + size
