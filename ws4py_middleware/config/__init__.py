"""WebSocket routes from a configuration: a dict, a TOML file, Flask's or Django's settings."""

from __future__ import annotations

from .values import convert

__all__ = ["convert"]
