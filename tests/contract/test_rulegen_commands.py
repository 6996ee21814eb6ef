"""`rules backtest` and `rules simulate` against a real Prometheus with a past, and what they say of one that is wrong."""

import argparse
import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from aiohttp import web
from aiohttp.test_utils import TestServer
from numpy.typing import NDArray

from exporter.commands import backtest, rules, simulate
from tests.support.ports import free_ports
from tests.support.prometheuses import prometheus
from tests.support.replay import FLAGS, Replay
from tests.support.running import binaries
from toolkit.configfile import ConfigError

STEP = 300
DAYS = 66
START = 1_738_540_800
"""Monday, 3 February 2025."""
END = START + DAYS * 86_400
PER_DAY = 86_400 // STEP
SPAN = ("--from", "2025-03-20", "--to", "2025-04-10")
DROP, OUTAGE, SURGE = (slice(day * PER_DAY + 130, day * PER_DAY + 154) for day in (52, 56, 60))
GAP = slice(50 * PER_DAY, 50 * PER_DAY + 40)


def _usage(mean: float) -> NDArray[np.float64]:
    """Events in each five minutes."""
    places = np.arange(DAYS * PER_DAY)
    weekend = places // PER_DAY % 7 >= 5
    course = 1 + 0.5 * np.sin(places / PER_DAY * 2 * np.pi)
    return mean * course * np.where(weekend, 0.7, 1.0)


def _orders(chance: np.random.Generator) -> NDArray[np.float64]:
    """A counter that began anew once."""
    expected = _usage(300.0)
    expected[DROP] *= 0.3
    expected[OUTAGE] = 0.0
    counted = np.cumsum(chance.poisson(expected)).astype(np.float64)
    counted[40 * PER_DAY :] -= counted[40 * PER_DAY]
    return counted


def _queue(chance: np.random.Generator) -> NDArray[np.float64]:
    """A gauge with a gap, and a division by 0."""
    depth = _usage(40.0) * np.exp(chance.normal(0, 0.05, DAYS * PER_DAY))
    depth[SURGE] *= 3.0
    depth[GAP] = np.nan
    depth[45 * PER_DAY : 45 * PER_DAY + 3] = np.inf
    return depth


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder, chance = tmp_path_factory.mktemp("past"), np.random.default_rng(5)
    server = Replay(binaries(), folder, START, END)
    times = START + STEP * np.arange(DAYS * PER_DAY, dtype=np.float64)
    series = {"shop_orders_total": _orders(chance), "queue_depth": _queue(chance)}
    series["jobs"] = np.cumsum(chance.poisson(_usage(5.0))).astype(np.float64)
    for name, row in series.items():
        there = ~np.isnan(row)
        server.store(name, {(): (times[there], row[there])})
    server.store("shop_stock", {(): (times, 500 + np.round(chance.normal(0, 40, len(times))))})
    orders = {(("plan", plan), ("pod", pod)): series["shop_orders_total"] for plan in ("free", "pro") for pod in "ab"}
    server.store("shop_plans_total", {labels: (times, row) for labels, row in orders.items()})
    born = time.time() + np.arange(-30.0, 1800.0, 15.0)
    server.store("newborn_total", {(): (born, np.arange(len(born), dtype=np.float64))})
    server.store("short", {(): (times[-600:], series["queue_depth"][-600:])})
    server.store("fresh", {(): (times[-5 * PER_DAY :], series["queue_depth"][-5 * PER_DAY :])})
    with prometheus(binaries(), folder, flags=FLAGS) as found:
        yield found


ORDERS = {"name": "orders", "metric": "shop_orders_total", "kind": "count"}
QUEUE = {"name": "queue", "metric": "queue_depth", "kind": "gauge"}


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., Path]:
    def write(*signals: dict[str, Any], name: str = "shop.yml") -> Path:
        path = tmp_path / name
        path.write_text(yaml.safe_dump({"unless": [], "signals": list(signals)}))
        return path

    return write


def _backtest(*words: object) -> int:
    parser = argparse.ArgumentParser()
    rules._backtest_flags(parser)
    return backtest.run(parser.parse_args([str(word) for word in words]))


def _simulate(*words: object) -> int:
    parser = argparse.ArgumentParser()
    rules._simulate_flags(parser)
    return simulate.run(parser.parse_args([str(word) for word in words]))


