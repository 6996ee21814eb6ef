"""The incident's state machine: timelines as tables, and the law that order and repetition don't matter."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from receiver.alerts import AlertEvent, Occurrence, Status
from receiver.incidents import Incident, advance


def fires(name: str = "a", at: float = 100, severity: str = "warning") -> AlertEvent:
    return AlertEvent(name, "firing", at, None, {"alertname": name, "severity": severity}, {}, "")


def ends(name: str = "a", at: float = 100, end: float = 200) -> AlertEvent:
    return replace(fires(name, at), status="resolved", ends_at=end)


class Log:
    """What a store would remember between calls."""

    def __init__(self) -> None:
        self.incident: Incident | None = None
        self.past: dict[Occurrence, Status] = {}
        self.closed = 0
        self.reasons: list[str] = []
        self.notices: list[str] = []

    def feed(self, event: AlertEvent) -> None:
        step = advance(self.incident, self.past, "key", [event], now=1000)
        self.reasons += step.reasons
        self.notices += [step.notice] if step.notice else []
        if self.past.get(event.occurrence) != "resolved":
            self.past[event.occurrence] = event.status
        self.incident = step.incident
        if self.incident is not None and not self.incident.live:
            self.closed += 1
            # a store finds an incident that has ended again only within the window
            self.ended, self.incident = self.incident, None

    @property
    def firing(self) -> set[Occurrence]:
        return {alert.occurrence for alert in self.incident.firing} if self.incident else set()


TIMELINES = [
    ("one alert fires and ends", [fires(), ends()], ["opened", "resolved"]),
    ("a repeated firing is no news", [fires(), fires(), ends()], ["opened", "repeat", "resolved"]),
    ("a repeated resolve is no news", [fires(), ends(), ends()], ["opened", "resolved", "repeat"]),
    ("a firing after its resolve pages nobody", [fires(), ends(), fires()], ["opened", "resolved", "stale"]),
    ("a resolve that overtakes its firing", [ends(), fires()], ["never_fired_here", "stale"]),
    ("the next occurrence is a new incident", [fires(), ends(), fires(at=300)], ["opened", "resolved", "opened"]),
    ("a second alert joins", [fires("a"), fires("b"), ends("a"), ends("b")], ["opened", "joined", "partly_resolved", "resolved"]),
    ("a worse one is told", [fires("a"), fires("b", severity="critical")], ["opened", "severity_rose"]),
    ("a milder one is not", [fires("a", severity="critical"), fires("b")], ["opened", "joined"]),
    ("a lost resolve: the next occurrence takes the place", [fires(), fires(at=300), ends(at=300, end=400)], ["opened", "joined", "resolved"]),
    ("an older occurrence comes after a later one ended", [ends(at=300, end=400), fires(at=100)], ["never_fired_here", "stale"]),
    ("a lost resolve, and a new outbreak a day later", [fires(), fires(at=90_000)], ["opened", "fired_again"]),
    ("an older occurrence comes late", [fires(at=300), fires(at=100)], ["opened", "stale"]),
    ("the resolve of an older occurrence ends nothing", [fires(at=300), ends(at=100)], ["opened", "stale"]),
    ("a resolve of what never fired here", [fires("a"), ends("b")], ["opened", "never_fired_here"]),
    ("of two Prometheus servers the later is heard first", [fires(at=115), fires(at=100), ends(at=100, end=400)], ["opened", "stale", "resolved"]),
    ("the resolve of a later occurrence ends the earlier", [fires(at=100), ends(at=300, end=400)], ["opened", "resolved"]),
]  # fmt: skip


@pytest.mark.parametrize(("events", "reasons"), [row[1:] for row in TIMELINES], ids=[row[0] for row in TIMELINES])
def test_events_move_an_incident_and_each_step_says_why(events: list[AlertEvent], reasons: list[str]) -> None:
    log = Log()
    for event in events:
        log.feed(event)
    assert log.reasons == reasons


def test_alerts_that_fire_together_are_told_in_one_notice() -> None:
    step = advance(None, {}, "key", [fires("a"), fires("b"), fires("c", severity="critical")], now=1)
    assert step.reasons == ("opened", "joined", "severity_rose")
    assert step.incident is not None
    assert (step.incident.revision, step.incident.severity, len(step.incident.firing)) == (1, "critical", 3)
    assert step.incident.leading.fingerprint == "c"


def test_a_notice_is_the_last_thing_worth_telling() -> None:
    assert advance(None, {}, "key", [fires("a"), fires("b")], now=1).notice == "opened"


def test_what_changes_nothing_is_no_revision() -> None:
    incident = advance(None, {}, "key", [fires()], now=1).incident
    assert advance(incident, {fires().occurrence: "firing"}, "key", [fires()], now=2).incident == incident


@pytest.mark.parametrize("severity", ["", "page", "P1"])
def test_a_severity_nobody_knows_counts_as_a_warning(severity: str) -> None:
    incident = advance(None, {}, "key", [fires(severity=severity)], now=1).incident
    assert incident is not None
    assert incident.severity == "warning"


def histories() -> st.SearchStrategy[list[AlertEvent]]:
    """True histories of three alerts: each fires and may end, several times over."""

    def history(draws: list[tuple[str, int, bool]]) -> list[AlertEvent]:
        events: list[AlertEvent] = []
        clock = 0.0
        open_at: dict[str, float] = {}
        for name, gap, end in draws:
            clock += gap
            if name in open_at and end:
                events.append(ends(name, open_at.pop(name), clock))
            elif name not in open_at:
                open_at[name] = clock
                events.append(fires(name, clock))
        return events

    return st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 9), st.booleans()), max_size=12).map(history)


@settings(max_examples=500)
@given(data=st.data(), events=histories())
def test_any_order_and_any_repetition_ends_with_the_same_alerts_firing(
    data: st.DataObject, events: list[AlertEvent]
) -> None:
    straight = Log()
    for event in events:
        straight.feed(event)
    shuffled = Log()
    repeats = data.draw(st.lists(st.sampled_from(events), max_size=6)) if events else []
    for event in data.draw(st.permutations(events + repeats)):
        shuffled.feed(event)
    assert shuffled.firing == straight.firing


@given(events=histories())
def test_in_order_every_incident_is_told_once_and_ended_once(events: list[AlertEvent]) -> None:
    log = Log()
    for event in events:
        log.feed(event)
    opened, resolved = log.notices.count("opened"), log.notices.count("resolved")
    assert opened - resolved == (1 if log.firing else 0)
    assert resolved == log.closed
