"""
What an application object says of itself; run in a process of its own, as an application may do anything.

``python -m ws4py_middleware.cli.doctor.inside SPEC FILE`` imports the application, and writes the facts to a
file: its standard output is the application's. A ``SPEC`` is one of

===========================  ==================================================================
``object:module:name``       as gunicorn and others have it; so are ``name()`` and ``name("test")``
``file:path:name``           a file, as ``uwsgi --wsgi-file``
``script:path``              a program, which keeps what it starts behind ``if __name__ == "__main__"``
``flask:module``             as ``flask --app``
``django:settings.module``   the ``WSGI_APPLICATION`` of the settings
===========================  ==================================================================
"""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import os
import sys
import traceback
from pathlib import Path
from typing import Any

from ... import _build
from ...core.policy import Policy
from ...functions import AsyncFunctionHandler, FunctionHandler
from ..factories import load_app
from ..mounted import MountedRoute, find_routes, is_asgi

__all__ = ["Facts", "RouteFacts", "look"]


@dataclasses.dataclass(frozen=True)
class RouteFacts:
    """What is to be known of a route."""

    path: str
    sample: str | None
    handler: str
    is_function: bool
    behind: list[str]
    max_message_size: int | None
    ping_interval: float | None
    max_connections: int | None
    #: Most connections that the doctor may open at once.
    connections: int | None
    #: ``"same"``, ``"*"`` or ``"list"``.
    origins: str
    compression: bool
    subprotocols: list[str]
    #: What a drain may take; seconds.
    drain: float
    #: The settings that are not the defaults, as Python writes them.
    settings: dict[str, str]


@dataclasses.dataclass(frozen=True)
class Facts:
    """What an application says of itself."""

    #: Why it could not be imported; empty when it was.
    problem: str = ""
    asgi: bool = False
    compiled: bool = True
    #: Pure Python was asked for.
    pure: bool = False
    #: A manager of WebSockets runs that nobody has connected to yet.
    manager: bool = False
    #: gevent has patched the standard library.
    patched: bool = False
    #: The hub has a backplane.
    backplane: bool = False
    routes: list[RouteFacts] = dataclasses.field(default_factory=list)

    @classmethod
    def read(cls, text: str) -> Facts:
        """Read what :func:`look` has found, from JSON."""
        values = json.loads(text)
        return cls(**{**values, "routes": [RouteFacts(**route) for route in values["routes"]]})


def look(spec: str) -> Facts:
    """Import an application and look at it; what it raises is a fact, too."""
    try:
        app = _load(spec)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - it is somebody else's module
        cause = error.__cause__ or error
        last = traceback.format_exception_only(cause)[-1].strip()
        return Facts(problem=last, compiled=_build.COMPILED, pure=_build.PURE)
    return Facts(
        asgi=is_asgi(app),
        compiled=_build.COMPILED,
        pure=_build.PURE,
        manager=_has_manager(),
        patched=_is_patched(),
        backplane=_has_backplane(),
        routes=[_describe(route) for route in find_routes(app)],
    )


def _load(spec: str) -> Any:
    kind, _, name = spec.partition(":")
    match kind:
        case "flask":
            from flask.cli import ScriptInfo

            return ScriptInfo(app_import_path=name or None).load_app()
        case "django":
            os.environ["DJANGO_SETTINGS_MODULE"] = name
            from django.core.servers.basehttp import get_internal_wsgi_application

            return get_internal_wsgi_application()
        case "file":
            path, _, attribute = name.rpartition(":")
            return getattr(_import_file(path), attribute)
        case "script":
            return _find_app(_import_file(name))
    return load_app(name)


def _find_app(module: Any) -> Any:
    """Find the application of a program by the names that people give it."""
    cherrypy: Any = sys.modules.get("cherrypy")
    if cherrypy is not None and cherrypy.tree.apps:
        return cherrypy.tree
    names = ("app", "application")
    return next((found for name in names if (found := getattr(module, name, None)) is not None), None)


def _import_file(path: str) -> Any:
    sys.path.insert(0, os.path.dirname(os.path.abspath(path)))
    spec = importlib.util.spec_from_file_location(Path(path).stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def _has_manager() -> bool:
    from ...manager import WebSocketManager
    from ...registry import _registries

    return any(isinstance(each, WebSocketManager) and each.is_alive() for each in list(_registries))


def _is_patched() -> bool:
    monkey: Any = sys.modules.get("gevent.monkey")
    return monkey is not None and bool(monkey.is_module_patched("socket"))


def _has_backplane() -> bool:
    from ...hub.default import get_hub

    return get_hub()._backplane is not None


def _describe(route: MountedRoute) -> RouteFacts:
    policy = route.policy
    most = [size for size in (policy.max_connections, policy.max_connections_per_address) if size is not None]
    if policy.handshake_rate is not None:
        most.append(1)
    subprotocols = [] if callable(policy.subprotocols) else list(policy.subprotocols)
    return RouteFacts(
        path=route.path,
        sample=route.sample,
        handler=route.handler_name,
        is_function=issubclass(route.handler, FunctionHandler | AsyncFunctionHandler),
        behind=[name for name in route.behind if name not in ("Flask", "Tree")],
        max_message_size=policy.max_message_size,
        ping_interval=policy.ping_interval,
        max_connections=policy.max_connections,
        connections=min(most, default=None),
        origins=_name_origins(policy),
        compression=bool(policy.compression),
        subprotocols=subprotocols,
        drain=(policy.drain_window or 0) + policy.drain_grace,
        settings=_find_settings(policy),
    )


def _find_settings(policy: Policy) -> dict[str, str]:
    default = Policy()
    names = [field.name for field in dataclasses.fields(policy)]
    differing = [name for name in names if getattr(policy, name) != getattr(default, name)]
    return {name: _write(getattr(policy, name)) for name in differing}


def _write(value: Any) -> str:
    return getattr(value, "__qualname__", None) or repr(value)


def _name_origins(policy: Policy) -> str:
    return policy.origins if isinstance(policy.origins, str) else "list"


def main(spec: str, path: str) -> None:
    """Write down what :func:`look` finds."""
    if "" not in sys.path:
        sys.path.insert(0, "")
    facts = look(spec)
    Path(path).write_text(json.dumps(dataclasses.asdict(facts)), encoding="utf-8")
    # Its threads, if it has started some, are not waited for.
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
