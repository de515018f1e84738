"""What runs in the subprocess: servers without a command line that does what we need."""

from __future__ import annotations

import signal
import sys

from tests.servers.kinds import TABLE, Setup


def main(kind: str, app: str, port: str, threads: str, cert: str, key: str, *options: str) -> None:
    # A parent that was itself started in the background hands SIGINT on as ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    pem = (cert, key) if cert else None
    run = TABLE[kind].run
    assert run is not None
    run(Setup(kind, app, int(port), int(threads), pem, options))


if __name__ == "__main__":
    main(*sys.argv[1:])
