from __future__ import annotations

from xml.etree import ElementTree as ET

from benchmarks import chart, document
from benchmarks.lineup import SERVERS
from benchmarks.results import Results, Run, Sample, summarize

SVG = "{http://www.w3.org/2000/svg}"
RUN = Run("python -m benchmarks all", "2026-01-01T00:00:00+00:00", ["a machine", "an interpreter"])


def made(*samples: Sample) -> Results:
    results = Results()
    results.merge(RUN, summarize(RUN, samples))
    return results


ECHOED = made(
    Sample("e100", "c", {"cpu_us": 4.0, "messages_per_second": 2e5}),
    Sample("e100", "ours-gthread", {"cpu_us": 5.0, "p50_us": 1.0, "p99_us": 2.0, "p999_us": 3.0}),
    Sample("e100", "aiohttp", error="not installed: aiohttp"),
    Sample("p16", "c", {"cpu_us": 0.3}),
    Sample("p16", "websockets", {"cpu_us": 12.0}),
    Sample("deflate", "ours-gthread", {"cpu_us": 10.0}),
    Sample("deflate", "websockets", {"cpu_us": 40.0}),
)


def test_render_documents_in_the_repository_are_what_their_numbers_say() -> None:
    results = Results.read(document.DATA)
    text = document.DOCUMENT.read_text()
    assert document.render(results, text) == text
    assert chart.render(results) == document.CHART.read_text()
    assert text.startswith(document.TITLE)


def test_render_overview_is_in_multiples_and_below_it_where_and_how() -> None:
    text = document.render(ECHOED, "# Title\n\nSaid by hand.\n")
    assert text.startswith("# Title\n\nSaid by hand.\n\n<!-- begin overview -->\n")
    assert "| **ours**, gunicorn gthread, 2 threads | – | 1.25× | – " in text
    assert "* aiohttp, `e100`: not installed: aiohttp\n" in text
    assert "* a machine\n* an interpreter\n* 2026-01-01\n* `python -m benchmarks all`\n" in text
    assert "| 1 / 2 / 3 |" in text
    assert "begin idle" not in text


def test_render_compression_is_compared_with_websockets() -> None:
    row = next(line for line in document.render(ECHOED, "").splitlines() if line.startswith("| **ours**"))
    assert row.endswith("| 0.25× |")


def test_chart_is_well_formed_and_says_what_it_shows() -> None:
    tree = ET.fromstring(chart.render(ECHOED))
    assert tree.tag == f"{SVG}svg"
    assert tree.get("role") == "img"
    described = tree.findtext(f"{SVG}desc")
    assert described is not None
    assert "ws4py_middleware, gunicorn gthread, 2 threads: e100 1.25×, p16 –, 64K –." in described
    assert tree.findtext(f"{SVG}title") == chart.TITLE
    assert "prefers-color-scheme: dark" in (tree.findtext(f"{SVG}style") or "")
    values = [text.text for text in tree.iter(f"{SVG}text") if (text.get("class") or "").startswith("value")]
    assert values == ["1.25×", "40.0×"]


def test_chart_long_bars_are_cut_and_stay_inside() -> None:
    tree = ET.fromstring(chart.render(ECHOED))
    bars = [rect for rect in tree.iter(f"{SVG}rect") if (rect.get("class") or "").startswith("bar")]
    assert len(bars) == 2
    assert max(float(bar.get("width", 0)) for bar in bars) == chart.PANEL
    assert sum(path.get("class") == "cut" for path in tree.iter(f"{SVG}path")) == 1
    assert all(float(bar.get("x", 0)) + float(bar.get("width", 0)) < chart.WIDTH for bar in bars)


def test_lineup_names_are_one_of_a_kind() -> None:
    names = [server.name for server in SERVERS]
    assert len(set(names)) == len(names)
