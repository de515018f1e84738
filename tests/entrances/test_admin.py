"""The admin socket on real servers: each worker has one, is asked for its connections, and closes them."""

from __future__ import annotations

import os
import re
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.drivers.redisserver import redis_server
from tests.entrances.admins import ask, fill, run, start_admin, wait_closed
from tests.servers import ROOT, wait_for
from ws4py_middleware.admin.client import Worker, list_connections
from ws4py_middleware.admin.protocol import AdminError

WSGI = "tests.entrances.admin_app:wsgi"
ASGI = "tests.entrances.admin_app:asgi"
CHERRYPY = "tests.entrances.admin_cherrypy_app:app"

#: The server, the application, how many workers it has, more options, and more environment.
SERVERS: dict[str, tuple[str, str, int, list[str], dict[str, str]]] = {
    "gunicorn-sync": ("gunicorn-sync", WSGI, 2, [], {}),
    "gunicorn-gthread": ("gunicorn-gthread", WSGI, 2, [], {}),
    "gunicorn-gthread-preload": ("gunicorn-gthread", WSGI, 2, ["--preload"], {}),
    "gunicorn-gevent": ("gunicorn-gevent", WSGI, 2, [], {}),
    "gunicorn-gevent-preload": ("gunicorn-gevent", WSGI, 2, ["--preload"], {}),
    "gunicorn-asgi": ("gunicorn-asgi", ASGI, 2, [], {}),
    "gunicorn-cherrypy": ("gunicorn-gthread", CHERRYPY, 2, [], {"PLUGIN": "1"}),
    "cherrypy": ("cherrypy", CHERRYPY, 1, [], {}),
    "uvicorn": ("uvicorn-websockets", ASGI, 2, [], {}),
    "gevent-pywsgi-unpatched": ("gevent-pywsgi-unpatched", WSGI, 1, [], {}),
}


