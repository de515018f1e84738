"""docs/howto/uwsgi.md: each of its files runs the application, and SIGTERM ends it in order."""

from __future__ import annotations

import configparser
import re
from contextlib import ExitStack
from pathlib import Path

import pytest
from websockets.sync.client import connect

from tests.docs.pages import CODE, read_commands, read_page
from tests.servers import start
from tests.servers.uwsgi import IN_ORDER

PAGE = read_page("howto/uwsgi")
FOLDER = CODE / "uwsgi"
FILES = sorted(path.name for path in FOLDER.glob("*.ini"))


def test_page_shows_every_file_and_one_command_that_starts_one() -> None:
    assert {Path(name).name for name in re.findall(r"literalinclude\} (\S+\.ini)", PAGE)} == set(FILES)
    assert read_commands(PAGE, "uwsgi") == [["--ini", "uwsgi.ini"]]


def test_files_differ_only_in_what_the_page_says() -> None:
    settings = {}
    for name in FILES:
        parser = configparser.ConfigParser()
        parser.read(FOLDER / name)
        settings[name] = dict(parser["uwsgi"])
    differences = {name: set(values.items()) for name, values in settings.items()}
    plain = differences["uwsgi.ini"]
    assert {key for key, _ in differences["router.ini"] ^ plain} == {"http", "http-raw-body", "http-socket"}
    assert {key for key, _ in differences["gevent.ini"] ^ plain} == {
        "gevent",
        "gevent-monkey-patch",
        "threads",
        "enable-threads",
    }


@pytest.mark.parametrize("name", FILES)
def test_file_of_the_page_serves_and_says_goodbye(name: str, tmp_path: Path) -> None:
    text = (FOLDER / name).read_text(encoding="utf-8")
    # It is started like that in all tests of uWSGI, whatever the file says.
    assert " = ".join(IN_ORDER).removeprefix("--") in text.splitlines()
    file = tmp_path / name
    file.write_text(text.replace("127.0.0.1:8000", "%(address)"), encoding="utf-8")
    options = ("--chdir", str(FOLDER), "--set-placeholder", "address={address}", "--ini", str(file))
    with start("uwsgi", "app:app", options=options) as server:
        with ExitStack() as stack:
            url = server.ws_url + "/chat"
            members = [stack.enter_context(connect(url, proxy=None)) for _ in range(6)]
            for member in members:  # each hears itself, and so all are there
                member.send("here")
                assert member.recv(timeout=5) == "here"
            assert server.http("/").status == 404
            server.signal()
            for member in members:
                assert list(member)[-1:] in (["here"], [])  # and the end
                assert member.close_code == 1001
        assert server.process.wait(10) == 0
        assert "Traceback" not in server.log
