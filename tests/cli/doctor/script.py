"""A program that is its own server, on a port that it is told or PORT, and has no word on SIGTERM."""

from __future__ import annotations

import os
import sys
from wsgiref.simple_server import make_server

from tests.cli.doctor.apps import healthy as app

if __name__ == "__main__":
    port = int(sys.argv[1] if len(sys.argv) > 1 else os.environ["PORT"])
    make_server("127.0.0.1", port, app).serve_forever()
