"""The servers that are built on the standard library's: Werkzeug's, wsgiref's and Django's."""

from __future__ import annotations

import os

from tests.servers.kinds import Kind, Setup, exit_on_sigterm


def _run_werkzeug(setup: Setup) -> None:
    from werkzeug.serving import run_simple

    threaded = FAMILY[setup.kind].threaded
    run_simple("127.0.0.1", setup.port, setup.load(), threaded=threaded, ssl_context=setup.pem)


def _run_wsgiref(setup: Setup) -> None:
    from wsgiref.simple_server import make_server

    httpd = make_server("127.0.0.1", setup.port, setup.load())
    if context := setup.tls_context():
        httpd.socket = context.wrap_socket(httpd.socket, server_side=True)
    exit_on_sigterm()
    httpd.serve_forever()


def _run_django(setup: Setup) -> None:
    from django.conf import settings
    from django.core.management import execute_from_command_line

    if "DJANGO_SETTINGS_MODULE" not in os.environ:
        settings.configure(
            DEBUG=True,
            SECRET_KEY="-",
            ALLOWED_HOSTS=["*"],
            USE_TZ=True,
            WSGI_APPLICATION=setup.app.replace(":", "."),
        )
    address = f"127.0.0.1:{setup.port}"
    execute_from_command_line(["manage.py", "runserver", "--noreload", "--skip-checks", address])


FAMILY = {
    "werkzeug": Kind(run=_run_werkzeug, threaded=True, ends_by_sigint=True),
    "werkzeug-single": Kind(run=_run_werkzeug, ends_by_sigint=True),
    "wsgiref": Kind(run=_run_wsgiref),
    "django-runserver": Kind(run=_run_django, tls=False, threaded=True, ends_by_sigint=True),
}