@pytest.mark.parametrize("name", SERVERS)
def test_workers_are_listed_asked_and_their_connections_closed(name: str, tmp_path: Path) -> None:
    kind, app, workers, options, env = SERVERS[name]
    with (
        start_admin(kind, app, tmp_path, workers=workers, options=options, **env) as admin,
        fill(admin, workers=workers) as clients,
    ):
        count = sum(map(len, clients.values()))
        place = admin.directory
        assert admin.pids() == set(clients)
        assert {stat.S_IMODE(path.stat().st_mode) for path in admin.sockets()} == {0o600}

        listed = ask(place, "list")
        assert listed["total"] == len(listed["connections"]) == count
        ages = [each["age"] for each in listed["connections"]]
        assert ages == sorted(ages, reverse=True)
        first = listed["connections"][0]
        assert (first["handler"], first["client"], first["state"]) == ("Member", "127.0.0.1", "open")
        assert (first["path"], first["rooms"], first["messages_sent"]) == ("/chat/r0", ["r0"], 1)
        assert first["route"] == ("" if app == CHERRYPY else "/chat/<room>")
        in_room = ask(place, "list", "--room", "r1", "--limit", "1")
        assert (len(in_room["connections"]), in_room["total"]) == (1, count // 2)

        shown = ask(place, "show", first["id"])["connection"]
        assert shown["handler"] == "tests.entrances.admin_app.Member"
        assert (shown["subprotocol"], shown["rooms"], shown["error"]) == ("chat", ["r0"], None)

        stats = ask(place, "stats")
        assert stats["all"]["connections"] == stats["all"]["messages_sent"] == count
        assert {each["pid"]: each["stats"]["connections"] for each in stats["workers"]} == {
            pid: len(several) for pid, several in clients.items()
        }

        of_first = clients[int(first["id"].partition("-")[0])][0]
        assert ask(place, "close", first["id"], "--code", "4001", "--reason", "enough") == {"closing": 1}
        assert wait_closed(of_first) == (4001, "enough")
        wait_for(lambda: run(place, "show", first["id"]).status == 1, 5, "nothing is left of it")
        assert ask(place, "close", "--all", "--code", "1012") == {"closing": count - 1}
        for client in (each for several in clients.values() for each in several if each is not of_first):
            assert wait_closed(client) == (1012, "")
        wait_for(lambda: ask(place, "list")["total"] == 0, 5, "all of them are gone")
        assert run(place, "close", "--all").status == 1


def test_pages_have_each_connection_once_also_when_some_end_between_them(tmp_path: Path) -> None:
    with start_admin("gunicorn-gthread", WSGI, tmp_path) as admin, fill(admin, least=8) as clients:
        (several,) = clients.values()
        everyone = [each["id"] for each in ask(admin.directory, "list")["connections"]]
        with Worker(str(admin.sockets()[0])) as worker:
            first = worker.ask("list", limit=3)
            assert [each["id"] for each in first["connections"]] == everyone[:3]
            assert (first["next"], first["total"]) == (everyone[2], 8)
            several[2].close()
            wait_for(lambda: worker.ask("show", id=everyone[2])["connection"] is None, 5, "the end of it")
            second = worker.ask("list", limit=3, after=first["next"])
            assert [each["id"] for each in second["connections"]] == everyone[3:6]
            third = worker.ask("list", limit=3, after=second["next"])
            assert [each["id"] for each in third["connections"]] == everyone[6:]
            assert third["next"] is None
            assert list_connections(worker, 2, room="r1")[1] == 4
            with pytest.raises(AdminError, match="did you mean 'show'"):
                worker.ask("shwo")
        table = run(admin.directory, "list", "--limit", "2").out.splitlines()
        assert (len(table), table[-1]) == (4, "and 5 more (--limit)")
        stats = run(admin.directory, "stats").out
        assert re.search(r"^connections +7$", stats, re.MULTILINE)
        assert re.search(r"^closed +1000:1$", stats, re.MULTILINE)


def test_filters_find_those_that_they_name(tmp_path: Path) -> None:
    with start_admin("gunicorn-gthread", WSGI, tmp_path) as admin, fill(admin, least=3):
        found = {
            words: ask(admin.directory, "list", *words.split())["total"]
            for words in (
                "--address 127.0.0.1",
                "--address 127.0.0.0/8",
                "--address 10.0.0.0/8",
                "--address nobody",
                "--route /chat/<room>",
                "--route /chat/r0",
                "--route /ws",
                "--room r0",
                "--room r0 --address 127.0.0.1",
                "--room r0 --address ::1",
            )
        }
        assert list(found.values()) == [3, 3, 0, 0, 3, 0, 0, 2, 2, 0], found


@pytest.mark.redis
def test_stats_tell_of_redis_without_its_password(tmp_path: Path) -> None:
    with redis_server(password="hunter2") as redis:
        url = f"redis://:hunter2@127.0.0.1:{redis.port}"
        with (
            start_admin("gunicorn-gthread", WSGI, tmp_path, workers=2, ROOMS_REDIS_URL=url) as admin,
            fill(admin, workers=2),
        ):

            def hubs() -> list[dict[str, Any]]:
                return [hub for each in ask(admin.directory, "stats")["workers"] for hub in each["hubs"]]

            wait_for(lambda: [hub["connected"] for hub in hubs()] == [True, True], 10, "both of them")
            assert all(hub["stats"]["outages"] == 0 and hub["rooms"] for hub in hubs())
            table = run(admin.directory, "stats").out
            assert f"<RedisBackplane redis://127.0.0.1:{redis.port}> connected" in table
            assert "hunter2" not in table + str(hubs())
            redis.kill()
            wait_for(lambda: [hub["connected"] for hub in hubs()] == [False, False], 10, "it is away")


def test_killed_worker_leaves_a_socket_that_harms_nobody_and_is_removed(tmp_path: Path) -> None:
    with (
        start_admin("gunicorn-gthread", WSGI, tmp_path, workers=2) as admin,
        fill(admin, workers=2) as clients,
    ):
        killed, other = clients
        os.kill(killed, signal.SIGKILL)
        # The arbiter starts another one, which clears up.
        wait_for(lambda: killed not in admin.pids() and len(admin.pids()) == 2, 10, "another worker")
        listed = ask(admin.directory, "list")
        assert listed["total"] == len(clients[other])


def test_process_that_a_worker_forks_has_no_part_in_it(tmp_path: Path) -> None:
    script = """
import os, sys
from ws4py_middleware.admin import expose
expose(sys.argv[1] + "/ws-{pid}.sock")
before = os.listdir(sys.argv[1])
child = os.fork()
if not child:
    assert os.listdir(sys.argv[1]) == before
    sys.exit()  # in order, so that what is called at the exit is called
assert os.waitpid(child, 0)[1] == 0
assert os.listdir(sys.argv[1]) == before == [f"ws-{os.getpid()}.sock"]
"""
    subprocess.run([sys.executable, "-W", "error", "-c", script, tmp_path], cwd=ROOT, check=True, timeout=30)
    assert list(tmp_path.iterdir()) == []


def test_socket_of_a_live_process_is_left_alone_and_the_application_goes_on(tmp_path: Path) -> None:
    place = tmp_path / "one.sock"
    script = f"from ws4py_middleware.admin import expose; expose({str(place)!r}); print('on')"
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(place))
        other.listen()
        done = subprocess.run(
            [sys.executable, "-c", script], cwd=ROOT, check=True, timeout=30, capture_output=True, text=True
        )
        assert done.stdout == "on\n"
        assert "it is there already" in done.stderr
        assert "{pid}" in done.stderr
        assert place.exists()


def test_file_that_is_no_socket_is_never_removed(tmp_path: Path) -> None:
    place = tmp_path / "ws.sock"
    place.write_text("precious")
    script = f"from ws4py_middleware.admin import expose; expose({str(place)!r})"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, check=True, timeout=30, capture_output=True
    )
    assert b"it is there already" in done.stderr
    assert place.read_text() == "precious"


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("/run/" + "x" * 100, "has at most 103"),
        ("/run/{pid}/ws.sock", "has {pid} in a directory"),
        ("/run/", "is no path of a socket"),
    ],
)
def test_path_that_cannot_be_one_is_refused_at_once(path: str, problem: str) -> None:
    from ws4py_middleware.admin import expose

    with pytest.raises(ValueError, match=problem):
        expose(path)


def test_nothing_is_done_where_nothing_says_where(monkeypatch: pytest.MonkeyPatch) -> None:
    from ws4py_middleware import admin

    monkeypatch.delenv(admin.ENVIRONMENT, raising=False)
    admin.expose()
    found: Any = admin._endpoint
    assert found is None
