"""The reader of the Autobahn testsuite's reports: what passes, what is missing, what it prints."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scripts.lib.autobahn.clients import RUNNERS
from scripts.lib.autobahn.docs import build_page
from scripts.lib.autobahn.run import check, count_tracebacks
from scripts.lib.autobahn.suite import SETS, choose_cases
from scripts.lib.autobahn.targets import CLIENTS, TARGETS, USUAL, accept, find_surprises, read_expected
from scripts.lib.autobahn.verdicts import Verdict, format_verdicts, read_verdicts
from tests.servers import ROOT

KNOWN = ["1.1.1", "9.1.1", "9.1.2", "9.10.1", "12.1.1", "12.1.10"]


def write_report(folder: Path, verdicts: dict[str, tuple[str, str]]) -> None:
    index = {}
    for case, (behavior, close) in verdicts.items():
        report = f"case_{case}.json"
        index[case] = {"behavior": behavior, "behaviorClose": close, "duration": 2, "reportfile": report}
        (folder / report).write_text(json.dumps({"result": "why", "resultClose": "why so closed"}))
    (folder / "index.json").write_text(json.dumps({"agent": index}))


def test_choose_cases_takes_prefixes_names_and_sets_in_the_suites_order() -> None:
    assert choose_cases("all", KNOWN) == KNOWN
    assert choose_cases("12.1.1,9.1.*", KNOWN) == ["9.1.1", "9.1.2", "12.1.1"]


def test_choose_cases_unknown_name_says_so() -> None:
    with pytest.raises(SystemExit, match=r"'99\.1'"):
        choose_cases("99.1", KNOWN)


def test_read_verdicts_informational_is_fine(tmp_path: Path) -> None:
    write_report(tmp_path, {"1.1.1": ("OK", "OK"), "9.1.1": ("INFORMATIONAL", "INFORMATIONAL")})
    verdicts = read_verdicts(tmp_path, ["9.1.1", "1.1.1"])
    assert [verdict.case for verdict in verdicts] == ["1.1.1", "9.1.1"]
    assert all(verdict.fine for verdict in verdicts)


@pytest.mark.parametrize(
    ("behavior", "close"),
    [
        ("FAILED", "OK"),
        ("NON-STRICT", "OK"),
        ("UNIMPLEMENTED", "OK"),
        ("OK", "UNCLEAN"),
        ("OK", "WRONG CODE"),
    ],
)
def test_read_verdicts_anything_else_is_not_fine(tmp_path: Path, behavior: str, close: str) -> None:
    write_report(tmp_path, {"1.1.1": (behavior, close)})
    (verdict,) = read_verdicts(tmp_path, ["1.1.1"])
    assert not verdict.fine
    assert verdict.reason == "why why so closed"
    assert f"1.1.1    {behavior}, close {close}" in format_verdicts([verdict])


def test_read_verdicts_case_without_result_is_missing(tmp_path: Path) -> None:
    write_report(tmp_path, {"1.1.1": ("OK", "OK")})
    missing = read_verdicts(tmp_path, ["1.1.1", "9.1.1"])[1]
    assert (missing.behavior, missing.fine) == ("MISSING", False)


def test_read_verdicts_run_without_report_is_all_missing(tmp_path: Path) -> None:
    assert [v.behavior for v in read_verdicts(tmp_path, KNOWN)] == ["MISSING"] * len(KNOWN)


def test_what_ci_runs_is_a_set_whose_compression_cases_are_in_ci() -> None:
    assert {target.ci for target in TARGETS.values()} == {"ci", "brief"}
    assert TARGETS["gthread"].ci == TARGETS["client-threaded"].ci == "ci"
    assert set(SETS["brief"]) < set(SETS["ci"])


def test_choose_cases_none_is_none() -> None:
    assert choose_cases("none", KNOWN) == []


GOOD = Verdict("1.1.1", "OK", "OK", 0.1)
BAD = Verdict("1.1.1", "FAILED", "UNCLEAN", 0.1, "because")


def test_find_surprises_what_is_known_is_none() -> None:
    assert find_surprises([GOOD], {}) == []
    assert find_surprises([BAD], {"1.1.1": ["FAILED", "UNCLEAN"]}) == []
    assert find_surprises([GOOD], {"1.1.1": ["NON-STRICT", "OK"]}) == [], "it is a race"


@pytest.mark.parametrize(
    ("verdict", "known", "said"),
    [
        (BAD, {}, "1.1.1: FAILED / UNCLEAN, which is not fine: because"),
        (BAD, {"1.1.1": ["FAILED", "OK"]}, "1.1.1: FAILED / UNCLEAN, but known as FAILED / OK"),
        (GOOD, {"1.1.1": ["FAILED", "OK"]}, "1.1.1: OK / OK, but known as FAILED / OK"),
    ],
)
def test_find_surprises_anything_else_is_one(
    verdict: Verdict, known: dict[str, list[str]], said: str
) -> None:
    assert find_surprises([verdict], known) == [said]


def test_accept_writes_what_find_surprises_reads(tmp_path: Path) -> None:
    path = tmp_path / "expected.json"
    path.write_text('{"other": {"1.1.2": ["FAILED", "OK"]}}')
    more = [Verdict("9.10.1", "NON-STRICT", "OK", 0.1), Verdict("9.9.1", "OK", "UNCLEAN", 0.1)]
    accept("uvicorn", [BAD, *more], path)
    known = read_expected(path)
    assert list(known) == ["other", "uvicorn"]
    assert list(known["uvicorn"]) == ["1.1.1", "9.9.1", "9.10.1"]
    assert find_surprises([BAD, *more], known["uvicorn"]) == []
    accept("uvicorn", [GOOD, Verdict("9.10.1", "OK", "OK", 0.1)], path)
    assert list(read_expected(path)["uvicorn"]) == ["9.9.1", "9.10.1"], "the others, and a race, stay"


def test_count_tracebacks_of_asgi_servers_counts_those_through_this_package() -> None:
    package = ROOT / "ws4py_middleware" / "asgi.py"
    theirs = 'Traceback (most recent call last):\n  File "uvicorn.py", line 1, in f\nUnicodeDecodeError: x\n'
    ours = f'Traceback (most recent call last):\n  File "{package}", line 1, in f\nValueError: x\n'
    assert count_tracebacks(theirs + ours + theirs, ours_only=True) == 1
    assert count_tracebacks(theirs + ours + theirs, ours_only=False) == 3


def test_only_servers_that_speak_the_protocol_themselves_may_be_known_for_something() -> None:
    assert all(TARGETS[name].asgi for name in read_expected())


def test_find_surprises_a_client_is_known_for_nothing() -> None:
    assert not set(read_expected()) & {name for name, target in TARGETS.items() if target.is_client}


def test_check_of_a_run_in_which_nothing_is_fine_is_short(capsys: pytest.CaptureFixture[str]) -> None:
    for behavior in ("MISSING", "FAILED"):
        verdicts = [Verdict(f"9.1.{case}", behavior, behavior, 0.0) for case in range(100)]
        assert not check("client-base", verdicts, {})
        assert len(capsys.readouterr().out.splitlines()) < 50
        assert len(format_verdicts(verdicts).splitlines()) < 50


def test_every_kind_of_client_has_a_runner_and_is_usual() -> None:
    assert set(CLIENTS) == set(RUNNERS)
    assert {f"client-{kind}" for kind in CLIENTS} - set(USUAL) == {"client-base"}, "the others stand on it"


def test_build_page_has_a_row_for_each_target_and_lists_what_is_not_fine() -> None:
    page = build_page(
        {
            "sync": [GOOD],
            "uvicorn": [BAD, Verdict("1.1.2", "FAILED", "UNCLEAN", 0.1)],
            "client-threaded": [GOOD],
        },
        {"1": "Framing"},
        "Python 3",
    )
    servers, clients = page.split("## Clients")
    assert "| gunicorn sync | 1 | OK 1 | OK 1 |" in servers
    assert "| threaded client | 1 | OK 1 | OK 1 |" in clients
    assert "| 1: Framing | 1 | OK 1 | FAILED 2 |" in page
    assert "| section | cases | threaded client |" in page
    assert "## uvicorn, websockets-sansio: the server's own code does these otherwise" in page
    assert "- FAILED, close UNCLEAN: 1.1.1, 1.1.2" in page
