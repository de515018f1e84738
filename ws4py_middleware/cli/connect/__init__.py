"""
``connect URL``: a client for the terminal, and for pipes.

===============  =====================================================================
``client``       what is connected
``interactive``  a prompt, and what the server says above it
``piped``        a message a line
``pipes``        the ends of a pipe, for a loop
``showing``      how messages look
===============  =====================================================================
"""

from __future__ import annotations

import sys
from typing import Any

import click

from ..options import Seconds, client_options, make_client_arguments

__all__ = ["connect"]

_EPILOG = """\b
Exit status:
    0  closed normally: 1000, 1001, or without a code
    1  closed otherwise, or lost, or before all was sent or --count came
    2  wrong usage, or input that cannot be sent
    3  the server refused the handshake; its answer is shown
    4  no connection: the name, the network, TLS, no server of WebSockets
    5  timed out, connecting or waiting for --count
  130  Ctrl-C       141  nobody reads the output       143  SIGTERM
"""


@click.command(epilog=_EPILOG)
@click.argument("url")
@client_options
@click.option("--binary", "lines", flag_value="binary", help="Send the bytes of each line as binary message.")
@click.option("--hex", "lines", flag_value="hex", help="Send lines of hexadecimal digits as binary messages.")
@click.option("--json", "form", flag_value="json", help="Write each event as a line of JSON; exact.")
@click.option("--raw", "form", flag_value="raw", help="Write messages as they are, nothing escaped.")
@click.option("--count", type=click.IntRange(min=1), help="Close when so many messages have come.")
@click.option("--wait", type=Seconds(zero=False), help="Close after so many seconds.")
@click.option(
    "--linger",
    type=Seconds(),
    help="At the end of the input, wait for answers until none has come for so many seconds. By default 1, "
    "or without end where --count or --wait says when to close.",
)
@click.option("--no-history", is_flag=True, help="Neither read nor keep what is typed.")
@click.option("-v", "--verbose", is_flag=True, help="Tell on the standard error what was opened and closed.")
@click.pass_context
def connect(ctx: click.Context, /, url: str, **options: Any) -> None:
    """
    Talk to a WebSocket server.

    On a terminal, each line that is typed is a message, and /help lists commands. In a pipe, or with one of
    the options from --binary to --linger, each line of the standard input is sent as a message, and each
    message is written as a line: text with its control characters escaped as in JSON, so that JSON remains
    JSON; binary in hexadecimal digits.
    """
    import asyncio

    from ..failures import report
    from .client import Client

    arguments = make_client_arguments(options)
    try:
        client = Client(url, **arguments)
    except ValueError as error:
        ctx.exit(report(error))
    for_programs = any(options[name] is not None for name in ("form", "lines", "count", "wait", "linger"))
    if sys.stdin.isatty() and sys.stdout.isatty() and not for_programs:
        from .interactive import converse

        ctx.exit(asyncio.run(converse(client, has_history=not options["no_history"])))
    from .piped import Settings, talk

    has_end = options["count"] is not None or options["wait"] is not None
    linger = options["linger"]
    settings = Settings(
        lines=options["lines"] or "text",
        form=options["form"] or "line",
        count=options["count"],
        wait=options["wait"],
        linger=(None if has_end else 1.0) if linger is None else linger,
        verbose=options["verbose"],
    )
    ctx.exit(asyncio.run(talk(client, settings)))
