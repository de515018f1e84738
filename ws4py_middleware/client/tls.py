"""What a client's TLS verifies, from a context or from ws4py's dictionary of settings."""

from __future__ import annotations

import functools
import os
import ssl
from collections.abc import Mapping
from typing import Any

__all__ = ["SSLOptions", "get_server_name", "make_context", "without_identity"]

#: A context, or ws4py's dictionary of settings, see :func:`make_context`.
SSLOptions = ssl.SSLContext | Mapping[str, Any]

#: Settings of ws4py's dictionary, which it gave to ``ssl.wrap_socket()``.
_SSL_OPTIONS = frozenset(
    {
        "ca_certs",
        "cert_reqs",
        "certfile",
        "check_hostname",
        "ciphers",
        "keyfile",
        "password",
        "server_hostname",
        "ssl_version",
    }
)
#: Those that are taken and mean nothing here.
_SSL_IGNORED = frozenset({"do_handshake_on_connect", "suppress_ragged_eofs"})

#: Those that are about one server: who it is, and who it is told that we are.
_OF_ONE_SERVER = frozenset({"certfile", "keyfile", "password", "server_hostname"})


def make_context(options: SSLOptions | None) -> ssl.SSLContext:
    """
    Make the context of a client's connections.

    Args:
        options: ``None`` verifies the certificate against the system's authorities, and the name of
            the host. A context is taken as it is. A dictionary changes some of it: ``ca_certs``
            (a file of authorities in place of the system's), ``certfile``, ``keyfile`` and
            ``password`` (this end's own), ``ciphers``, ``ssl_version``, ``check_hostname``, and
            ``cert_reqs``: ``ssl.CERT_NONE`` verifies nothing.

    Raises:
        TypeError: There is no such option.
        OSError: A file cannot be read, or has no certificate.
        ValueError: The version is one that nobody should speak.
    """
    if isinstance(options, ssl.SSLContext):
        return options
    if not options:
        return _default_context()
    if unknown := sorted(set(options) - _SSL_OPTIONS - _SSL_IGNORED):
        raise TypeError(f"ssl_options has {unknown[0]!r}; there are {', '.join(sorted(_SSL_OPTIONS))}")
    # None means nothing, and is not CERT_NONE.
    verify = options.get("cert_reqs") is None or options["cert_reqs"] != ssl.CERT_NONE
    context = _new_context(options.get("ca_certs"), verify=verify)
    context.check_hostname = verify and bool(options.get("check_hostname", True))
    version = options.get("ssl_version")
    if version == ssl.PROTOCOL_TLSv1_2:
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_2
    elif version not in (None, ssl.PROTOCOL_TLS, ssl.PROTOCOL_TLS_CLIENT):
        raise ValueError(f"ssl_version is {version!r}; TLS 1.2 and later are spoken here")
    if options.get("certfile") is not None:
        context.load_cert_chain(options["certfile"], options.get("keyfile"), options.get("password"))
    if options.get("ciphers") is not None:
        context.set_ciphers(options["ciphers"])
    return context


def get_server_name(options: SSLOptions | None, host: str) -> str:
    """Return the name that the certificate must be for: the host's, unless the options say otherwise."""
    if isinstance(options, Mapping) and options.get("server_hostname"):
        host = str(options["server_hostname"])
    # A name's last dot is not in its certificate, and an address' zone is nobody's business.
    return host.partition("%")[0].rstrip(".")


def without_identity(options: SSLOptions) -> SSLOptions:
    """Return the options for another server than the one they were made for; a context is as it is."""
    if isinstance(options, ssl.SSLContext):
        return options
    return {name: value for name, value in options.items() if name not in _OF_ONE_SERVER}


@functools.cache
def _default_context() -> ssl.SSLContext:
    # To read the system's authorities takes longer than the connection itself.
    return _new_context(None)


def _new_context(ca_certs: str | os.PathLike[str] | None, *, verify: bool = True) -> ssl.SSLContext:
    if verify:
        context = ssl.create_default_context(cafile=ca_certs)
    else:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    # A server that speaks HTTP/2, too, must know that this is not what is wanted.
    context.set_alpn_protocols(["http/1.1"])
    return context
