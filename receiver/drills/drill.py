"""A drill: an alert marked as a test that goes the whole way, from a metric of ours to the channels. Pure.

The receiver shows a metric, the rule TocsinDrill makes an alert of it, and what comes back is followed hop by hop.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec

from receiver.alerts import Status
from receiver.incidents import SAME_OUTBREAK_SECONDS

ALERT = "TocsinDrill"
METRIC = "tocsin_receiver_drill_started_timestamp_seconds"
LASTS_SECONDS = 600.0
"""A drill that nobody ended is over by then."""

HopName = Literal["receiver", "metric", "scrape", "rule", "alertmanager", "webhook", "incident", "target"]
HopState = Literal["done", "waiting", "failed", "skipped"]

ASKED: tuple[HopName, ...] = ("scrape", "rule", "alertmanager")
"""The hops that somebody else knows of."""
ADVICE: Mapping[HopName, str] = {
    "receiver": "does it run, is --url its address, does --token-file hold a token of its auth.bearer_token_files?",
    "metric": f"does the receiver's /metrics show {METRIC}? A drill lasts ten minutes at most.",
    "scrape": "is `prometheus.url` the Prometheus that scrapes this receiver? Its /targets tells what a scrape met.",
    "rule": f"is config/rules/tocsin.yml among Prometheus's rule_files? Its /rules must show {ALERT}.",
    "alertmanager": "does Prometheus know it (see its /status), and is it the one in `alertmanagers` of receiver.yml?",
    "webhook": "does Alertmanager route it here (amtool config routes test alertname=TocsinDrill drill=true), is it "
    "silenced, and what does Alertmanager's log say of the webhook?",
    "incident": "what does the receiver's log say? tocsin_receiver_events_unprocessed should be 0.",
    "target": "the sink's words stand above; is the target's URL right, and is the sink well?",
}
"""What to look at when a hop fails."""


class Drill(msgspec.Struct, frozen=True):
    """One drill, as it is stored. Times are seconds since the epoch; `target` is "" for every target.

    `after_event` and `after_row` are the newest rows of `events` and `outbox` when it began: what is newer may be its
    own. Row numbers, for the clocks of replicas differ.
    """

    started_at: float
    target: str = ""
    ended_at: float | None = None
    after_event: int = 0
    after_row: int = 0


class Hop(msgspec.Struct, frozen=True):
    """How far one hop is, on the alert's way (`firing`) or on its resolve's. `target` is set for the hop `target`."""

    phase: Status
    name: HopName
    state: HopState
    detail: str = ""
    target: str = ""


class Report(msgspec.Struct, frozen=True):
    """A drill and its hops in their order: those of the alert and, once the drill has ended, those of its resolve."""

    drill: Drill
    hops: tuple[Hop, ...]


@dataclass(frozen=True)
class Finding:
    """What is known of one hop."""

    state: HopState
    detail: str = ""


_UNKNOWN = Finding("waiting")
_NEVER_SENT = {
    "dead": "given up",
    "superseded": "a newer message went in its place",
    "shadow": "in shadow mode nothing is sent",
}
"""States of a message in which nobody will try to send it."""


@dataclass(frozen=True)
class Heard:
    """An event of the drill's alert, and the incident that it went to. `at`: seconds since the epoch."""

    status: Status
    at: float
    incident: int | None


@dataclass(frozen=True)
class Told:
    """A message of the drill: its state in the outbox, and what came of the last attempt (`result` is "" before it)."""

    target: str
    status: Status
    state: str
    result: str = ""
    detail: str = ""


@dataclass(frozen=True)
class Record:
    """All that the store holds of a drill. `open`: its incident is not resolved."""

    heard: tuple[Heard, ...] = ()
    told: tuple[Told, ...] = ()
    open: bool = False

    def first(self, phase: Status) -> Heard | None:
        """The first event of that status."""
        return next((one for one in self.heard if one.status == phase), None)


# --- whose alert it is, and to whom it goes ------------------------------------------------------------------------


def is_drill(labels: Mapping[str, str]) -> bool:
    """Whether these are the labels of the drill's alert; another alert that happens to be marked is none."""
    return labels.get("alertname") == ALERT and labels.get("drill") == "true"


def drill_targets(labels: Mapping[str, str], drill: Drill | None, everyone: Sequence[str]) -> dict[str, str] | None:
    """The targets that a drill asked for, each with the reason; None where the routes decide: it is not the drill's
    alert, or nobody ordered one."""
    if drill is None or not is_drill(labels):
        return None
    wanted, asked = ([drill.target], drill.target) if drill.target else (everyone, "every target")
    return {name: f"a drill for {asked}" for name in wanted if name in everyone}


