"""One echo, broadcast and plain HTTP application for each library that is measured."""

from __future__ import annotations
