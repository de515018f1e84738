"""The version, in one place: setuptools, the front door and the docs read it from here."""

from __future__ import annotations

__version__ = "0.1.0"
