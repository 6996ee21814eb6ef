"""A drill's decisions: whose alert it is, to whom it goes, when it may start, which hop it is at."""

import pytest

from receiver.drills.drill import (
    ALERT,
    Drill,
    Finding,
    Heard,
    Hop,
    HopName,
    Record,
    Told,
    drill_targets,
    ended,
    hops,
    refusal,
    shown,
    verdict,
)

LABELS = {"alertname": ALERT, "drill": "true"}
EVERYONE = ["chat", "mail"]
DRILL = Drill(1000.0)
FIRED, RESOLVED = Heard("firing", 1010.0, 7), Heard("resolved", 1100.0, 7)

TARGETS = [
    ("a drill for everyone goes to everyone", LABELS, DRILL, ["chat", "mail"]),
    ("a drill for one goes to that one", LABELS, Drill(1000.0, "mail"), ["mail"]),
    ("a drill for one who has left since goes to nobody", LABELS, Drill(1000.0, "pager"), []),
    ("an alert of a drill that is over still goes where it was to go", LABELS, Drill(1000.0, "mail", 1005.0), ["mail"]),
    ("a drill that nobody ordered goes by the routes", LABELS, None, None),
    ("a real alert goes by the routes while a drill is on", {"alertname": "Down"}, DRILL, None),
    ("an alert of others that bears the mark goes by the routes", {"alertname": "Down", "drill": "true"}, DRILL, None),
]


@pytest.mark.parametrize(("labels", "drill", "goes"), [row[1:] for row in TARGETS], ids=[row[0] for row in TARGETS])
def test_to_whom_it_goes(labels: dict[str, str], drill: Drill | None, goes: list[str] | None) -> None:
    chosen = drill_targets(labels, drill, EVERYONE)
    assert (None if chosen is None else list(chosen)) == goes


def test_the_reason_says_what_was_asked() -> None:
    assert drill_targets(LABELS, Drill(1.0, "mail"), EVERYONE) == {"mail": "a drill for mail"}


SHOWN = [
    ("none before the first", None, 1000.0, 0.0),
    ("while it is on, when it began", DRILL, 1599.0, 1000.0),
    ("none once it was ended", ended(DRILL, 1020.0), 1021.0, 0.0),
    ("none after ten minutes, though nobody ended it", DRILL, 1600.0, 0.0),
    ("while it is on, on a replica whose clock is a little behind", DRILL, 998.0, 1000.0),
    ("none when the clock was set back by hours", DRILL, -9000.0, 0.0),
]


@pytest.mark.parametrize(("drill", "now", "value"), [row[1:] for row in SHOWN], ids=[row[0] for row in SHOWN])
def test_the_metric(drill: Drill | None, now: float, value: float) -> None:
    assert shown(drill, now) == value


