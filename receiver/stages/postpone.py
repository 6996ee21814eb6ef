"""What is not told yet: in a maintenance window, or because a target has just been told of the same cause. Pure.

Nothing is lost by it. An incident that still lives when its time has come is told then, and one that has ended by then
is on record, with the reason why nobody heard of it.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from receiver.incidents import SEVERITIES, TOLD, Incident
from receiver.settings import Maintenance, ReceiverConfig
from receiver.stages.route import Audience, Choice
from toolkit.clock import format_utc
from toolkit.matchers import all_match


@dataclass(frozen=True)
class Recent:
    """The last time that a target was told of another incident of the same cause. `at` in seconds since the epoch."""

    target: str
    incident: int
    severity: str
    at: float


@dataclass(frozen=True)
class Postponed:
    """Some choices, until when (seconds since the epoch), and why."""

    reason: Literal["maintenance", "cooldown"]
    detail: str
    choices: tuple[Choice, ...]
    until: float


def postpone(
    audience: Audience,
    incident: Incident,
    told: Collection[str],
    recent: Iterable[Recent],
    config: ReceiverConfig,
    now: float,
) -> tuple[Audience, tuple[Postponed, ...]]:
    """The audience that is told now, and what is put off. Who has heard of the incident already (`told`) hears on, and
    an end is never put off: only those hear of it who heard of its beginning."""
    if not incident.live or (audience.notice is not None and TOLD.get(audience.notice) == "resolved"):
        return audience, ()
    new = tuple(choice for choice in audience.choices if choice.target not in told)
    window = next((one for one in config.maintenance if _is_during(one, incident, now)), None)
    # also when routes name nobody: an escalation would call somebody
    if window is not None and (new or not told):
        why = Postponed("maintenance", f"{window.reason}, until {format_utc(window.ends)}", new, window.ends)
        return _without(audience, new), (why,)
    put_off = tuple(_cooling(choice, incident, recent, now) for choice in new)
    found = tuple(one for one in put_off if one is not None)
    return _without(audience, [choice for one in found for choice in one.choices]), found


def furthest(config: ReceiverConfig, now: float) -> float:
    """For how many seconds from now anything can be put off."""
    cooldowns = [route.cooldown for route in config.routes]
    return max([0.0, *cooldowns, *(window.ends - now for window in config.maintenance)])


def _is_during(window: Maintenance, incident: Incident, now: float) -> bool:
    if not window.begins <= now < window.ends:
        return False
    # an alert that is not meant to be quiet makes the whole incident heard
    alerts = incident.firing or incident.alerts
    return all(_meets(window, {**alert.labels, "class": alert.kind}) for alert in alerts)


def _meets(window: Maintenance, labels: Mapping[str, str]) -> bool:
    return all(labels.get(name) == value for name, value in window.match.items()) and all_match(window.matchers, labels)


def _cooling(choice: Choice, incident: Incident, recent: Iterable[Recent], now: float) -> Postponed | None:
    if incident.severity == "critical":
        return None  # what is critical never waits
    for other in recent:
        until = other.at + choice.cooldown
        worse = SEVERITIES.index(incident.severity) > SEVERITIES.index(other.severity)
        if other.target == choice.target and other.at <= now < until and not worse:
            detail = f"{choice.target} was told of incident {other.incident} about the same; until {format_utc(until)}"
            return Postponed("cooldown", detail, (choice,), until)
    return None


def _without(audience: Audience, choices: Collection[Choice]) -> Audience:
    left = tuple(choice for choice in audience.choices if choice not in choices)
    return replace(audience, choices=left, why=audience.why if left or not choices else "postponed")
