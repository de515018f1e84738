"""docs/howto/background-jobs.md: Celery, a program, a command and a shell are heard by browsers."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from websockets.sync.client import ClientConnection, connect

from tests.docs.pages import CODE, read_commands, read_page
from tests.drivers.redisserver import RedisServer, killed, redis_server
from tests.servers import Server, start, wait_for
from ws4py_middleware.hub import Hub

pytestmark = pytest.mark.redis

PAGE = read_page("howto/background-jobs")
FOLDER = CODE / "background_jobs"
TEXT = "Lunch is ready"


def test_page_shows_the_files_that_are_run_here() -> None:
    shown = set(re.findall(r"literalinclude\} \.\./code/background_jobs/(\S+)", PAGE))
    assert shown == {
        "announce.py",
        "app.py",
        "crontab",
        "live.py",
        "shop/apps.py",
        "shop/management/commands/announce.py",
        "tasks.py",
    }


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server


@pytest.fixture(scope="module")
def environ(redis: RedisServer) -> dict[str, str]:
    path = os.pathsep.join([str(FOLDER), str(CODE.parents[1])])
    return {"REDIS_URL": redis.tcp_url + "/0", "PYTHONPATH": path}


@pytest.fixture(scope="module")
def server(environ: dict[str, str]) -> Iterator[Server]:
    options = ["--chdir", str(FOLDER)]
    with start("gunicorn-gthread", "app:app", options=options, env=environ) as running:
        yield running
        assert "Traceback" not in running.log


@contextmanager
def celery(environ: dict[str, str], directory: Path) -> Iterator[None]:
    """Run the command of the page, with one process; end it in order."""
    (words,) = read_commands(PAGE, "celery")
    with (directory / "celery.log").open("wb") as log:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "celery",
                *words,
                "--concurrency",
                "1",
                "--without-gossip",
                "--without-mingle",
            ],
            cwd=FOLDER,
            env={**os.environ, **environ},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            yield
        finally:
            process.terminate()
            process.wait(20)


def test_task_tells_how_far_it_is_also_whoever_comes_late(
    server: Server, environ: dict[str, str], tmp_path: Path
) -> None:
    with celery(environ, tmp_path):
        request = urllib.request.Request(server.url + "/reports", method="POST")
        with urllib.request.urlopen(request, timeout=10) as response:
            job = json.load(response)["job"]
        expected = [*({"page": page, "of": 3} for page in (1, 2, 3)), {"done": True}]
        for _ in range(2):
            with connect(f"{server.ws_url}/jobs/{job}", proxy=None) as browser:
                assert [json.loads(browser.recv(timeout=20)) for _ in expected] == expected
    assert "Traceback" not in (tmp_path / "celery.log").read_text()


@contextmanager
def listen(server: Server, redis: RedisServer) -> Iterator[ClientConnection]:
    """Be somebody who has the page open, and is known to be there."""
    with connect(server.ws_url + "/news", proxy=None) as browser, redis.client() as client:

        def is_there() -> bool:
            return any(count for _, count in client.pubsub_numsub("ws4py:0:room:news"))

        wait_for(is_there, 10, "the room's subscription")
        yield browser


def run(command: list[str], environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=FOLDER,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_program_and_shell_are_heard(server: Server, redis: RedisServer, environ: dict[str, str]) -> None:
    (line,) = re.findall(r"(?m)^\d.*/python (/srv.*)$", (FOLDER / "crontab").read_text(encoding="utf-8"))
    script, text = shlex.split(line)
    (shell,) = [words for words in read_commands(PAGE, "python") if words[0] == "-c"]
    with listen(server, redis) as browser:
        for words in (
            [Path(script).name, text],
            [shell[0], shell[1].replace("redis://localhost:6379/0", environ["REDIS_URL"])],
        ):
            done = run([sys.executable, *words], environ)
            assert (done.returncode, done.stderr) == (0, "")
            assert browser.recv(timeout=10) == TEXT


def test_program_says_when_nobody_was_told(environ: dict[str, str]) -> None:
    with redis_server() as other, killed(other):
        done = run([sys.executable, "announce.py", TEXT], {**environ, "REDIS_URL": other.tcp_url})
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("nobody was told: ")


def test_management_command_is_heard(server: Server, redis: RedisServer, environ: dict[str, str]) -> None:
    (words,) = [words for words in read_commands(PAGE, "python") if words[0] == "manage.py"]
    manage = (
        "import sys; from django.conf import settings; settings.configure(INSTALLED_APPS=['shop']); "
        "from django.core.management import execute_from_command_line as run; run(sys.argv)"
    )
    with listen(server, redis) as browser:
        done = run([sys.executable, "-c", manage, *words[1:]], environ)
        assert (done.returncode, done.stderr) == (0, "")
        assert browser.recv(timeout=10) == TEXT


def test_publish_says_how_many_members_the_process_itself_has(redis: RedisServer) -> None:
    hub = Hub(redis.tcp_url)
    try:
        assert hub.publish("news", TEXT) == 0
    finally:
        hub.close()