# --- its life ------------------------------------------------------------------------------------------------------


def shown(drill: Drill | None, now: float) -> float:
    """The metric's value: when the drill under way began, in seconds since the epoch; 0 when there is none."""
    if drill is None or drill.ended_at is not None or abs(now - drill.started_at) >= LASTS_SECONDS:
        return 0.0
    return drill.started_at


def refusal(last: Drill | None, record: Record, now: float) -> str | None:
    """Why no drill can start now; None when it can.

    An alert that fires on from the last drill would swallow the next. After SAME_OUTBREAK_SECONDS it is told anew.
    """
    if last is None:
        return None
    if shown(last, now):
        return "a drill is under way"
    ended = last.ended_at if last.ended_at is not None else last.started_at + LASTS_SECONDS
    if record.open and abs(now - ended) < SAME_OUTBREAK_SECONDS:
        return "the last drill's alert has not ended yet; try again in a minute"
    return None


# --- its hops ------------------------------------------------------------------------------------------------------


def hops(
    phase: Status, asked: Mapping[HopName, Finding], drill: Drill, record: Record, everyone: Sequence[str], now: float
) -> tuple[Hop, ...]:
    """The hops of one phase in their order. `asked` holds what Prometheus and Alertmanager said.

    What a later hop proves is done, whatever else was found.
    """
    found: dict[HopName, Finding] = {"metric": _metric(phase, drill, now), **dict.fromkeys(ASKED, _UNKNOWN), **asked}
    found |= {"webhook": _webhook(phase, record), "incident": _incident(phase, record)}
    chain = [Hop(phase, name, finding.state, finding.detail) for name, finding in found.items()]
    ends = [_target(phase, name, record) for name in ([drill.target] if drill.target else everyone)]
    reached = [place for place, hop in enumerate(chain) if hop.state == "done"]
    last = len(chain) - 1 if any(hop.state != "waiting" for hop in ends) else max(reached, default=-1)
    return (*(_proven(hop) if place < last else hop for place, hop in enumerate(chain)), *ends)


def _proven(hop: Hop) -> Hop:
    return hop if hop.state in ("done", "skipped") else Hop(hop.phase, hop.name, "done", "as what came after shows")


def _metric(phase: Status, drill: Drill, now: float) -> Finding:
    value = shown(drill, now)
    if phase == "resolved":
        return Finding("waiting" if value else "done", f"{METRIC} {value:g}")
    return Finding("done", f"{METRIC} {value:.0f}") if value else Finding("failed", "the drill is over")


def _webhook(phase: Status, record: Record) -> Finding:
    heard = record.first(phase)
    return Finding("waiting", f"no {phase} {ALERT} has come") if heard is None else Finding("done", f"{phase} {ALERT}")


def _incident(phase: Status, record: Record) -> Finding:
    heard = record.first(phase)
    if heard is None or heard.incident is None:
        return Finding("waiting", "the alert is not worked off")
    if phase == "resolved" and record.open:
        return Finding("waiting", f"incident {heard.incident} is open")
    return Finding("done", f"incident {heard.incident}")


def _target(phase: Status, name: str, record: Record) -> Hop:
    told = next((one for one in reversed(record.told) if (one.target, one.status) == (name, phase)), None)
    finding = _receipt(told) if told is not None else Finding("waiting", "no message is planned")
    return Hop(phase, "target", finding.state, finding.detail, name)


def _receipt(told: Told) -> Finding:
    """A drill takes the first attempt for the answer: that the outbox goes on trying is not what was asked."""
    if told.state == "sent":
        return Finding("done", told.detail)
    if told.result:
        return Finding("failed", f"{told.result}: {told.detail}")
    if told.state in _NEVER_SENT:
        return Finding("failed", _NEVER_SENT[told.state])
    return Finding("waiting", told.state)


def verdict(found: Iterable[Hop]) -> Hop | None:
    """The hop that a drill failed at: the first that failed, else the first it waits for; None when all is well."""
    ordered = list(found)
    failed = next((hop for hop in ordered if hop.state == "failed"), None)
    return failed or next((hop for hop in ordered if hop.state == "waiting"), None)


def ended(drill: Drill, now: float) -> Drill:
    """The drill, over."""
    return drill if drill.ended_at is not None else msgspec.structs.replace(drill, ended_at=now)
