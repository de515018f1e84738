from __future__ import annotations

from ws4py_middleware.endings import on_reload, on_starting, post_worker_init
