"""The dashboards' files are what their source says, and ask only for series that exist."""

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.conftest import ROOT
from tests.support.boards.board import Board
from tests.support.boards.recorded import NORMAL
from tests.support.boards.writing import BOARDS, path, text
from tests.support.dashboards import dashboards, panels

DOCUMENTED = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
GENERATED = {
    *(f"signal:{part}" for part in ("value", "level", NORMAL, "lower", "upper", "score")),
    "signal_info",
    *(f"slo:{part}" for part in ("objective:ratio", "error_budget_left:ratio", "burn_rate:1d", "requests:rate5m")),
    *(f"slo:error_ratio:{window}" for window in ("5m", "30m", "1h", "2h", "6h", "1d", "3d")),
    "slo:error_budget_exhausted:timestamp_seconds",
}
"""What `tocsin-exporter rules build` records."""
PROMETHEUS = {"ALERTS", "ALERTS_FOR_STATE", "scrape_duration_seconds", "up"}
"""Prometheus's own."""
BEFORE_BRACES = re.compile(r"([A-Za-z_:][\w:]*) *(?=[{\[])")
WORDS = re.compile(r"\b(?:thirdparty|provider|tocsin|usage|signal|slo)(?:_[a-z]+)?[:_][\w:]+")


@pytest.mark.parametrize("board", BOARDS, ids=[board.name for board in BOARDS])
def test_a_file_is_what_its_source_writes(board: Board) -> None:
    assert path(board).read_text(encoding="utf-8") == text(board), "run: python -m tests.support.boards"


@pytest.mark.parametrize(("name", "dashboard"), list(dashboards()), ids=[name for name, _ in dashboards()])
def test_only_series_that_exist_are_asked_for(name: str, dashboard: dict[str, Any]) -> None:
    known = {*re.findall(r"`([a-z][\w:]+)`", DOCUMENTED), *GENERATED, *PROMETHEUS}
    asked = {re.sub(r"_bucket$", "", series) for expr in expressions(dashboard) for series in series_of(expr)}
    assert asked, name
    assert asked - known == set()


def test_every_dashboard_has_its_chapter_and_its_picture_in_the_documents() -> None:
    told = (ROOT / "docs" / "dashboards.md").read_text(encoding="utf-8")
    assert re.findall(r"pictures/dashboards/(\w+)\.png", told)
    for name, dashboard in dashboards():
        assert f"## {dashboard['title']}\n" in told
        assert f"(pictures/dashboards/{name}.png)" in told
        assert (ROOT / "docs" / "pictures" / "dashboards" / f"{name}.png").exists()


@pytest.mark.parametrize(("name", "dashboard"), list(dashboards()), ids=[name for name, _ in dashboards()])
def test_every_dashboard_draws_changes_and_links_to_incidents_runbooks_and_explore(
    name: str, dashboard: dict[str, Any]
) -> None:
    annotations = {each["name"] for each in dashboard["annotations"]["list"]}
    assert {"Changes", "Firing alerts"} <= annotations, name
    assert any(link["url"].endswith("/v1/incidents") for link in dashboard["links"])
    links = str([panel["fieldConfig"] for panel in dashboard["panels"]])
    assert "/v1/incidents" in links
    assert "/runbooks/" in links
    assert "/explore?" in links


@pytest.mark.parametrize(("name", "dashboard"), list(dashboards()), ids=[name for name, _ in dashboards()])
def test_a_link_to_explore_holds_a_query_that_can_be_read(name: str, dashboard: dict[str, Any]) -> None:
    found = re.findall(r"/explore\?[^\"]+", json.dumps(dashboard))
    assert found, name
    for url in found:
        panes = json.loads(parse_qs(urlsplit(url).query)["panes"][0])
        query = panes["tocsin"]["queries"][0]
        assert query["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert series_of(query["expr"])


def expressions(dashboard: dict[str, Any]) -> Iterator[str]:
    """Every expression of its panels, annotations and variables."""
    for panel in panels(dashboard):
        yield from (target["expr"] for target in panel["targets"])
    yield from (each["target"]["expr"] for each in dashboard["annotations"]["list"] if "target" in each)
    yield from (each["query"]["query"] for each in dashboard["templating"]["list"] if each["type"] == "query")


def series_of(expr: str) -> set[str]:
    """The names of series in an expression; labels in quotes or in lists are none."""
    bare = re.sub(r'"[^"]*"', '""', expr)
    bare = re.sub(r"\b(?:by|on|group_left|without) *\([^)]*\)", "", bare)
    return {*BEFORE_BRACES.findall(bare), *WORDS.findall(bare)}
