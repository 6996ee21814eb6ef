"""The whole chain on real Prometheus and Alertmanager: what happens out there, and what a responder reads of it."""

import asyncio
import signal
from pathlib import Path

import pytest

from tests.support.dashboards import Grafana, empty_queries
from tests.support.running import Running, running

BILL = "sandbox-mail: subscription unpaid"
SHOP = "checkouts: fewer events"


async def fire(run: Running) -> None:
    run.sandbox.paid = False
    await run.until(lambda: bool(run.told("FIRING", BILL)), "the unpaid bill is told", seconds=60)


async def resolve(run: Running) -> None:
    run.sandbox.paid = True
    await run.until(lambda: bool(run.told("RESOLVED", BILL)), "the paid bill is told", seconds=30)


async def recorded(run: Running) -> bool:
    incident = await run.get("receiver", "/v1/incidents/1")
    return all(notice["state"] == "sent" for notice in incident["notices"])


async def test_an_unpaid_bill_is_told_once_and_its_payment_once(tmp_path: Path) -> None:
    async with running(tmp_path) as run:
        await fire(run)
        body = run.sandbox.messages[0]["body"]
        for part in (
            "It is no outage and no bad key",
            "probes in a row",
            "Owner: finance",
            "First step: ",
            "If that fails:",
        ):
            assert part in body
        incident = await run.get("receiver", "/v1/incidents/1")
        assert incident["state"] == "open"
        assert incident["notices"][0]["deliveries"][0]["http_status"] == 200
        await resolve(run)
        assert "Measured now: 0 probes in a row" in run.sandbox.messages[-1]["body"]
        await asyncio.sleep(5)
        assert len(run.titles()) == 2, run.titles()
        assert not run.titles("pager")


async def test_a_usage_drop_is_told_and_so_is_its_end(tmp_path: Path) -> None:
    async with running(tmp_path) as run:
        # the rule wants three minutes of normal business before it speaks of too little
        await asyncio.sleep(100)
        run.sandbox.selling = False
        await run.until(lambda: bool(run.told("FIRING", SHOP)), "the drop is told", seconds=260)
        assert "at least 120 events/min" in run.sandbox.messages[0]["body"]
        assert "Owner: payments" in run.sandbox.messages[0]["body"]
        run.sandbox.selling = True
        await run.until(lambda: bool(run.told("RESOLVED", SHOP)), "its end is told", seconds=120)
        assert len(run.titles()) == 2, run.titles()


async def test_while_all_is_well_nobody_is_told_anything(tmp_path: Path) -> None:
    async with running(tmp_path) as run:
        await asyncio.sleep(75)
        assert run.sandbox.messages == []
        firing = await run.get("prometheus", "/api/v1/alerts")
        assert {alert["labels"]["alertname"] for alert in firing["data"]["alerts"]} == {"Watchdog"}


RESTARTS = [
    ("the exporter", "exporter", signal.SIGTERM, 12),
    ("the exporter by kill -9", "exporter", signal.SIGKILL, 12),
    ("the receiver", "receiver", signal.SIGTERM, 12),
    ("the receiver by kill -9", "receiver", signal.SIGKILL, 12),
    # a new Prometheus has not seen the alert fire, so it doesn't resolve it: Alertmanager does, when it expires
    ("Prometheus", "prometheus", signal.SIGTERM, 12),
    ("Alertmanager", "alertmanager", signal.SIGTERM, 12),
    # one that was killed forgets what it told, and hears of the alert again within a minute
    ("Alertmanager by kill -9", "alertmanager", signal.SIGKILL, 75),
]


@pytest.mark.parametrize(("name", "number", "pause"), [row[1:] for row in RESTARTS], ids=[row[0] for row in RESTARTS])
async def test_a_restart_in_the_middle_loses_nothing_and_repeats_nothing(
    tmp_path: Path, name: str, number: signal.Signals, pause: float
) -> None:
    async with running(tmp_path) as run:
        await fire(run)
        # a receiver killed between its message and the record of it says it again, marked: the kill loop is about that
        await run.until(lambda: recorded(run), "the receiver has on record that it was told", seconds=10)
        await run.stop(name, number)
        await asyncio.sleep(3)
        await run.start(name)
        await asyncio.sleep(pause)
        assert len(run.titles()) == 1, run.titles()
        run.sandbox.paid = True
        await run.until(lambda: bool(run.told("RESOLVED", BILL)), "the paid bill is told", seconds=330)
        await asyncio.sleep(3)
        assert len(run.titles()) == 2, run.titles()


async def test_a_bill_that_lapses_while_the_receiver_is_away_is_told_when_it_is_back(tmp_path: Path) -> None:
    async with running(tmp_path) as run:
        await run.stop("receiver", signal.SIGKILL)
        run.sandbox.paid = False
        await asyncio.sleep(40)
        assert run.titles() == []
        await run.start("receiver")
        await run.until(lambda: bool(run.told("FIRING", BILL)), "the unpaid bill is told", seconds=30)
        await resolve(run)
        assert len(run.told("FIRING", BILL)) == 1


async def test_a_critical_alert_reaches_the_pager_without_the_receiver(tmp_path: Path) -> None:
    async with running(tmp_path) as run:
        await fire(run)
        await run.stop("receiver")
        await run.until(lambda: any("sandbox-mail" in title for title in run.titles("pager")), "paged", seconds=220)
        await run.start("receiver")
        await run.until(
            lambda: any(title.startswith("resolve") for title in run.titles("pager")),
            "the page is taken back",
            seconds=60,
        )
        assert len(run.titles()) == 1, run.titles()


MEASURED = ("thirdparties", "usage", "ingestion", "delivery", "tocsin")
"""The dashboards of what every installation has; test_dashboards.py has the others."""
UNTOLD_BY_THE_SANDBOX = {
    "ingestion: Messages and log lines read",
    "ingestion: Kafka lag",
    "ingestion: How old is what is read now?",
    "ingestion: Keys remembered by rules",
    "ingestion: Sources, and what troubles them",
    "thirdparties: Credit left at its pace",
    "thirdparties: Quota used",
    "thirdparties: The calendar: what ends next",
    "thirdparties: Cards by expiry, and what they pay",
    "thirdparties: Balances and quotas, the shortest first",
}
"""The sandbox has no credit, no quota, no card, no Kafka and no rule about keys."""


async def test_the_dashboards_have_something_to_show_while_a_bill_is_unpaid(tmp_path: Path) -> None:
    async with running(tmp_path) as run:
        await fire(run)
        grafana = Grafana(run.stack.ports.url("prometheus"))
        empty = await asyncio.to_thread(empty_queries, grafana, MEASURED)
        panels = {query.rpartition(" [")[0] for query in empty if "(annotation)" not in query}
        assert panels == UNTOLD_BY_THE_SANDBOX
