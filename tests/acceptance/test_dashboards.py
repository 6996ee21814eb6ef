"""Every query of every dashboard, asked of a real Prometheus as Grafana would ask it."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.dashboards import Grafana, dashboards, empty_queries
from tests.support.drawing.page import page
from tests.support.imagined.company import company
from tests.support.prometheuses import prometheus

NAMES = [name for name, _ in dashboards()]


@pytest.fixture(scope="module")
def grafana(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Grafana]:
    binaries, folder = Path(os.environ["TOCSIN_BINARIES"]), tmp_path_factory.mktemp("company")
    with prometheus(binaries, folder, company(time.time())) as url:
        yield Grafana(url, rate_interval="10m", chosen={"by": "tenant"})


@pytest.mark.parametrize("name", NAMES)
def test_every_query_is_answered_where_all_is_measured(grafana: Grafana, name: str) -> None:
    assert empty_queries(grafana, [name]) == []


@pytest.mark.parametrize("name", NAMES)
def test_every_panel_of_the_picture_shows_something(grafana: Grafana, name: str) -> None:
    drawn, _ = page(dict(dashboards())[name], grafana, time.time())
    assert 'class="nothing"' not in drawn
    assert "Value #" not in drawn, "a column that no panel names"
    assert "__name__" not in drawn


@pytest.mark.parametrize("name", NAMES)
def test_every_variable_offers_something_to_choose(grafana: Grafana, name: str) -> None:
    dashboard = dict(dashboards())[name]
    values = grafana.variables(dashboard)
    variables = [each for each in dashboard["templating"]["list"] if each["type"] == "query"]
    assert [each["name"] for each in variables if not grafana.offered(each, values)] == []


def test_signals_are_told_apart_by_any_label_of_the_operators_own(grafana: Grafana) -> None:
    dashboard = dict(dashboards())["signals"]
    by = next(each for each in dashboard["templating"]["list"] if each["name"] == "by")
    assert set(grafana.offered(by, {})) == {"environment", "signal", "tenant"}