OVER = ended(DRILL, 1020.0)
REFUSALS = [
    ("the first drill may start", None, Record(), 1000.0, ""),
    ("a second one at a time may not", DRILL, Record(), 1005.0, "under way"),
    ("one after a drill that reached us not at all may", OVER, Record(), 1021.0, ""),
    ("one while the last one's alert fires on may not", OVER, Record((FIRED,), open=True), 1021.0, "not ended yet"),
    ("one after the last one's resolve may", OVER, Record((FIRED, RESOLVED)), 1101.0, ""),
    ("one may when that resolve has not come for five minutes", OVER, Record((FIRED,), open=True), 1320.0, ""),
    ("a drill that nobody ended is over after ten minutes", DRILL, Record((FIRED,), open=True), 1601.0, "not ended yet"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("last", "record", "now", "why"), [row[1:] for row in REFUSALS], ids=[row[0] for row in REFUSALS]
)
def test_when_one_may_start(last: Drill | None, record: Record, now: float, why: str) -> None:
    reason = refusal(last, record, now)
    assert bool(reason) == bool(why)
    assert why in (reason or "")


def told(target: str, state: str = "sent", result: str = "sent", detail: str = "ok") -> Told:
    return Told(target, "firing", state, result, detail)


SCRAPED: dict[HopName, Finding] = {"scrape": Finding("done"), "rule": Finding("waiting", "does not fire")}
BOTH = (told("chat"), told("mail"))
HOPS = [
    ("a drill just begun waits for the scrape", {}, Record(), "scrape", "waiting"),
    ("a rule that does not fire", SCRAPED, Record(), "rule", "waiting"),
    ("who is not configured is not waited for", {"scrape": Finding("skipped"), "rule": Finding("skipped"), "alertmanager": Finding("skipped")}, Record(), "webhook", "waiting"),
    ("an alert that Alertmanager holds has been scraped", {"alertmanager": Finding("done")}, Record(), "webhook", "waiting"),
    ("an alert that is stored and not worked off", {}, Record((Heard("firing", 1010.0, None),)), "incident", "waiting"),
    ("an incident without a message", {}, Record((FIRED,)), "target", "waiting"),
    ("a message that is being sent", {}, Record((FIRED,), (told("chat", "sending", ""), told("mail"))), "target", "waiting"),
    ("a sink that refused", {}, Record((FIRED,), (told("chat"), told("mail", "failed", "failed", "404"))), "target", "failed"),
    ("a sink that refused and is being tried again", {}, Record((FIRED,), (told("chat"), told("mail", "sending", "failed", "404"))), "target", "failed"),
    ("a sink that did not answer", {}, Record((FIRED,), (told("chat"), told("mail", "unknown", "unknown", "timeout"))), "target", "failed"),
    ("a message that a newer one replaced", {}, Record((FIRED,), (told("chat"), told("mail", "superseded", ""))), "target", "failed"),
    ("a receiver in shadow mode", {}, Record((FIRED,), (told("chat"), told("mail", "shadow", ""))), "target", "failed"),
    ("all told", {}, Record((FIRED,), BOTH), None, ""),
]  # fmt: skip


@pytest.mark.parametrize(("asked", "record", "name", "state"), [row[1:] for row in HOPS], ids=[row[0] for row in HOPS])
def test_the_hop_it_is_at(asked: dict[HopName, Finding], record: Record, name: str | None, state: str) -> None:
    hop = verdict(hops("firing", asked, DRILL, record, EVERYONE, 1020.0))
    assert (hop.name if hop else None, hop.state if hop else "") == (name, state)


def test_a_drill_that_nobody_ended_in_time_has_failed_unless_it_got_through() -> None:
    late = hops("firing", {}, DRILL, Record(), EVERYONE, 1700.0)
    assert verdict(late) == Hop("firing", "metric", "failed", "the drill is over")
    assert verdict(hops("firing", {}, DRILL, Record((FIRED,), BOTH), EVERYONE, 1700.0)) is None


def test_a_drill_for_one_target_waits_for_that_one_only() -> None:
    found = hops("firing", {}, Drill(1000.0, "mail"), Record((FIRED,), (told("mail"),)), EVERYONE, 1020.0)
    assert [hop.target for hop in found if hop.name == "target"] == ["mail"]
    assert verdict(found) is None


RESOLVE = [
    ("the alert still fires", {"scrape": Finding("done"), "rule": Finding("waiting")}, Record((FIRED,), BOTH, open=True), "rule"),
    ("the resolve is stored and not worked off", {}, Record((FIRED, RESOLVED), BOTH, open=True), "incident"),
    ("its end is not told yet", {}, Record((FIRED, RESOLVED), BOTH), "target"),
    ("its end is told", {}, Record((FIRED, RESOLVED), (*BOTH, *(Told(name, "resolved", "sent") for name in EVERYONE))), None),
]  # fmt: skip


@pytest.mark.parametrize(("asked", "record", "name"), [row[1:] for row in RESOLVE], ids=[row[0] for row in RESOLVE])
def test_the_hop_the_resolve_is_at(asked: dict[HopName, Finding], record: Record, name: str | None) -> None:
    hop = verdict(hops("resolved", asked, OVER, record, EVERYONE, 1120.0))
    assert (hop.name if hop else None) == name
