"""
Start a real web server in a subprocess, on a free port, for a test.

::

    from tests.servers import start

    def test_something() -> None:
        with start("gunicorn-sync", "tests.apps.echo:app") as server:
            client = server.connect()                  # a raw, connected socket (inside TLS with tls=True)
            assert server.http("/").status == 200      # a fresh connection, "Connection: close"
            before = server.fds()                      # descriptors of the process that serves
            assert "Traceback" not in server.log       # all the server printed: errors and access log

``app`` is ``"module:attribute"``, importable from the root of the checkout. The server is ready when the
block begins (it has answered one ``GET /``) and gone when the block ends.

=========================  ==========================================================================
kind                       what runs
=========================  ==========================================================================
``gunicorn-sync``          ``gunicorn -k sync --workers 1``
``gunicorn-gthread``       ``gunicorn -k gthread --workers 1 --threads 2``
``gunicorn-gevent``        ``gunicorn -k gevent --workers 1``
``gunicorn-gevent_pywsgi`` ``gunicorn -k gevent_pywsgi --workers 1``
``werkzeug``               ``run_simple(threaded=True)``; Flask's ``flask run`` is the same server
``werkzeug-single``        ``run_simple(threaded=False)``
``wsgiref``                ``wsgiref.simple_server.make_server``: one request at a time
``django-runserver``       ``runserver --noreload``; bare settings unless ``DJANGO_SETTINGS_MODULE`` is set
``gevent-pywsgi``          ``gevent.pywsgi.WSGIServer`` after ``monkey.patch_all()``
``gevent-pywsgi-unpatched``  the same without patching
``cheroot``                ``cheroot.wsgi.Server`` with two threads; TLS by the ``builtin`` adapter
``cheroot-pyopenssl``      the same; TLS by the ``pyopenssl`` adapter (only with ``tls=True``)
``script``                 an example that is its own server: ``python examples/.../app.py --port PORT``
=========================  ==========================================================================

``KINDS`` holds the WSGI servers that speak plain HTTP, ``TLS_KINDS`` those that speak TLS, and ``TABLE`` what
there is to know of any kind. Each family of servers has a module here; ``kinds`` says how one is added.
"""

from __future__ import annotations

from tests.servers.kinds import ASGI_KINDS, KINDS, TABLE, TLS_KINDS, Kind, Setup, exit_on_sigterm
from tests.servers.live import ROOT, Response, Server, child_pids, free_port, paused, start, wait_for
from tests.servers.tls import certificates, client_context, server_context

__all__ = [
    "ASGI_KINDS",
    "KINDS",
    "ROOT",
    "TABLE",
    "TLS_KINDS",
    "Kind",
    "Response",
    "Server",
    "Setup",
    "certificates",
    "child_pids",
    "client_context",
    "exit_on_sigterm",
    "free_port",
    "paused",
    "server_context",
    "start",
    "wait_for",
]
