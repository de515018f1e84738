"""
Werkzeug's reload, with an end that is told to the process that serves.

Two processes make a reload: one that serves, and looks at its files, and one that starts it again. Werkzeug's
own second process kills the first at SIGTERM, and a quarter of a second after Ctrl-C, so that peers hear
nothing. The one here hands the signal on, and waits.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from werkzeug.serving import is_running_from_reloader, make_server, run_simple

__all__ = ["run"]

_SIGNALS = (signal.SIGTERM, signal.SIGINT)

#: What the process that serves exits with to be started again; by Werkzeug.
_AGAIN = 3

logger = logging.getLogger("werkzeug")


def run(app: Any, host: str, port: int, *, files: Sequence[str], tls: tuple[str, str] | None) -> int:
    """
    Serve an application, and start again when a file of it changes, until a signal comes.

    Args:
        app: A WSGI application.
        files: To look at, beside the modules.
        tls: Certificate and key.

    Returns:
        The exit status.
    """
    if not is_running_from_reloader():
        server = make_server(host, port, app, threaded=True, ssl_context=tls)
        server.socket.set_inheritable(True)
        server.log_startup()
        logger.info("Press CTRL+C to quit")
        # As run_simple() has it: those are the names by which the other one knows what it is, and listens on.
        environ = {**os.environ, "WERKZEUG_RUN_MAIN": "true", "WERKZEUG_SERVER_FD": str(server.fileno())}
        return _Supervisor([sys.executable, *sys.orig_argv[1:]], environ).run()
    try:
        run_simple(host, port, app, threaded=True, use_reloader=True, extra_files=files, ssl_context=tls)
    finally:
        # Peers are told at the interpreter's exit, and nothing is to come between: a terminal and a service
        # manager tell each process, and the other one hands on what it was told. It kills who takes too long.
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_IGN)
    return 0


class _Supervisor:
    """
    Starts a process again whenever it asks for that, and ends it in order.

    Args:
        words: Its command.
        environ: Its environment.
    """

    def __init__(self, words: Sequence[str], environ: Mapping[str, str]) -> None:
        self._words = words
        self._environ = environ
        self._child: subprocess.Popen[bytes] | None = None
        #: The signal that ends it all.
        self._told: int | None = None

    def run(self) -> int:
        """Go on until the process ends for good; return the exit status."""
        for number in _SIGNALS:
            signal.signal(number, self._end)
        while True:
            # Descriptors are inherited: the socket is one of them.
            self._child = subprocess.Popen(self._words, env=self._environ, close_fds=False)
            if self._told is not None:
                self._hand_on(self._told)  # it came while there was nobody to hand it on to
            status = self._child.wait()
            if self._told is not None:
                return 0
            if status != _AGAIN:
                return status if status >= 0 else 128 - status
            logger.info(" * Restarting")

    def _end(self, number: int, frame: object) -> None:
        if self._told is None:
            self._told = number
            self._hand_on(number)
        elif number == self._told == signal.SIGINT and self._child is not None:
            # Who presses Ctrl-C again does not want to wait. A second SIGTERM is often the first one's echo.
            self._child.kill()

    def _hand_on(self, number: int) -> None:
        if self._child is not None:
            self._child.send_signal(number)  # nothing happens if it has ended
