"""
The commands: what is to be known of the connections of this process, and how they are closed.

They run in the threads of the socket, beside the managers, and wait for no peer. A payload is never among
what they tell.
"""

from __future__ import annotations

import difflib
import ipaddress
import logging
import os
from collections.abc import Callable, Iterator
from typing import Any

from ..core.frames import check_close_code
from ..figures import ConnectionStats, get_managers, inspect, process_stats
from ..hub import Hub, get_hub
from ..routing import ROUTE
from .protocol import MAX_PAGE, AdminError

__all__ = ["COMMANDS", "execute"]

logger = logging.getLogger("ws4py_middleware")

#: Most characters of what a peer has chosen, and most rooms of one connection, in a list.
_MAX_TEXT = 200
_MAX_ROOMS = 10
#: The same for one connection that is looked at closely.
_MAX_SHOWN_TEXT = 8192
_MAX_SHOWN_ROOMS = 1000

_FILTERS = ("route", "address", "room")


def execute(request: dict[str, Any]) -> dict[str, Any]:
    """
    Do what a request asks for, and return the answer.

    Raises:
        AdminError: It asks for something that there is not.
    """
    name = request.get("command")
    if not isinstance(name, str) or name not in COMMANDS:
        near = difflib.get_close_matches(str(name)[:20], COMMANDS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(COMMANDS)}"
        raise AdminError(f"there is no command {str(name)[:20]!r}; {hint}")
    command, known = COMMANDS[name]
    for key in request:
        if key != "command" and key not in known:
            raise AdminError(f"{name} knows no {key[:20]!r}; it knows {', '.join(known) or 'nothing at all'}")
    options = {key: value for key, value in request.items() if key != "command"}
    return {"ok": True, "pid": os.getpid(), **command(**options)}


def _list(
    *, limit: Any = 100, after: Any = None, route: Any = None, address: Any = None, room: Any = None
) -> dict[str, Any]:
    if isinstance(limit, bool) or not isinstance(limit, int) or not 0 <= limit <= MAX_PAGE:
        raise AdminError(f"limit is {str(limit)[:20]}; it is a number from 0 to {MAX_PAGE}")
    found = _select(route=route, address=address, room=room)
    first = 0
    if after is not None:
        # Its place is known also when it has ended meanwhile.
        place = _parse_id(after)
        first = next((index for index, link in enumerate(found) if _place(link) > place), len(found))
    page = found[first : first + limit]
    rows = [_summarize(link) for link in page]
    is_last = first + limit >= len(found)
    return {
        "connections": rows,
        "total": len(found),
        "next": None if is_last or not page else make_id(page[-1]),
    }


def _show(*, id: Any = None) -> dict[str, Any]:
    link = _find(id)
    return {"connection": None if link is None else _describe(link)}


def _close(
    *,
    id: Any = None,
    all: Any = False,
    route: Any = None,
    address: Any = None,
    room: Any = None,
    code: Any = 1000,
    reason: Any = "",
) -> dict[str, Any]:
    if isinstance(code, bool) or not isinstance(code, int):
        raise AdminError(f"code is {str(code)[:20]}; it is a number such as 1000")
    try:
        check_close_code(code)
    except ValueError as error:
        raise AdminError(str(error)) from None
    if not isinstance(reason, str) or len(reason.encode("utf-8", "surrogatepass")) > 123:
        raise AdminError("reason is a text of at most 123 bytes in UTF-8")
    try:
        reason.encode()
    except UnicodeEncodeError:
        raise AdminError("reason has no notation in UTF-8") from None
    filtered = any(value is not None for value in (route, address, room))
    if (id is not None) + filtered + (all is True) != 1:
        raise AdminError("which ones? It is one of an id, all, and route, address or room")
    if id is not None:
        link = _find(id)
        found = [] if link is None else [link]
    else:
        found = _select(route=route, address=address, room=room)
    closing = sum(_begin_close(link, code, reason) for link in found)
    return {"closing": closing, "ids": [make_id(link) for link in found[:MAX_PAGE]]}


def _begin_close(link: Any, code: int, reason: str) -> bool:
    try:
        link.close(code, reason)
    except Exception:
        logger.exception("%r could not be closed", link.handler)
        return False
    return True


def _stats() -> dict[str, Any]:
    return {"stats": process_stats().as_dict(), "hubs": [_describe_hub(hub) for hub in _get_hubs()]}


#: By name: the function, and what it takes.
COMMANDS: dict[str, tuple[Callable[..., dict[str, Any]], tuple[str, ...]]] = {
    "list": (_list, ("limit", "after", *_FILTERS)),
    "show": (_show, ("id",)),
    "close": (_close, ("id", "all", *_FILTERS, "code", "reason")),
    "stats": (_stats, ()),
}


# --- which ones ------------------------------------------------------------------------------------------


def _get_links() -> list[Any]:
    """Return all connections of the process, the oldest first."""
    found = []
    for manager in get_managers():
        with manager.lock:
            found += manager._links.values()
    return sorted((link for link in found if not link.released), key=_place)


