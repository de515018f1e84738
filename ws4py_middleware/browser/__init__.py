"""
What browsers load: ``replay.js``, a WebSocket that comes back by itself and misses nothing of its rooms.

It is one file without dependencies, to be served by whatever serves the application's own files::

    from ws4py_middleware import browser

    # Flask
    @app.get("/static/replay.js")
    def replay_js():
        return send_file(browser.path("replay.js"))

    # Django, in the settings: {% static "ws4py/replay.js" %}, and collectstatic finds it, too
    STATICFILES_DIRS = [("ws4py", browser.directory())]

    # CherryPy, in the configuration
    {"/replay.js": {"tools.staticfile.on": True, "tools.staticfile.filename": browser.path("replay.js")}}

    # Starlette, FastAPI
    app.mount("/ws4py", StaticFiles(directory=browser.directory()))
"""

from __future__ import annotations

from pathlib import Path

__all__ = ["directory", "path", "text"]

_DIRECTORY = Path(__file__).resolve().parent / "static"


def directory() -> str:
    """Return the directory that has all files for browsers, and nothing else."""
    return str(_DIRECTORY)


def path(name: str = "replay.js") -> str:
    """
    Return where a file is.

    Raises:
        ValueError: There is none of this name; the message has those that there are.
    """
    names = sorted(file.name for file in _DIRECTORY.iterdir())
    if name not in names:
        raise ValueError(f"there is no {name!r} for browsers; there is {', '.join(names)}")
    return str(_DIRECTORY / name)


def text(name: str = "replay.js") -> str:
    """
    Return what is in a file.

    Raises:
        ValueError: As for :func:`path`.
    """
    return Path(path(name)).read_text(encoding="utf-8")
