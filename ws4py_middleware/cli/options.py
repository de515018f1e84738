"""The options of the commands that connect to a server, and what they mean for a client."""

from __future__ import annotations

import math
import ssl
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

__all__ = ["CLIENT_OPTIONS", "Seconds", "client_options", "make_client_arguments", "parse_size"]

_Function = TypeVar("_Function", bound=Callable[..., Any])

_MILLISECOND = 0.001
_YEAR = 365 * 86400
_FACTORS = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3}


def parse_size(text: str) -> int:
    """
    Return the bytes that a size has.

    Raises:
        ValueError: It is none.

    >>> parse_size("125"), parse_size("64k"), parse_size("1M"), parse_size("2MiB")
    (125, 65536, 1048576, 2097152)
    """
    number = text.strip().lower().removesuffix("ib")
    digits = number.rstrip("kmg")
    if not (digits.isascii() and digits.isdigit()) or number[len(digits) :] not in _FACTORS:
        raise ValueError(f"{text!r} is no size; write bytes, such as 125, 64k or 1M")
    return int(digits) * _FACTORS[number[len(digits) :]]


class Size(click.ParamType):  # type: ignore[type-arg]  # not before click 8.3
    """Bytes, with k, M or G behind them."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the bytes."""
        if isinstance(value, int):
            return value
        try:
            return parse_size(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Header(click.ParamType):  # type: ignore[type-arg]
    """``Name: value``."""

    name = "header"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        """Return name and value."""
        if isinstance(value, tuple):
            return value[0], value[1]
        name, colon, rest = value.partition(":")
        if not colon or not name.strip():
            self.fail(f"{value!r} is no header; write 'Name: value'", param, ctx)
        return name.strip(), rest.strip()


class Seconds(click.ParamType):  # type: ignore[type-arg]
    """A time in seconds, from a millisecond to a year; 0, where that has a meaning."""

    name = "seconds"

    def __init__(self, *, zero: bool = True) -> None:
        self.zero = zero

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the seconds; neither ``nan`` nor ``inf`` is a time that a timer can wait for."""
        try:
            seconds = float(value)
        except ValueError:
            seconds = math.nan
        if not (_MILLISECOND <= seconds <= _YEAR or (self.zero and seconds == 0)):
            some = "0, or " if self.zero else ""
            self.fail(
                f"{value!r} is not {some}a number of seconds from {_MILLISECOND} to {_YEAR}", param, ctx
            )
        return seconds


_SECONDS = Seconds()
_FILE = click.Path(exists=True, dir_okay=False)

#: In the order of ``--help``.
CLIENT_OPTIONS = (
    click.option(
        "-H",
        "--header",
        "headers",
        type=Header(),
        multiple=True,
        metavar="'NAME: VALUE'",
        help="Send a header with the opening handshake; may be given again.",
    ),
    click.option(
        "-s",
        "--subprotocol",
        "subprotocols",
        multiple=True,
        help="Offer a subprotocol; the best comes first.",
    ),
    click.option("-o", "--origin", help="Say from which page this comes, as a browser does."),
    click.option("--compression", is_flag=True, help="Offer permessage-deflate."),
    click.option("--ca", type=_FILE, help="Believe the authorities in this file, not the system's."),
    click.option("--cert", type=_FILE, help="This end's certificate."),
    click.option("--key", type=_FILE, help="Its private key, if that is not in the same file."),
    click.option("--server-name", help="The name that the server's certificate is for."),
    click.option("--insecure", is_flag=True, help="Take any certificate: whoever answers is believed."),
    click.option(
        "--proxy", metavar="URL", help="Go through http://… or socks5://…; else as the environment says."
    ),
    click.option("--no-proxy", is_flag=True, help="Go through none, whatever the environment says."),
    click.option(
        "--redirects",
        type=click.IntRange(min=0),
        default=0,
        show_default=True,
        help="Follow so many redirects.",
    ),
    click.option(
        "--open-timeout",
        type=_SECONDS,
        default=10.0,
        show_default=True,
        help="Seconds until there is a connection; 0 for ever.",
    ),
    click.option(
        "--close-timeout",
        type=_SECONDS,
        default=10.0,
        show_default=True,
        help="Seconds that the server has for the closing handshake; 0 for ever.",
    ),
    click.option(
        "--ping-interval",
        type=_SECONDS,
        default=20.0,
        show_default=True,
        help="Seconds between two pings; 0 for none.",
    ),
    click.option(
        "--ping-timeout",
        type=_SECONDS,
        default=20.0,
        show_default=True,
        help="Seconds that a pong may take; 0 for ever.",
    ),
    click.option(
        "--max-size",
        type=Size(),
        default="16M",
        show_default=True,
        help="Longest message from the server, in bytes, k or M; a longer one ends it with 1009.",
    ),
)


def client_options(function: _Function) -> _Function:
    """Give a command the options of a client; they all come in ``**options``."""
    for option in reversed(CLIENT_OPTIONS):
        function = option(function)
    return function


def make_client_arguments(options: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return what a client takes beside its URL, see :class:`~ws4py_middleware.client.base.ClientBase`.

    Args:
        options: What :func:`client_options` was given; others in it are left alone.

    Raises:
        click.UsageError: They do not go together, or a file is none of certificates.
    """
    if options["key"] and not options["cert"]:
        raise click.UsageError("--key is the key of a certificate: --cert says of which")
    if options["insecure"] and options["ca"]:
        raise click.UsageError("--insecure believes everybody, --ca does not: give one of them")
    if options["no_proxy"] and options["proxy"]:
        raise click.UsageError("give --proxy or --no-proxy, not both")
    return {
        "protocols": list(options["subprotocols"]) or None,
        "headers": [*options["headers"], *([("Origin", options["origin"])] if options["origin"] else [])],
        "ssl_options": _make_ssl_options(options),
        "proxy": None if options["no_proxy"] else options["proxy"] or True,
        "max_redirects": options["redirects"],
        "compression": options["compression"],
        "max_message_size": options["max_size"],
        **{
            name: options[name] or None
            for name in ("open_timeout", "close_timeout", "ping_interval", "ping_timeout")
        },
    }


def _make_ssl_options(options: Mapping[str, Any]) -> dict[str, Any]:
    from ..client.tls import make_context

    names = {"ca": "ca_certs", "cert": "certfile", "key": "keyfile", "server_name": "server_hostname"}
    chosen: dict[str, Any] = {there: options[here] for here, there in names.items() if options[here]}
    if options["insecure"]:
        chosen["cert_reqs"] = ssl.CERT_NONE
    try:
        make_context(chosen)
    except OSError as error:  # what is no PEM, too
        raise click.UsageError(f"--ca, --cert or --key cannot be used: {error}") from None
    return chosen
