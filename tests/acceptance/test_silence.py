"""Silences in a real Alertmanager: one covers every alert of its incident, whatever their labels hold, and no other."""

import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from receiver.alerts import AlertEvent
from receiver.desk.matching import matchers
from receiver.incidents import Incident
from tests.support import alertmanagers, processes
from tests.support.running import binaries
from toolkit.alertmanager import Alertmanager, Matcher, Unreachable

Labels = dict[str, str]
CASES: list[tuple[str, list[Labels], Labels]] = [
    # name, the incident's alerts, another alert that is not silenced
    ("one alert", [{"alertname": "Down", "service": "api"}], {"alertname": "Down", "service": "web"}),
    (
        "alerts of two services, silenced by what each can be",
        [{"alertname": "Down", "service": "api"}, {"alertname": "Slow", "service": "db"}],
        {"alertname": "Slow", "service": "cache"},
    ),
    (
        "values that would be expressions",
        [{"alertname": "A.B|C", "service": "x(1)[2]{3}\\d+*?^$"}, {"alertname": "A/B-C", "service": "#&~'\"`<>"}],
        {"alertname": "AxB|C", "service": "x"},
    ),
    (
        "words of any language, blanks and lines",
        [{"alertname": "Störung 東京", "service": "a b\tc\nd"}, {"alertname": "Ωmega", "service": "é"}],
        {"alertname": "Störung", "service": "e"},
    ),
]


def rfc3339(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat()


def incident(alerts: list[Labels]) -> Incident:
    events = tuple(AlertEvent(str(number), "firing", 1.0, None, labels, {}, "") for number, labels in enumerate(alerts))
    return Incident(1, "k", "open", "warning", 1.0, None, 1, events)


async def post(session: aiohttp.ClientSession, url: str, alerts: list[Labels]) -> None:
    items = [{"labels": labels, "startsAt": rfc3339(time.time())} for labels in alerts]
    async with session.post(f"{url}/api/v2/alerts", json=items) as answer:
        assert answer.status == 200, await answer.text()


async def states(session: aiohttp.ClientSession, url: str) -> dict[tuple[str, str], str]:
    async with session.get(f"{url}/api/v2/alerts") as answer:
        found: list[dict[str, Any]] = await answer.json()
    return {(one["labels"]["alertname"], one["labels"]["service"]): one["status"]["state"] for one in found}


@pytest.mark.parametrize(("alerts", "other"), [row[1:] for row in CASES], ids=[row[0] for row in CASES])
async def test_a_silence_covers_the_incident_and_nothing_else(
    tmp_path: Path, alerts: list[Labels], other: Labels
) -> None:
    async with aiohttp.ClientSession() as session:
        server = alertmanagers.Alertmanager("am", binaries(), tmp_path, session, "http://127.0.0.1:1/")
        async with processes.running(server.process):
            url, now = server.process.url, time.time()
            await post(session, url, [*alerts, other])
            found = matchers(incident(alerts), ("service",))
            id_ = await Alertmanager(session, url).silence(found, now, now + 7200, "ana", "being replaced")

            async def silenced() -> bool:
                known = await states(session, url)
                hidden = {key for key, state in known.items() if state == "suppressed"}
                return hidden == {(one["alertname"], one["service"]) for one in alerts} and len(known) > len(alerts)

            await processes.until(silenced, "its alerts are silenced, and no other")
            async with session.get(f"{url}/api/v2/silence/{id_}") as answer:
                silence = await answer.json()
            assert (silence["createdBy"], silence["comment"]) == ("ana", "being replaced")


async def test_what_alertmanager_refuses_is_said_in_its_words(tmp_path: Path) -> None:
    async with aiohttp.ClientSession() as session:
        server = alertmanagers.Alertmanager("am", binaries(), tmp_path, session, "http://127.0.0.1:1/")
        async with processes.running(server.process):
            asked, now = Alertmanager(session, server.process.url), time.time()
            with pytest.raises(Unreachable, match=r"Alertmanager answered 400: .*[a-z]{4}"):
                await asked.silence([Matcher("a", "(", is_regex=True)], now, now + 60, "ana", "x")


def test_a_storm_has_no_silence_for_it_would_cover_all_that_is_critical() -> None:
    storm = [{"alertname": f"A{n}", "severity": "critical"} for n in range(101)]
    assert len(matchers(incident(storm[:100]), ())) == 2
    assert matchers(incident(storm), ()) == ()
    assert matchers(incident([{"a": "1"}, {"b": "1"}]), ("service",)) == ()
    ended = replace(incident([{"a": "1"}]), alerts=())
    assert matchers(ended, ()) == ()
