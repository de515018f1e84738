"""
Admin: ask the processes of an application for their connections, and close some, from a shell.

Once, where the application is made::

    from ws4py_middleware.admin import expose

    expose("/run/app/ws-{pid}.sock")

and then, as the same user or as root::

    python -m ws4py_middleware.admin --socket /run/app list
    python -m ws4py_middleware.admin --socket /run/app close --route "/chat/<room>" --code 1012

Each process has a Unix socket of its own, with the mode 0600; all those in a directory are one application.
``docs/howto/admin.md`` has the commands, :mod:`.protocol` what is said on the socket.
"""

from __future__ import annotations

import atexit
import os

from ..endings import find_worker_user, is_arbiter
from ..figures import on_enter
from ..handover.uwsgi import is_master
from ..process import call_at_end
from .server import Endpoint

__all__ = ["ENVIRONMENT", "expose"]

#: The variable in the environment that says where the socket is, where nothing else does.
ENVIRONMENT = "WS4PY_MIDDLEWARE_ADMIN"

_endpoint: Endpoint | None = None


def expose(path: str | os.PathLike[str] | None = None) -> None:
    """
    Listen on a Unix socket for the commands of ``python -m ws4py_middleware.admin``; again does nothing.

    A process that serves does so at once, a forked one when it is forked; gunicorn's and uWSGI's masters
    do not. Where the socket cannot be made that is logged, and the application goes on without.

    Args:
        path: Where the socket is, such as ``"/run/app/ws-{pid}.sock"``. Several workers need ``{pid}``,
            which is replaced by the number of the process. By default what the variable
            ``WS4PY_MIDDLEWARE_ADMIN`` in the environment says; without that, nothing is done.

    Raises:
        ValueError: The path is too long for a socket, or is none; or there is another one already.
    """
    global _endpoint
    chosen = os.environ.get(ENVIRONMENT) if path is None else os.fspath(path)
    if not chosen:
        return
    if _endpoint is not None:
        if Endpoint(chosen).template != _endpoint.template:
            raise ValueError(f"the admin socket is {_endpoint.template!r} already; there is one of them")
        return
    _endpoint = Endpoint(chosen)
    on_enter(_endpoint.ensure)
    call_at_end(_endpoint.stop)
    # Before there is a manager, so that it can be asked for connections that are about to be closed.
    atexit.register(_endpoint.stop)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_after_fork)
    if not (is_arbiter() or is_master()):
        _endpoint.ensure()


def _after_fork() -> None:
    """Listen in a worker; but not in whatever a worker forks, unless it serves WebSockets, too."""
    if _endpoint is not None and not _endpoint.forget() and is_arbiter():
        _endpoint.ensure(user=find_worker_user())