def make_id(link: Any) -> str:
    """Return what a connection is called: by nothing that has to be kept, and for as long as it lives."""
    opened, number = _place(link)
    return f"{os.getpid()}-{opened:x}-{number if number >= 0 else f'n{-number}'}"


def _place(link: Any) -> tuple[int, int]:
    # A descriptor is given to another connection, but not within a millisecond.
    return int(link.conn.opened_at * 1000), link.fd


def _parse_id(name: Any) -> tuple[int, int]:
    try:
        _, opened, number = str(name)[:80].split("-", 2)
        return int(opened, 16), int(number.replace("n", "-", 1))
    except ValueError:
        raise AdminError(f"{str(name)[:80]!r} is no id; those that there are, list tells") from None


def _find(name: Any) -> Any:
    """Return a connection; ``None`` if there is none, or it is another process'."""
    place = _parse_id(name)
    if str(name).partition("-")[0] != str(os.getpid()):
        return None
    return next((link for link in _get_links() if _place(link) == place), None)


def _select(*, route: Any, address: Any, room: Any) -> list[Any]:
    for name, value in (("route", route), ("address", address), ("room", room)):
        if value is not None and not isinstance(value, str):
            raise AdminError(f"{name} is {str(value)[:20]}; it is a text")
    network = None if address is None else _parse_network(address)
    return [link for link in _get_links() if _fits(link, route, address, network, room)]


def _fits(link: Any, route: str | None, address: str | None, network: Any, room: str | None) -> bool:
    websocket = link.handler
    if route is not None:
        known = _get_route(websocket)
        if route != known and (known or route != _inspect(link).path):
            return False
    if address is not None and not _is_from(_inspect(link).client, address, network):
        return False
    return room is None or room in _get_rooms(websocket)


def _parse_network(address: str) -> Any:
    try:
        return ipaddress.ip_network(address, strict=False)
    except ValueError:
        return None


def _is_from(client: str, address: str, network: Any) -> bool:
    if client == address:
        return True
    try:
        return network is not None and ipaddress.ip_address(client) in network
    except ValueError:
        return False


# --- what is told of them --------------------------------------------------------------------------------


def _inspect(link: Any) -> ConnectionStats:
    # Not by the handler's own stats(): an application may mean something else by it.
    return inspect(link.handler, link)


def _get_route(websocket: Any) -> str:
    return str((getattr(websocket, "environ", None) or {}).get(ROUTE, ""))


def _get_rooms(websocket: Any) -> list[str]:
    hub = getattr(websocket, "_hub", None)
    return [] if hub is None else hub.rooms_of(websocket)


def _cut(text: str, limit: int = _MAX_TEXT) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _summarize(link: Any) -> dict[str, Any]:
    websocket = link.handler
    stats = _inspect(link)
    rooms = _get_rooms(websocket)
    return {
        "id": make_id(link),
        "route": _get_route(websocket),
        "path": _cut(stats.path),
        "client": _cut(stats.client),
        "handler": stats.handler,
        "side": stats.side,
        "state": stats.state,
        "age": round(stats.age, 3),
        "queued": stats.queued,
        "messages_received": stats.messages_received,
        "messages_sent": stats.messages_sent,
        "rooms": [_cut(room) for room in rooms[:_MAX_ROOMS]],
        "rooms_total": len(rooms),
    }


def _describe(link: Any) -> dict[str, Any]:
    websocket = link.handler
    cls = type(websocket)
    rooms = _get_rooms(websocket)
    error = link._error
    stats = _inspect(link).as_dict()
    stats["path"] = _cut(stats["path"], _MAX_SHOWN_TEXT)
    return {
        "id": make_id(link),
        **stats,
        "handler": f"{cls.__module__}.{cls.__qualname__}",
        "route": _get_route(websocket),
        "subprotocol": getattr(websocket, "subprotocol", None),
        "extensions": [
            str(getattr(each, "name", each)) for each in getattr(websocket, "extensions", None) or ()
        ],
        "rooms": rooms[:_MAX_SHOWN_ROOMS],
        "rooms_total": len(rooms),
        "paused": bool(link.paused),
        "error": None if error is None else _cut(f"{type(error).__name__}: {error}"),
    }


def _get_hubs() -> Iterator[Hub]:
    """Return the hub of the process, and those that its connections have beside it."""
    found = {id(get_hub()): get_hub()}
    for link in _get_links():
        hub = getattr(link.handler, "_hub", None)
        if hub is not None:
            found.setdefault(id(hub), hub)
    return iter(found.values())


def _describe_hub(hub: Hub) -> dict[str, Any]:
    backplane: Any = hub._backplane
    described: dict[str, Any] = {"rooms": len(hub.rooms()), "backplane": None}
    if backplane is None:
        return described
    described["backplane"] = repr(backplane)
    if hasattr(backplane, "is_connected"):
        described["connected"] = bool(backplane.is_connected)
    try:
        described["stats"] = backplane.stats() if hasattr(backplane, "stats") else None
    except RuntimeError:
        described["stats"] = None  # nobody has joined or published yet
    return described
