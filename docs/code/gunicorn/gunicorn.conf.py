from __future__ import annotations

# gunicorn's own hooks, by its own names: what ends a worker is told, and need not be found out.
from ws4py_middleware.endings import on_reload, on_starting, post_worker_init

bind = "127.0.0.1:8000"
worker_class = "gthread"
workers = 1  # with more, rooms need a Redis
threads = 8  # for HTTP; an open WebSocket has none
timeout = 30  # a worker that does nothing any more; not a WebSocket
graceful_timeout = 20  # more than drain_window and drain_grace together
max_requests = 50_000  # a worker that ends takes its WebSockets along: 1012, and clients come back
max_requests_jitter = 10_000
preload_app = True
