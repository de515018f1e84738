"""The error of a configuration: where, what, and what would be right."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

__all__ = ["ConfigError", "join_key"]


class ConfigError(ValueError):
    """
    Something in a configuration is wrong; raised when the application starts.

    Attributes:
        file: The file, or what stands for it, such as ``settings.WEBSOCKETS``.
        key: The key as TOML writes it, such as ``routes."/chat/<room>".ping_interval``; empty where it is
            about all of the file.
        line: The line of the file, where it is known.
        problem: What is wrong, and what would be right.
    """

    def __init__(self, file: str, key: str, problem: str, line: int | None = None) -> None:
        place = file if line is None else f"{file}:{line}"
        super().__init__(": ".join(part for part in (place, key, problem) if part))
        self.file = file
        self.key = key
        self.line = line
        self.problem = problem

    def __reduce__(self) -> tuple[Any, ...]:
        # What is in args is the whole text; pickle and copy would call the class with that.
        return type(self), (self.file, self.key, self.problem, self.line)


def join_key(path: Sequence[str]) -> str:
    """
    Write a key as TOML does.

    >>> join_key(["routes", "/chat/<room>", "handler"])
    'routes."/chat/<room>".handler'
    """
    return ".".join(part if re.fullmatch(r"[A-Za-z0-9_-]+", part) else f'"{part}"' for part in path)
