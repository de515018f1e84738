from __future__ import annotations

import logging

logging.basicConfig()
logging.getLogger("ws4py_middleware.access").setLevel(logging.INFO)
