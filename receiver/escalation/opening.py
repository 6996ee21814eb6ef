"""Whether news of an incident start its escalation, and whom the first step calls with them. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from receiver.alerts import AlertEvent
from receiver.drills.drill import is_drill
from receiver.escalation.people import Called, called
from receiver.escalation.policy import Move, Progress, begin, fitted, starts, take
from receiver.escalation.settings import Step
from receiver.incidents import TOLD, Incident, Reason, severity_of
from receiver.incidents import Step as News
from receiver.settings import ReceiverConfig
from receiver.stages.plan import Handling
from receiver.stages.route import Audience, Choice, escalation_of
from toolkit.clock import format_utc

_ANEW: frozenset[Reason] = frozenset({"opened", "reopened", "fired_again"})


@dataclass(frozen=True)
class Opening:
    """How far the escalation is after the news, None where there is none. `move` is the first step, where they start
    it; `waits` where they start it for later, since the incident is snoozed; `carried` says that it was another
    incident's until now."""

    progress: Progress | None = None
    move: Move | None = None
    waits: bool = False
    carried: bool = False

    @property
    def begun(self) -> Progress | None:
        """The progress that is to be stored; None where the news change nothing."""
        return self.progress if self.move is not None or self.waits or self.carried else None

    @property
    def reason(self) -> Literal["step_due", "snoozed", "carried_on"]:
        """Why that is stored."""
        if self.carried:
            return "carried_on"
        return "snoozed" if self.waits else "step_due"

    @property
    def words(self) -> str:
        """The first step, for people."""
        if self.progress is None or self.begun is None:
            return ""
        if self.carried:
            return f"{self.progress.policy} goes on where it was"
        if self.move is None:
            return f"{self.progress.policy} begins at {format_utc(self.progress.due_at or 0.0)}, unless it ends before"
        return step_words(self.progress.policy, self.move)

    def joined_by(self, hearers: Audience) -> Audience:
        """Who hears the news: those that the routes name, and whom the first step calls."""
        if self.move is None or not self.move.called.calls:
            return hearers
        known = {choice.target for choice in hearers.choices}
        more = [choice for choice in choices(self.move, self.progress) if choice.target not in known]
        return Audience(hearers.notice or "joined", (*hearers.choices, *more))


def opening(news: News, before: Progress | None, config: ReceiverConfig, now: float) -> Opening:
    """What news of an incident do to its escalation, which was `before`."""
    incident = news.incident
    if incident is None or not incident.live or not _is_news(news) or is_drill(incident.leading.labels):
        return Opening(before)
    rose = news.notice == "severity_rose" and incident.severity == "critical"
    anew = news.notice in _ANEW or rose
    wanted = wanted_escalation(incident, config, now)
    if not starts(wanted, before, incident.state, anew, rose):
        return Opening(before)
    assert wanted is not None  # noqa: S101 - nothing starts without one
    if is_snoozed(incident, now) and not anew:
        return Opening(replace(begin(wanted, now), due_at=incident.snoozed_until), waits=True)
    policy = config.escalations[wanted]
    move = take(policy, begin(wanted, now), lambda step: whom(step, incident, config, now), now)
    return Opening(replace(move.progress, called_at=incident.revision), move)


def step_words(policy: str, move: Move) -> str:
    """`"standard, step 1 calls ana (ana-phone)"`, with who was left out and why."""
    left_out = [f"left out: {gap}" for gap in (*move.skipped, *move.called.gaps)]
    calls = f"{policy}, step {move.number} calls {move.called.who} ({', '.join(move.called.targets)})"
    return "; ".join([calls if move.called.calls else f"{policy}: nobody could be called", *left_out])


def wanted_escalation(incident: Incident, config: ReceiverConfig, now: float) -> str | None:
    """The escalation of the worst alert that has one; only one that the configuration holds."""
    found = (escalation_of(alert, severity, config, now) for alert, severity in _severities(incident))
    return next((name for name in found if name in config.escalations), None)


def _severities(incident: Incident) -> Iterator[tuple[AlertEvent, str]]:
    """The alerts that fire, the worst first, and how bad each is: the incident's severity, which a person may have
    said, is meant of the worst of them and not of all that fires beside."""
    firing = incident.firing
    for alert in firing:
        own = severity_of(alert.labels)
        yield alert, incident.severity if own == severity_of(firing[0].labels) else own


def whom(step: Step, incident: Incident, config: ReceiverConfig, now: float) -> Called:
    """Whom a step calls for an incident."""
    served = {target.name for target in config.targets}
    return called(step.notify, config, served, incident.severity, now)


def choices(move: Move, progress: Progress | None) -> tuple[Choice, ...]:
    """The targets of a step, each with what led there."""
    policy = progress.policy if progress is not None else ""
    found: dict[str, Choice] = {}
    for call in move.called.calls:
        why = f"escalation {policy}, step {move.number}: {call.named} is {call.who}"
        found.setdefault(call.target, Choice(call.target, why))
    return tuple(found.values())


def handling(
    incident: Incident, progress: Progress | None, config: ReceiverConfig, act_url: str, now: float
) -> Handling:
    """Who is called, and what happens unless somebody acknowledges: `"14:12 UTC: bo, if nobody acknowledges"`."""
    policy = config.escalations.get(progress.policy) if progress is not None else None
    if policy is None or progress is None or not progress.active or incident.state == "acknowledged":
        return Handling(act_url=act_url)
    progress = fitted(policy, progress)
    last = policy.steps[progress.step - 1]
    due = max(progress.due_at or now, incident.snoozed_until or 0.0)
    on_call = whom(last, incident, config, now).who if progress.round or progress.step else ""
    return Handling(on_call, _next(policy.steps, progress, incident, config, due), act_url)


def _next(steps: Sequence[Step], progress: Progress, incident: Incident, config: ReceiverConfig, due: float) -> str:
    if progress.round > config.escalations[progress.policy].repeat:
        return ""
    reached = (whom(step, incident, config, due).who for step in steps[progress.step :])
    who = next((who for who in reached if who), "")
    return f"{format_utc(due, '%H:%M UTC')}: {who}, if nobody acknowledges" if who else ""


def is_snoozed(incident: Incident, now: float) -> bool:
    """Whether somebody has put it off, and that time is not over."""
    return incident.snoozed_until is not None and now < incident.snoozed_until


def _is_news(news: News) -> bool:
    """Whether something fires that did not fire before."""
    told = news.notice is not None and TOLD.get(news.notice) == "firing"
    return told or "joined" in news.reasons
