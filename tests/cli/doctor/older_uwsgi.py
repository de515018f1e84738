"""An application inside a uWSGI without threads, as all were until they got them by default."""

from __future__ import annotations

import sys
from typing import Any

from tests.cli.doctor.apps import healthy as app

__all__ = ["app"]

if "uwsgi" in sys.modules:
    uwsgi: Any = sys.modules["uwsgi"]
    uwsgi.has_threads = 0
