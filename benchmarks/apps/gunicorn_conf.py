"""Settings of gunicorn that lift its limits out of the measurement; all else stays as it comes."""

from __future__ import annotations

backlog = 4096
worker_connections = 20_000
control_socket_disable = True  # gunicorn >= 25 would put a socket into the user's home
