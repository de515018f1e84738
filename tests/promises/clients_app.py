"""
A process with clients of one kind; it does what each line of its standard input says, and tells how it went.

A line is a JSON object, see :class:`.clientside.Job`; so is each line of the output, in the order in which
they end. A fixed number of threads share the work, so that one that is left behind is seen from outside.
"""

from __future__ import annotations

import json
import logging
import queue
import sys
import threading
import time
from typing import Any

from tests.clients import Session, make_client

THREADS = 8


def visit(session: Session, job: dict[str, Any], outcome: dict[str, Any]) -> None:
    """Connect, and read until the end; write down what came of it."""
    began = time.monotonic()
    try:
        session.connect()
    except BaseException as error:
        outcome["error"] = [kind.__name__ for kind in type(error).__mro__]
        outcome["message"] = str(error)
        outcome["status"] = getattr(error, "status", None)
        outcome["body"] = len(getattr(error, "body", b""))
        outcome["seconds"] = time.monotonic() - began
        return
    time.sleep(job["hold"])  # the time that it does not read
    began = time.monotonic()
    try:
        if job["close"]:
            session.close()
        while (message := session.receive()) is not None:
            outcome["sizes"].append(len(message.data))
            if len(outcome["sizes"]) == job["take"]:
                session.terminate()
                break
    finally:
        outcome["seconds"] = time.monotonic() - began
    if job["take"] is None:
        outcome["code"], outcome["reason"] = session.code, session.reason


def do(kind: str, job: dict[str, Any]) -> dict[str, Any]:
    """Do what a line says; when it returns, nothing refers to the client any more."""
    outcome: dict[str, Any] = {"number": job["number"], "sizes": []}
    try:
        with make_client(kind, job["url"], **job["options"]) as session:
            visit(session, job, outcome)
        outcome["told"] = session.told
    except BaseException as error:
        # What is not the client's connect() is nothing that may be raised at all.
        outcome["bug"] = repr(error)
    return outcome


def work(kind: str, jobs: queue.SimpleQueue[dict[str, Any]]) -> None:
    while True:
        line = json.dumps(do(kind, jobs.get())) + "\n"
        sys.stdout.write(line)  # one call, and so one piece
        sys.stdout.flush()


def main(kind: str) -> None:
    logging.basicConfig(level=logging.INFO)
    jobs: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    for _ in range(THREADS):
        threading.Thread(target=work, args=(kind, jobs), daemon=True).start()
    for line in sys.stdin:
        jobs.put(json.loads(line))


if __name__ == "__main__":
    main(sys.argv[1])
