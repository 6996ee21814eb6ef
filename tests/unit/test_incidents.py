"""The incident's state machine: timelines as tables, and the law that order and repetition don't matter."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from receiver.alerts import AlertEvent, Occurrence, Origin, Status
from receiver.incidents import STORM_KEY, Incident, acknowledge, advance
from receiver.services import ServiceGraph


def fires(name: str = "a", at: float = 100, severity: str = "warning") -> AlertEvent:
    return AlertEvent(name, "firing", at, None, {"alertname": name, "severity": severity}, {}, "")


def ends(name: str = "a", at: float = 100, end: float = 200) -> AlertEvent:
    return replace(fires(name, at), status="resolved", ends_at=end)


class Log:
    """What a store would remember between calls. Within `window` seconds after its end an incident is reopened."""

    def __init__(self, window: float = -1) -> None:
        self.window = window
        self.incident: Incident | None = None
        self.ended: Incident | None = None
        self.past: dict[Occurrence, Status] = {}
        self.closed = 0
        self.reasons: list[str] = []
        self.notices: list[str] = []

    def feed(self, event: AlertEvent) -> None:
        before = self.incident
        if before is None and self.ended is not None and event.status == "firing":
            assert self.ended.resolved_at is not None
            before = self.ended if event.starts_at - self.ended.resolved_at <= self.window else None
        step = advance(before, self.past, "key", [event], now=1000)
        self.reasons += step.reasons
        self.notices += [step.notice] if step.notice else []
        if self.past.get(event.occurrence) != "resolved":
            self.past[event.occurrence] = event.status
        self.incident = step.incident
        if self.incident is not None and not self.incident.live:
            self.closed += step.notice is not None
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


REOPENED = [
    ("back within the window is the same incident", [fires(), ends(), fires(at=300)], ["opened", "resolved", "reopened"], "reopened"),
    ("back after it is another", [fires(), ends(), fires(at=301)], ["opened", "resolved", "opened"], "open"),
    ("another alert of it comes within the window", [fires(), ends(), fires("b", at=250)], ["opened", "resolved", "reopened"], "reopened"),
    ("it ends for good", [fires(), ends(), fires(at=300), ends(at=300, end=400)], ["opened", "resolved", "reopened", "resolved"], None),
    ("one that began before the end, heard late", [fires(), ends(), fires("b", at=150)], ["opened", "resolved", "reopened"], "reopened"),
    ("a late repeat reopens nothing", [fires(), ends(), fires()], ["opened", "resolved", "stale"], None),
    ("a stray resolve reopens nothing", [fires(), ends(), ends("b", end=210)], ["opened", "resolved", "never_fired_here"], None),
]  # fmt: skip


@pytest.mark.parametrize(
    ("events", "reasons", "state"), [row[1:] for row in REOPENED], ids=[row[0] for row in REOPENED]
)
def test_what_comes_back_soon_is_the_same_incident(
    events: list[AlertEvent], reasons: list[str], state: str | None
) -> None:
    log = Log(window=100)
    for event in events:
        log.feed(event)
    assert log.reasons == reasons
    assert (log.incident.state if log.incident else None) == state


ENDS = [
    ("a resolve that was lost", "reconciled", "vanished"),
    ("a resolve while Prometheus is silent", "source_lost", "source_lost"),
    ("a resolve like any other", "webhook", "resolved"),
]


@pytest.mark.parametrize(("origin", "state"), [row[1:] for row in ENDS], ids=[row[0] for row in ENDS])
def test_an_incident_is_in_the_state_of_its_last_end(origin: Origin, state: str) -> None:
    opened = advance(None, {}, "key", [fires("a"), fires("b")], now=1).incident
    past: dict[Occurrence, Status] = {("a", 100): "firing", ("b", 100): "firing"}
    step = advance(opened, past, "key", [ends("a", end=300), replace(ends("b"), origin=origin)], now=1)
    assert step.incident is not None
    assert (step.incident.state, step.notice) == (state, state)
    assert step.incident.resolved_at == 300


def test_an_acknowledgement_lasts_until_it_fires_anew() -> None:
    opened = advance(None, {}, "key", [fires()], now=1).incident
    assert opened is not None
    taken = acknowledge(opened, "ada", 120)
    assert (taken.state, taken.acknowledged_by, taken.revision) == ("acknowledged", "ada", 2)
    assert acknowledge(taken, "bob", 130) == taken
    worse = advance(taken, {}, "key", [fires("b", severity="critical")], now=1).incident
    assert worse is not None
    assert worse.state == "acknowledged"
    ended = advance(taken, {("a", 100): "firing"}, "key", [ends()], now=1).incident
    assert ended is not None
    assert acknowledge(ended, "bob", 300) == ended
    again = advance(ended, {("a", 100): "resolved"}, "key", [fires(at=300)], now=1).incident
    assert again is not None
    assert (again.state, again.acknowledged_by, again.reopened) == ("reopened", None, 1)


GRAPH = ServiceGraph({"web": ("api",), "api": ("db", "cache"), "db": (), "cache": ()})


def of(service: str, name: str = "", severity: str = "warning") -> AlertEvent:
    event = fires(name or service, severity=severity)
    return replace(event, labels={**event.labels, "service": service})


CAUSES = [
    ("the lower of two", [of("web"), of("api")], "api"),
    ("the lowest of a chain, whatever the order", [of("db"), of("web"), of("api")], "db"),
    ("the lowest, though another is more severe", [of("web", severity="critical"), of("db")], "db"),
    ("two that nobody here needs more than the other", [of("db"), of("cache")], None),
    ("two that stand side by side under a third", [of("db"), of("cache"), of("api")], None),
    ("one service alone is no cause of others", [of("db"), of("db", "db2")], None),
    ("a service that the graph does not know", [of("web"), of("mail")], None),
]


@pytest.mark.parametrize(("events", "cause"), [row[1:] for row in CAUSES], ids=[row[0] for row in CAUSES])
def test_the_service_that_the_others_need_is_the_cause_and_speaks_for_them(
    events: list[AlertEvent], cause: str | None
) -> None:
    incident = advance(None, {}, "key", events, now=1, graph=GRAPH).incident
    assert incident is not None
    assert incident.cause == cause
    assert cause is None or incident.leading.fingerprint == cause


def test_a_cause_that_is_found_later_is_told() -> None:
    opened = advance(None, {}, "key", [of("web")], now=1, graph=GRAPH).incident
    assert advance(opened, {}, "key", [of("db")], now=1, graph=GRAPH).notice == "cause_found"
    assert advance(opened, {}, "key", [of("web", "web2")], now=1, graph=GRAPH).notice is None


def test_an_end_that_leaves_one_cause_is_no_news() -> None:
    opened = advance(None, {}, "key", [of("api"), of("db"), of("cache")], now=1, graph=GRAPH).incident
    assert opened is not None
    assert opened.cause is None
    gone = replace(of("cache"), status="resolved", ends_at=200)
    step = advance(opened, {("cache", 100): "firing"}, "key", [gone], now=1, graph=GRAPH)
    assert step.incident is not None
    assert (step.incident.cause, step.reasons, step.notice) == ("db", ("partly_resolved",), None)


def test_incidents_that_have_a_cause_in_common_become_the_first_of_them() -> None:
    web = advance(None, {}, "w", [of("web")], now=1).incident
    api = advance(None, {}, "a", [of("api", severity="critical")], now=1).incident
    assert web is not None
    assert api is not None
    step = advance(replace(web, id=1), {}, "w", [of("db")], 500, [replace(api, id=2)], GRAPH)
    assert step.incident is not None
    assert {alert.service for alert in step.incident.firing} == {"web", "api", "db"}
    assert (step.incident.severity, step.incident.cause, step.notice) == ("critical", "db", "cause_found")
    (merged,) = step.merged
    assert (merged.state, merged.merged_into, merged.resolved_at, merged.alerts) == ("merged", 1, 500, ())


def test_a_storm_is_told_again_each_time_it_has_doubled() -> None:
    incident, told = None, list[int]()
    for number in range(70):
        step = advance(incident, {}, STORM_KEY, [fires(str(number))], now=1)
        incident = step.incident
        told += [number + 1] if step.notice else []
    assert told == [1, 2, 4, 8, 16, 32, 64]


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
    window = data.draw(st.sampled_from([-1, 3, 100]))
    straight = Log(window)
    for event in events:
        straight.feed(event)
    shuffled = Log(window)
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
