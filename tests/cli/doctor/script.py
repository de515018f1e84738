"""A program that is its own server, and has no word on SIGTERM."""

from __future__ import annotations

import os
from wsgiref.simple_server import make_server

from tests.cli.doctor.apps import healthy

if __name__ == "__main__":
    make_server("127.0.0.1", int(os.environ["PORT"]), healthy).serve_forever()
