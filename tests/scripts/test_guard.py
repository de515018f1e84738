"""The guard: what it counts, what it thinks of it, and that it sees what it is there to see."""

from __future__ import annotations

import dataclasses
import json

import pytest

from scripts.lib.guard import __main__ as guard
from scripts.lib.guard import judging
from scripts.lib.guard.calls import GROUPS, count_calls
from scripts.lib.guard.instructions import ECHO, WORK, count_instructions, describe_build
from scripts.lib.guard.load import LOADS
from tests.servers import start

LIMITS = judging.load()
P16 = dataclasses.replace(LOADS["p16"], connections=5)


def complaints(counted: dict[str, float], server: str = "gthread", load: str = "p16") -> list[str]:
    found = judging.judge_calls(LIMITS, server, load, counted)
    return [finding.what for finding in found if finding.is_too_much]


# --- the limits --------------------------------------------------------------------------------------


def test_limits_say_why_and_name_what_is_counted() -> None:
    groups = {*GROUPS, "other"} - {"sleep"}
    for server, loads in LIMITS["calls"].items():
        assert server == "any" or server in guard.SUBJECTS
        for load, limits in loads.items():
            assert load in LOADS
            assert limits["why"]
            assert limits.keys() - {"why"} <= groups


@pytest.mark.parametrize("server", guard.SUBJECTS)
def test_limits_bound_reads_and_writes_of_all_that_is_counted(server: str) -> None:
    for load in guard.SUBJECTS[server].rounds:
        assert {"receive", "send", "wait", "futex"} <= judging.find_call_limits(LIMITS, server, load).keys()


def test_limits_are_those_that_are_promised() -> None:
    for server in ("gthread", "sync", "gevent", "cherrypy"):
        e100 = judging.find_call_limits(LIMITS, server, "e100")
        p16 = judging.find_call_limits(LIMITS, server, "p16")
        assert (e100["receive"], e100["send"]) == (1.05, 1.05)
        assert (p16["receive"], p16["send"]) == (0.15, 0.15)


def test_stored_limits_are_written_as_store_writes_them() -> None:
    assert judging.LIMITS.read_text() == json.dumps(LIMITS, indent=2) + "\n"


# --- judging -----------------------------------------------------------------------------------------


def test_judge_has_nothing_to_say_when_all_is_well() -> None:
    well = {"receive": 0.063, "send": 0.063, "wait": 0.05, "futex": 0.0, "sleep": 0.0, "other": 0.0}
    assert complaints(well) == []
    for group in well.keys() - {"sleep"}:
        assert complaints({**well, group: 0.5}) == [group]


def test_judge_does_not_blame_messages_for_threads_that_go_by_the_clock() -> None:
    slow = {"receive": 1.0, "send": 1.0, "wait": 1.0, "futex": 4.0, "sleep": 1.0, "other": 0.0}
    assert complaints(slow, load="e100") == []
    assert complaints({**slow, "sleep": 0.0}, load="e100") == ["futex"]


def test_judge_allows_another_interpreter_more_and_says_nothing_of_an_unknown_one() -> None:
    limits = {"instructions": {"3.11": {"pure": {"made_by": "this", "messages": {"e1": 1000}}}}}

    def judge(made_by: str, version: str, value: float) -> bool:
        (finding,) = judging.judge_instructions(limits, "pure", made_by, version, {"e1": value})
        return finding.is_too_much

    assert [judge("this", "3.11", value) for value in (1029, 1031)] == [False, True]
    assert [judge("that", "3.11", value) for value in (1149, 1151)] == [False, True]
    assert not judge("this", "3.12", 10_000)


def test_table_has_a_line_for_each_subject() -> None:
    findings = [
        judging.Finding("gthread e1", "send", 1.0, 1.05),
        judging.Finding("gthread e1", "other", 0.25, None),
        judging.Finding("pure e1", "instructions", 82_000.4, 83_000),
    ]
    assert judging.table(findings).splitlines() == [
        "gthread e1         send 1.000 ≤ 1.05, other 0.250",
        "pure e1            instructions 82,000 ≤ 83,000",
    ]
    assert str(findings[2]) == "pure e1: 82000.4 instructions a message, at most 83000"


# --- counting ----------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("app", "wrong"),
    [("good", set()), ("uncorked", {"send"}), ("asking", {"other"}), ("sipping", {"receive"})],
)
def test_calls_that_are_too_many_are_seen(app: str, wrong: set[str]) -> None:
    with start("gunicorn-gthread", f"tests.scripts.guard_app:{app}") as server:
        counted = count_calls(server, P16, 3)
    found = set(complaints(counted))
    assert wrong <= found, counted
    if app == "good":
        assert not found
        # Who is kept from the processor in the midst of a turn sends what there is, and the rest behind it.
        assert counted["receive"] == 1 / 16 <= counted["send"]


@pytest.mark.slow
def test_instructions_that_are_too_many_are_seen() -> None:
    good, slow = (
        count_instructions("pure", handler, ["e1"])["e1"]
        for handler in (ECHO, "tests.scripts.guard_app:Slow")
    )
    stored = {"3.11": {"pure": {"made_by": "this", "messages": {"e1": good}}}}
    (finding,) = judging.judge_instructions({"instructions": stored}, "pure", "this", "3.11", {"e1": slow})
    assert finding.is_too_much
    assert slow - good > 3000


def test_builds_are_told_apart_by_what_makes_them() -> None:
    pure, compiled = describe_build("pure"), describe_build("compiled")
    assert compiled.startswith(pure)
    assert compiled != pure
    assert WORK.keys() <= LOADS.keys()
