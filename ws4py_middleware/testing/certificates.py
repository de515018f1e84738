"""A certificate for a server of a test: thrown away with it, and believed by its client alone."""

from __future__ import annotations

import importlib.util
import ssl
from pathlib import Path

from ..extras import MissingExtraError

__all__ = ["make_certificate", "make_context"]


def make_certificate(directory: Path) -> tuple[str, str]:
    """
    Make a certificate for the loopback, and its key; trustme does.

    Args:
        directory: Where the files are put.

    Returns:
        Their paths.

    Raises:
        MissingExtraError: trustme is not installed.
    """
    if importlib.util.find_spec("trustme") is None:
        raise MissingExtraError(
            "tls=True makes a certificate with trustme: pip install trustme; "
            'or give yours: tls=("cert.pem", "key.pem")'
        )
    import trustme

    made = trustme.CA().issue_cert("localhost", "127.0.0.1", "::1")
    cert, key = directory / "cert.pem", directory / "key.pem"
    made.cert_chain_pems[0].write_to_path(cert)
    made.private_key_pem.write_to_path(key)
    return str(cert), str(key)


def make_context(cert: str) -> ssl.SSLContext:
    """
    Return what a client believes that knows one certificate, whoever has signed it and for whatever name.

    Args:
        cert: A file of it, PEM.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False  # yours may be for a name; the server is on the loopback
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load_verify_locations(cert)
    return context
