"""Count what a message costs, and compare; ``scripts/guard`` is the entrance."""

from __future__ import annotations

import argparse
import contextlib
import platform
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from scripts.lib.guard import judging
from scripts.lib.guard.calls import count_calls
from scripts.lib.guard.instructions import BUILDS, count_instructions, describe_build, is_there
from scripts.lib.guard.judging import Finding
from scripts.lib.guard.load import LOADS
from tests.promises.attacker import allow_many_descriptors
from tests.servers import start


class Subject(NamedTuple):
    """A server, and how many rounds of which loads are counted on it."""

    kind: str
    app: str
    rounds: dict[str, int]
    environ: Mapping[str, str] = {}


_ECHOES = {"e1": 100, "e100": 10, "p16": 2, "64K": 20}
_BROADCASTS = {"bcast": 2, "bcast4": 2}
#: By the name that they have in the limits.
SUBJECTS = {
    "gthread": Subject("gunicorn-gthread", "wsgi", {**_ECHOES, **_BROADCASTS}),
    "gthread-pure": Subject("gunicorn-gthread", "wsgi", {"e100": 10, "p16": 2}, BUILDS["pure"]),
    "sync": Subject("gunicorn-sync", "wsgi", _ECHOES),
    "gevent": Subject("gunicorn-gevent", "wsgi", {**_ECHOES, **_BROADCASTS}),
    "cherrypy": Subject("cherrypy", "cherrypy", _ECHOES),
    "uvicorn": Subject("uvicorn-websockets-sansio", "asgi", _ECHOES),
}


def look_at_calls(name: str) -> list[Finding]:
    """Count the system calls of a server."""
    kind, app, work, environ = SUBJECTS[name]
    limits = judging.load()
    findings: list[Finding] = []
    # One heap, as for the soak: how much the allocator asks the system for is not what is looked at.
    with start(kind, f"scripts.lib.guard.apps:{app}", env={"MALLOC_ARENA_MAX": "1", **environ}) as server:
        for load, rounds in work.items():
            counted = count_calls(server, LOADS[load], rounds)
            findings += judging.judge_calls(limits, name, load, counted)
    return findings


def look_at_instructions(build: str, update: bool) -> list[Finding]:
    """Count the instructions of a build; store them, if that is what is asked for."""
    version = ".".join(platform.python_version_tuple()[:2])
    made_by = describe_build(build)
    counted = count_instructions(build)
    if update:
        limits = judging.load()
        entry = {"made_by": made_by, "messages": {name: round(value) for name, value in counted.items()}}
        limits["instructions"].setdefault(version, {})[build] = entry
        judging.store(limits)
    return list(judging.judge_instructions(judging.load(), build, made_by, version, counted))


def _look(servers: Sequence[str], builds: Sequence[str], update: bool) -> Iterator[Finding]:
    # Side by side: nothing here is a time. Of the builds one after the other, for both may write.
    with ThreadPoolExecutor(2) as pool:
        instructions = pool.submit(lambda: [look_at_instructions(build, update) for build in builds])
        for found in pool.map(look_at_calls, servers):
            print(judging.table(found), flush=True)
            yield from found
        for found in instructions.result():
            print(judging.table(found), flush=True)
            yield from found


def main(argv: Sequence[str]) -> int:
    """Run what was asked for; return the exit status."""
    parser = argparse.ArgumentParser(prog="scripts/guard")
    parser.add_argument("--server", choices=[*SUBJECTS, "none"], action="append")
    parser.add_argument("--build", choices=[*BUILDS, "none"], action="append")
    parser.add_argument("--update", action="store_true")
    options = parser.parse_args(argv)
    servers = [name for name in options.server or SUBJECTS if name != "none"]
    builds = [name for name in options.build or BUILDS if name != "none"]
    with contextlib.suppress(ValueError):
        allow_many_descriptors()
    absent = [build for build in builds if not is_there(build)]
    if absent:
        print(f"there is no {absent[0]} build here: scripts/build makes it", file=sys.stderr)
        return 1
    wrong = [finding for finding in _look(servers, builds, options.update) if finding.is_too_much]
    for finding in wrong:
        print(f"TOO MUCH: {finding}")
    print("FAILED" if wrong else "passed")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
