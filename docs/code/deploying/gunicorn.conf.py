from __future__ import annotations

from ws4py_middleware.endings import on_reload, on_starting, post_worker_init

bind = "127.0.0.1:8000"
pidfile = "/run/app/gunicorn.pid"
worker_class = "gthread"
threads = 8
graceful_timeout = 20  # drain_window and drain_grace, and some seconds more
