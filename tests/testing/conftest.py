"""The fixtures of the plugin, whether pytest has found it by itself here or not."""

from __future__ import annotations

from ws4py_middleware.testing.plugin import (
    _live_servers,
    fake_clock,
    live_server,
    pytest_runtest_makereport,
    websocket_client,
)

__all__ = ["_live_servers", "fake_clock", "live_server", "pytest_runtest_makereport", "websocket_client"]
