"""What CherryPy's configuration says of WebSockets: ``tools.websocket.*``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import cherrypy

from ..config import ConfigError, convert, import_object
from ..config.values import CALLABLES, SETTINGS, hint
from ..core.policy import Policy
from ..core.types import WS_VERSION
from ..functions import check_sync, handler_class
from ..websocket import WebSocket
from .wsgiutils import make_policy

__all__ = ["Settings", "check_config", "check_names", "read_settings"]

_OWN = ("handler_cls", "heartbeat_freq", "protocols", "extensions", "version")


class Settings(NamedTuple):
    """What the configuration says of a path."""

    handler: type[WebSocket]
    policy: Policy
    heartbeat_freq: float | None


def _fail(name: str, problem: str, file: str = "CherryPy's config") -> ConfigError:
    return ConfigError(file, f"tools.websocket.{name}", problem)


def check_names(settings: Iterable[str]) -> None:
    known = ("on", "priority", *_OWN, *SETTINGS)
    for name in settings:
        if name not in known:
            raise _fail(name, f"there is no such setting; {hint(name, known)}")


def read_settings(settings: Mapping[str, Any]) -> Settings:
    """
    Make of the configuration what a connection needs.

    Raises:
        ConfigError: Something in it is wrong; it says what.
    """
    check_names(settings)
    name = "handler_cls"
    try:
        cls = _read_handler(settings.get(name) or WebSocket)
        name = "version"
        version = settings.get(name, WS_VERSION)
        if 13 not in (version if isinstance(version, Iterable) else (version,)):
            raise ValueError(f"it is {version!r}; version 13 is the one that is spoken")
        name = "heartbeat_freq"
        frequency = settings.get(name)
        frequency = convert("ping_interval", frequency) if frequency else frequency
        name = "protocols"
        policy = make_policy(cls.policy, settings.get(name), None)
        name = "extensions"
        policy = make_policy(policy, None, settings.get(name))
        options = {}
        for name in settings:
            if name in SETTINGS:
                value = settings[name]
                if name in CALLABLES and isinstance(value, str) and ":" in value:
                    value = import_object(value)
                options[name] = convert(name, value)
    except (TypeError, ValueError) as error:
        raise _fail(name, str(error).removeprefix(f"{name} is ")) from error
    policy = policy.replace(**options)
    try:
        policy.check()
    except ValueError as error:
        raise _fail("max_connections_per_key", str(error)) from error
    return Settings(cls, policy, frequency)


def _read_handler(handler: Any) -> type[WebSocket]:
    cls = handler_class(import_object(handler) if isinstance(handler, str) else handler)
    check_sync(cls)
    return cls


def check_config() -> None:
    """Check the settings of all that is mounted."""
    sections = [("the global config", cherrypy.config)]
    for script_name, app in cherrypy.tree.apps.items():
        config = getattr(app, "config", None) or {}
        sections += [(f"the config of {script_name or '/'}, section {path}", config[path]) for path in config]
    prefix = "tools.websocket."
    for place, section in sections:
        if not isinstance(section, Mapping):
            continue
        settings = {key[len(prefix) :]: section[key] for key in section if key.startswith(prefix)}
        try:
            check_names(settings)
            read_settings({key: value for key, value in settings.items() if key not in ("on", "priority")})
        except ConfigError as error:
            raise ConfigError(place, error.key, error.problem) from error.__cause__