def _incidents(folder: Path) -> Path:
    rows = ["start,end,signal,name"]
    for place, signal in ((DROP, "orders"), (OUTAGE, "orders"), (SURGE, "queue")):
        rows.append(f"{START + place.start * STEP},{START + place.stop * STEP},{signal},real")
    path = folder / "incidents.csv"
    path.write_text("\n".join(rows))
    return path


def test_a_backtest_finds_what_happened_and_judges_it(
    url: str, written: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = written(ORDERS, QUEUE)
    words = ["--incidents", _incidents(tmp_path), "--budget", 0.5, "--json"]
    assert _backtest(file, "--prometheus", url, *SPAN, *words) == 0
    found = json.loads(capsys.readouterr().out)
    orders, queue = found["signals"]
    assert (orders["incidents"], orders["found"], queue["incidents"], queue["found"]) == (2, 2, 1, 1)
    assert {one["alert"] for one in orders["episodes"] if one["true"]} == {"SignalBelowNormal", "SignalStopped"}
    assert {one["alert"] for one in queue["episodes"] if one["true"]} == {"SignalAboveNormal"}
    assert orders["delay_median_seconds"] <= 1800
    [same] = [one for one in orders["trials"] if one["factor"] == 1.05 and one["hold_seconds"] == 1800]
    assert (same["sensitivity"], same["told"]) == ("standard", orders["told"])
    assert orders["recommended"]["within_budget"]


def test_a_setting_that_was_tried_tells_what_the_file_would_tell_with_it(
    url: str, written: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    for factor in (0.8, 1.5):
        assert _backtest(written({**ORDERS, "sensitivity": factor}, QUEUE), "--prometheus", url, *SPAN, "--json") == 0
        orders, _ = json.loads(capsys.readouterr().out)["signals"]
        [tried] = [one for one in orders["trials"] if one["sensitivity"] == factor]
        assert (tried["told"], tried["false_per_series_week"]) == (orders["told"], orders["false_per_series_week"])


def test_a_backtest_is_told_in_tables_with_what_it_thinks_of_the_data(
    url: str, written: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = written({**ORDERS, "sensitivity": 3.0}, name="old.yml")
    page = tmp_path / "out.html"
    words = ["--incidents", _incidents(tmp_path), "--against", old, "--html", page]
    assert _backtest(written(ORDERS, QUEUE), "--prometheus", url, *SPAN, *words) == 0
    said = capsys.readouterr().out
    for part in (
        "orders, old",
        "orders, new",
        "2 of 2",
        "factor",
        "its counters began anew once",
        "3 of its values are Inf",
        "no number for 3h20m from 2025-03-25 00:00 UTC",
        "SignalGone would have been told 1x",
    ):
        assert part in said
    drawn = page.read_text()
    assert drawn.count("<svg") >= 2
    assert "http" not in drawn.replace("http://www.w3.org", "")


def test_without_incidents_it_says_that_every_episode_is_noise(
    url: str, written: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert _backtest(written(ORDERS), "--prometheus", url, *SPAN) == 0
    assert "every episode counts as a false alarm" in capsys.readouterr().out


def test_a_simulation_tells_what_would_be_found(
    url: str, written: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "out.html"
    assert _simulate(written(ORDERS, QUEUE), "--prometheus", url, *SPAN, "--json", "--html", page) == 0
    orders, queue = json.loads(capsys.readouterr().out)["signals"]
    cases = {(one["kind"], one["factor"], one["seconds"]): one for one in orders["cases"]}
    assert cases["outage", 0.0, 7200]["injected"] >= 10
    assert cases["outage", 0.0, 7200]["recall"] == 1.0
    assert cases["drop", 0.2, 7200]["recall"] >= cases["drop", 0.7, 14_400]["recall"]
    assert "outage" not in {one["kind"] for one in queue["cases"]}
    assert "outage for 2h" in page.read_text()


def test_the_same_seed_gives_the_same_simulation(
    url: str, written: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    told = []
    for seed in (3, 3, 4):
        assert _simulate(written(ORDERS), "--prometheus", url, *SPAN, "--json", "--seed", seed) == 0
        told.append(capsys.readouterr().out)
    assert told[0] == told[1] != told[2]


@pytest.mark.parametrize(
    ("signal", "said"),
    [
        pytest.param(
            {"name": "a", "metric": "queue_dept", "kind": "gauge"},
            "the server has no metric 'queue_dept'; did you mean 'queue_depth'?",
            id="a metric that doesn't exist",
        ),
        pytest.param(
            {"name": "a", "query": "sum(queue_dept)", "kind": "gauge"},
            "its query returned nothing from 2025-02-04 18:00 UTC to 2025-04-10 00:00 UTC; try it in Prometheus: there is no 'queue_dept'; did you mean 'queue_depth'?",
            id="a query of a metric that doesn't exist",
        ),
        pytest.param(
            {"name": "a", "metric": "queue_depth", "match": {"team": "x"}, "kind": "gauge"},
            "'queue_depth' is there, but nothing from 2025-02-04 18:00 UTC to 2025-04-10 00:00 UTC with team=\"x\"",
            id="a match that nothing meets",
        ),
        pytest.param(
            {"name": "a", "metric": "jobs", "kind": "gauge"},
            "jobs only grows, as a counter does, and kind is gauge: there is no normal to find; say 'kind: count'",
            id="a counter given as a gauge",
        ),
        pytest.param(
            {"name": "a", "query": "sum(shop_orders_total)", "kind": "gauge"},
            "its query only grows, as a counter does",
            id="a query of a counter that began anew, given as a gauge",
        ),
        pytest.param(
            {"name": "a", "metric": "shop_stock", "kind": "count"},
            "% of its samples, as a gauge does, and kind is count: its rate means nothing; say 'kind: gauge'",
            id="a gauge given as a count",
        ),
        pytest.param(
            {"name": "a", "metric": "newborn_total", "kind": "count"},
            "'newborn_total' is there for less than an hour; there is nothing to do but wait: rules tell after",
            id="a counter that was scraped for the first time just now",
        ),
        pytest.param(
            {"name": "a", "metric": "short", "kind": "gauge"},
            "has values from 2025-04-07 22:00 UTC on, which is too little to learn from",
            id="history that is too short to learn from",
        ),
    ],
)
def test_a_signal_that_cant_be_judged_is_named_with_the_next_step(
    signal: dict[str, Any], said: str, url: str, written: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert _backtest(written(signal, ORDERS), "--prometheus", url, *SPAN) == 1
    told = capsys.readouterr().out
    assert re.search(f"^not judged a: .*{re.escape(said)}", told, re.MULTILINE)
    assert "note a: its counters began anew" not in told
    assert "orders" in told


@pytest.mark.parametrize(
    ("signal", "said"),
    [
        pytest.param(
            {"metric": "shop_plans_total", "by": ["plam"]},
            "note a: no series of 'shop_plans_total' has the label 'plam', which 'by' names; did you mean 'plan'?",
            id="a label that no series has",
        ),
        pytest.param(
            {"query": "sum by (plan) (rate(shop_plans_total[5m]))", "by": ["plam"]},
            "note a: its query returns no label 'plam', which 'by' names; did you mean 'plan'?",
            id="a label that the query doesn't return",
        ),
        pytest.param(
            {"query": "sum by (plan, pod) (rate(shop_plans_total[5m]))", "by": ["plan"]},
            "note a: series of its query differ in 'pod' too: put that into 'by', or sum it away in the query",
            id="a label of the query that 'by' doesn't name",
        ),
    ],
)
def test_labels_that_dont_divide_a_signal_as_its_file_says_are_noted(
    signal: dict[str, Any], said: str, url: str, written: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert _backtest(written({"name": "a", "kind": "count", **signal}), "--prometheus", url, *SPAN) == 0
    assert said in capsys.readouterr().out


def test_labels_that_divide_a_signal_as_its_file_says_are_not_noted(
    url: str, written: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    query = 'label_replace(sum by (plan) (rate(shop_plans_total[5m])), "owner", "shop-$1", "plan", "(.*)")'
    signals = [
        {"name": "a", "kind": "count", "query": query},
        {"name": "b", "kind": "count", "metric": "shop_plans_total"},
    ]
    assert _backtest(written(*({**one, "by": ["plan"]} for one in signals)), "--prometheus", url, *SPAN) == 0
    assert "'by'" not in capsys.readouterr().out


def test_a_simulation_leaves_out_what_cant_be_judged(
    url: str, written: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    short = {"name": "short", "metric": "short", "kind": "gauge"}
    page = tmp_path / "out.html"
    assert _simulate(written(short, ORDERS), "--prometheus", url, *SPAN, "--json", "--html", page) == 1
    assert [one["name"] for one in json.loads(capsys.readouterr().out)["signals"]] == ["orders"]
    assert "short" not in page.read_text()
    assert _simulate(written(short), "--prometheus", url, *SPAN) == 1
    said = capsys.readouterr().out
    assert "not judged short: " in said
    assert "No signal could be judged." in said
    assert "Injected" not in said


def test_history_shorter_than_the_warm_up_is_judged_from_when_on_rules_tell(
    url: str, written: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    fresh = {"name": "fresh", "metric": "fresh", "kind": "gauge"}
    assert _backtest(written(fresh), "--prometheus", url, *SPAN) == 0
    assert (
        "note fresh: has values from 2025-04-05 00:00 UTC on, and rules tell from 2025-04-0" in capsys.readouterr().out
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        pytest.param(["--from", "2025-04-10", "--to", "2025-03-20"], "are they exchanged?", id="from after to"),
        pytest.param(["--from", "yesterday"], "--from: 'yesterday' is no time; write it like", id="no time"),
        pytest.param(["--to", "2099-01-01"], "--to is 2099-01-01 00:00:00 UTC, which is still to come", id="future"),
        pytest.param(["--from", "2025-04-10", "--to", "2025-04-10T00:30:00Z"], "less than an hour", id="too short"),
        pytest.param([*SPAN, "--budget", "-1"], "--budget is a number of false alarms", id="a budget below nothing"),
        pytest.param([*SPAN, "--token-file", "none"], "none", id="a token's file that isn't there"),
    ],
)
def test_words_of_the_command_line_that_make_no_sense_are_refused(
    words: list[str], said: str, url: str, written: Callable[..., Path]
) -> None:
    with pytest.raises(ValueError, match=said.replace("?", "[?]")):
        _backtest(written(ORDERS), "--prometheus", url, *words)


def test_incidents_of_the_future_are_refused_with_file_and_line(
    url: str, written: Callable[..., Path], tmp_path: Path
) -> None:
    path = tmp_path / "incidents.csv"
    path.write_text("start,end\n2099-01-01T00:00:00Z,2099-01-01T01:00:00Z\n")
    with pytest.raises(ConfigError, match=r"incidents.csv:2:1: starts at .*, which is still to come"):
        _backtest(written(ORDERS), "--prometheus", url, *SPAN, "--incidents", path)


def test_a_prometheus_that_cant_be_reached_is_told_with_what_to_try(written: Callable[..., Path]) -> None:
    address = f"http://127.0.0.1:{free_ports(1)[0]}"
    with pytest.raises(ValueError, match=r"can't be reached .*; does it run, and does `curl .*/-/ready` answer"):
        _backtest(written(ORDERS), "--prometheus", address, *SPAN)


@pytest.mark.parametrize("address", ["127.0.0.1:9090", "localhost:9090", "/prometheus"])
def test_an_address_without_its_scheme_is_refused(address: str, written: Callable[..., Path]) -> None:
    for command in (_backtest, _simulate):
        with pytest.raises(ValueError, match=rf"--prometheus: '{address}' has to begin with http:// or https://"):
            command(written(ORDERS), "--prometheus", address, *SPAN)


REFUSALS = {
    401: (b"who are you", "it wants a token: give a file that holds it with --token-file"),
    400: (b'{"status": "error", "error": "parse error"}', "parse error; try the query in Prometheus itself"),
    500: (b"", "answered 500; does it run"),
}


@pytest.fixture
async def refusing() -> AsyncIterator[str]:
    """The URL of a server that refuses with the status that its path begins with."""

    async def refuse(request: web.Request) -> web.Response:
        status = int(request.path.split("/")[1])
        return web.Response(status=status, body=REFUSALS[status][0])

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", refuse)
    async with TestServer(application) as server:
        yield str(server.make_url("/"))


@pytest.mark.parametrize("status", REFUSALS)
async def test_a_prometheus_that_refuses_is_told_with_what_to_try(
    status: int, refusing: str, written: Callable[..., Path]
) -> None:
    with pytest.raises(ValueError, match=r"try|token|run") as caught:
        await asyncio.to_thread(_backtest, written(ORDERS), "--prometheus", f"{refusing}{status}", *SPAN)
    assert REFUSALS[status][1] in str(caught.value)
