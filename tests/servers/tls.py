"""Certificates for ``localhost`` and ``example.com``, made once per process; contexts of both ends."""

from __future__ import annotations

import atexit
import functools
import ssl
import tempfile
import threading
from pathlib import Path

_lock = threading.Lock()


def certificates() -> tuple[Path, Path, Path]:
    """Make (certificate, private key, authority) files once per process; they go with the process."""
    with _lock:
        return _certificates()


@functools.cache
def _certificates() -> tuple[Path, Path, Path]:
    import trustme

    directory = tempfile.TemporaryDirectory(prefix="live-server-tls-")
    atexit.register(directory.cleanup)
    paths = Path(directory.name, "cert.pem"), Path(directory.name, "key.pem"), Path(directory.name, "ca.pem")
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost", "127.0.0.1", "example.com")
    certificate.cert_chain_pems[0].write_to_path(paths[0])
    certificate.private_key_pem.write_to_path(paths[1])
    authority.cert_pem.write_to_path(paths[2])
    return paths


@functools.cache
def client_context() -> ssl.SSLContext:
    """Return the client's TLS context that trusts :func:`certificates`."""
    return ssl.create_default_context(cafile=str(certificates()[2]))


def server_context() -> ssl.SSLContext:
    """Return a server's TLS context with :func:`certificates`, for servers inside the test's own process."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificates()[:2])
    return context
