"""Packages that are missing, and what installs them."""

from __future__ import annotations

import re

__all__ = ["find_missing"]

#: The module → the extra of ours that brings it.
_EXTRAS = {
    name: name
    for name in (
        "cherrypy",
        "click",
        "django",
        "flask",
        "gevent",
        "gunicorn",
        "opentelemetry",
        "redis",
        "tornado",
    )
} | {
    "click": "cli",
    "prometheus_client": "prometheus",
    "rich": "cli",
    "socksio": "socks",
    "tomli": "toml",
    "uvicorn": "asgi",
}

#: What our own errors say, Python's, and gunicorn's of its workers.
_PATTERNS = (
    re.compile(r"needs (?P<module>\w+): pip install (?P<package>\S+)"),
    re.compile(r"No module named '(?P<module>\w+)"),
    re.compile(r"worker requires (?P<module>\w+)"),
)


def find_missing(text: str) -> tuple[str, str] | None:
    """
    Return the module that an error says is missing, and what pip is to install; else ``None``.

    >>> find_missing("ModuleNotFoundError: No module named 'redis'")
    ('redis', '"ws4py_middleware[redis]"')
    >>> find_missing("ModuleNotFoundError: No module named 'shop'")
    """
    for pattern in _PATTERNS:
        found = pattern.search(text)
        if found is None:
            continue
        module = found["module"]
        if "package" in pattern.groupindex:
            return module, found["package"]
        if module in _EXTRAS:
            return module, f'"ws4py_middleware[{_EXTRAS[module]}]"'
    return None
