"""The table of server programs: each is put on loopback, and its command line is understood."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from ws4py_middleware.cli.doctor import programs
from ws4py_middleware.cli.doctor.programs import PROGRAMS, Command, read_command

PORT = 8123


def read(line: str) -> Command:
    return read_command(shlex.split(line), PORT)


@pytest.fixture(autouse=True)
def _any_gunicorn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "_has_control_socket", lambda: False)
    monkeypatch.delenv("WEB_CONCURRENCY", raising=False)
    monkeypatch.delenv("DJANGO_SETTINGS_MODULE", raising=False)


@pytest.mark.parametrize(
    ("line", "run"),
    [
        ("gunicorn -b :80 --bind=[::]:80 -b0.0.0.0 -D a:b", "gunicorn --bind 127.0.0.1:8123 a:b"),
        ("gunicorn --daemon -p pid -k gevent a", "gunicorn --bind 127.0.0.1:8123 -k gevent a"),
        (
            "/venv/bin/uvicorn --host 0.0.0.0 --port=80 --reload a:b",
            "/venv/bin/uvicorn --host 127.0.0.1 --port 8123 a:b",
        ),
        ("uvicorn --uds /run/sock a:b", "uvicorn --host 127.0.0.1 --port 8123 a:b"),
        (
            "python3 -m hypercorn -b :80 --quic-bind :443 a:b",
            "python3 -m hypercorn --bind 127.0.0.1:8123 a:b",
        ),
        ("daphne -b 0.0.0.0 -p 80 a:b", "daphne -b 127.0.0.1 -p 8123 a:b"),
        (
            "daphne -e ssl:443:privateKey=k:certKey=c a:b",
            "daphne -e ssl:8123:privateKey=k:certKey=c:interface=127.0.0.1 a:b",
        ),
        (
            "granian --host 0.0.0.0 --interface asgi a:b",
            "granian --host 127.0.0.1 --port 8123 --interface asgi a:b",
        ),
        (
            "waitress-serve --listen=*:80 --port 8 --threads=2 a:b",
            "waitress-serve --listen=127.0.0.1:8123 --threads=2 a:b",
        ),
        ("cheroot a:b --bind 0.0.0.0", "cheroot a:b --bind 127.0.0.1:8123"),
        (
            "flask --app shop run -h 0.0.0.0 -p 80 --debug",
            "flask --app shop run --debug --host 127.0.0.1 --port 8123 --no-reload",
        ),
        (
            "python manage.py runserver 0.0.0.0:8000 --nothreading",
            "python manage.py runserver --nothreading 127.0.0.1:8123 --noreload",
        ),
        (
            "ws4py-middleware serve a:b -p 80",
            "ws4py-middleware serve a:b --host 127.0.0.1 --port 8123 --no-reload",
        ),
        (
            "uwsgi --http=:80 --http-raw-body -w a:b",
            "uwsgi --http 127.0.0.1:8123 --http-raw-body -w a:b",
        ),
        ("uwsgi -s /run/sock --wsgi-file a.py", "uwsgi --http-socket 127.0.0.1:8123 --wsgi-file a.py"),
        ("uwsgi --https :443,c.pem,k.pem -w a:b", "uwsgi --https 127.0.0.1:8123,c.pem,k.pem -w a:b"),
        ("uwsgi --http :80 --socket :81 -w a:b", "uwsgi --http 127.0.0.1:8123 -w a:b"),
        ("python app.py --port {port} --host {host}", "python app.py --port 8123 --host 127.0.0.1"),
    ],
)
def test_read_command_puts_it_on_loopback(line: str, run: str) -> None:
    command = read(line)
    assert shlex.join(command.words) == run
    assert command.bound


def test_read_command_of_an_unknown_program_leaves_it_alone() -> None:
    command = read("./serve --fast 8000")
    assert (command.words, command.bound, command.interface) == (("./serve", "--fast", "8000"), False, "")


@pytest.mark.parametrize(
    ("line", "spec"),
    [
        ("gunicorn -c conf.py shop.wsgi:make()", "object:shop.wsgi:make()"),
        ("gunicorn shop.wsgi", "object:shop.wsgi:application"),
        ("gunicorn 'shop:make(\"a b\", debug=True)'", 'object:shop:make("a b", debug=True)'),
        ("uvicorn --factory shop:make", "object:shop:make()"),
        ("uwsgi --http :80 --module shop", "object:shop:application"),
        ("uwsgi --http :80 --wsgi-file /srv/shop.py --callable app", "file:/srv/shop.py:app"),
        ("flask --app shop run", "flask:shop"),
        ("python manage.py runserver --settings shop.settings", "django:shop.settings"),
        ("python shop.py", ""),
    ],
)
def test_read_command_finds_the_application(line: str, spec: str) -> None:
    assert read(line).spec == spec


@pytest.mark.parametrize(
    ("line", "interface", "worker"),
    [
        ("gunicorn a:b", "wsgi", "sync"),
        ("gunicorn --threads 4 a:b", "wsgi", "gthread"),
        ("gunicorn -kgevent a:b", "wsgi", "gevent"),
        ("gunicorn -k uvicorn.workers.UvicornWorker a:b", "asgi", "uvicorn.workers.UvicornWorker"),
        ("gunicorn --worker-class=asgi a:b", "asgi", "asgi"),
        ("uvicorn a:b", "asgi", ""),
        ("uwsgi --gevent 100 -w a:b", "wsgi", "gevent"),
    ],
)
def test_read_command_knows_what_the_server_calls(line: str, interface: str, worker: str) -> None:
    command = read(line)
    assert (command.interface, command.worker) == (interface, worker)


@pytest.mark.parametrize(
    ("line", "single"),
    [
        ("gunicorn a:b", True),
        ("gunicorn -w 2 a:b", False),
        ("gunicorn --threads 2 a:b", False),
        ("gunicorn -k gevent a:b", False),
        ("waitress-serve a:b", False),
        ("waitress-serve --threads=1 a:b", True),
        ("uwsgi --http :1 -w a:b", True),
        ("uwsgi --http :1 -p 4 -w a:b", False),
        ("uwsgi --http :1 --threads 4 -w a:b", False),
        ("uwsgi --http :1 --gevent 100 -w a:b", False),
        ("flask run", False),
        ("flask run --without-threads", True),
        ("uvicorn a:b", False),
    ],
)
def test_is_single_where_one_request_is_answered_at_a_time(line: str, single: bool) -> None:
    assert read(line).is_single is single


@pytest.mark.parametrize(
    ("line", "secure"),
    [
        ("gunicorn --certfile c --keyfile k a:b", True),
        ("uvicorn --ssl-certfile=c a:b", True),
        ("flask run --cert adhoc", True),
        ("uwsgi --https :443,c,k -w a:b", True),
        ("daphne -e ssl:443:privateKey=k:certKey=c a:b", True),
        ("gunicorn a:b", False),
    ],
)
def test_read_command_sees_tls(line: str, secure: bool) -> None:
    assert read(line).secure is secure


def test_read_command_looks_where_the_server_does() -> None:
    command = read("gunicorn --chdir /srv/shop --pythonpath /lib/a,/lib/b -w 3 --preload a:b")
    assert (command.paths, command.workers, command.preload) == (("/srv/shop", "/lib/a", "/lib/b"), 3, True)


def test_read_command_knows_how_many_workers_the_environment_asks_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("WEB_CONCURRENCY", "5")
    assert (read("gunicorn a:b").workers, read("uvicorn a:b").workers, read("hypercorn a:b").workers) == (
        5,
        5,
        1,
    )


def test_read_command_finds_the_settings_in_manage_py(tmp_path: Path) -> None:
    manage = tmp_path / "manage.py"
    line = f"python {manage} runserver"
    assert read(line).spec == ""
    manage.write_text("import os\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'shop.settings')\n")
    assert read(line).spec == "django:shop.settings"


@pytest.mark.parametrize("guard", ['if __name__ == "__main__":', "if __name__ == '__main__':", "if True:"])
def test_read_command_imports_a_script_only_if_that_starts_nothing(
    guard: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("serve.py").write_text(f"app = None\n{guard}\n    app.run()\n")
    expected = "" if "True" in guard else "script:serve.py"
    assert read("python serve.py --port {port}").spec == read("python -m serve").spec == expected


def test_programs_each_say_how_they_are_installed_and_end() -> None:
    for program in PROGRAMS.values():
        assert program.package
        assert program.ending
        assert program.bind or program.name == "uwsgi"
