"""Configuration files: TOML, and in which line of it something stands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from .errors import ConfigError

__all__ = ["find_file", "find_line", "read_file"]

#: Windows' editors put a mark in front of it.
_ENCODING = "utf-8-sig"

#: Where the configuration is in a pyproject.toml.
_TABLE = ("tool", "ws4py_middleware")


def find_file(path: Path) -> Path:
    """Return the file that is meant: in a folder, its ``ws4py_middleware.toml`` or ``pyproject.toml``."""
    if not path.is_dir():
        return path
    own = path / "ws4py_middleware.toml"
    return own if own.exists() else path / "pyproject.toml"


def read_file(path: Path) -> tuple[Mapping[str, Any], Path, tuple[str, ...]]:
    """
    Read a TOML file.

    Args:
        path: The file; or a folder with a ``ws4py_middleware.toml`` or a ``pyproject.toml``.

    Returns:
        The configuration, the file that it is from, and the key of its table there.

    Raises:
        ConfigError: There is no such file, it is no TOML, or has no table for us.
    """
    path = find_file(path)
    try:
        text = path.read_text(encoding=_ENCODING)
    except FileNotFoundError:
        raise ConfigError(str(path), "", f"there is no such file (we are in {Path.cwd()})") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(str(path), "", f"it cannot be read: {error}") from error
    toml = _parser(path)
    try:
        tree: Any = toml.loads(text)
    except toml.TOMLDecodeError as error:
        raise ConfigError(str(path), "", f"it is no TOML: {error}") from None
    if path.name != "pyproject.toml":
        return tree, path, ()
    for key in _TABLE:
        tree = tree.get(key) if isinstance(tree, Mapping) else None
    if not isinstance(tree, Mapping):
        raise ConfigError(str(path), "", f"it has no table [{'.'.join(_TABLE)}]")
    return tree, path, _TABLE


def find_line(path: Path, key: Sequence[str]) -> int | None:
    """
    Find the line of a file where the statement begins that sets a key, or else that sets what it would be in.

    ``tomllib`` keeps no lines. But what stands above a statement is a TOML file too, so the file is
    read line by line until the key is there; that is slow, and only done for somebody who has made an error.
    """
    toml = _parser(path)
    lines = path.read_text(encoding=_ENCODING).splitlines(keepends=True)
    found, depth, start = None, 0, 1
    for count in range(1, len(lines) + 1):
        try:
            tree: Any = toml.loads("".join(lines[:count]))
        except toml.TOMLDecodeError:
            continue  # in the middle of an array, or of a string
        reached = _depth(tree, key)
        if reached > depth:
            found, depth = start, reached
        start = count + 1
    return found


def _depth(tree: Any, key: Sequence[str]) -> int:
    """Count how many parts of a key are there."""
    for depth, part in enumerate(key):
        if not isinstance(tree, Mapping) or part not in tree:
            return depth
        tree = tree[part]
    return len(key)


def _parser(path: Path) -> Any:
    # Python 3.11 brings the first; before, the second is the same from elsewhere.
    for name in ("tomllib", "tomli"):
        try:
            return import_module(name)
        except ModuleNotFoundError:
            continue
    raise ConfigError(
        str(path), "", "Python 3.10 cannot read TOML by itself: pip install ws4py_middleware[toml]"
    )
