"""Who is told of an incident. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from receiver.alerts import AlertEvent
from receiver.config import ReceiverConfig, Route
from receiver.drills.drill import Drill, drill_targets
from receiver.incidents import TOLD, Reason, Step, severity_of

TEAM_LABELS = ("team", "owner")
"""The labels that may name the team that answers for an alert."""


@dataclass(frozen=True)
class Choice:
    """A target, and the route that chose it in words."""

    target: str
    reason: str


def route(labels: Mapping[str, str], routes: Sequence[Route], everyone: Sequence[str]) -> tuple[Choice, ...]:
    """The targets for an incident with these labels: those of the first route that matches, and of later ones while
    `continue` says so. Without routes it is `everyone`. A target is told once, by the first route that names it."""
    if not routes:
        return tuple(Choice(target, "no routes: every target") for target in everyone)
    chosen: dict[str, Choice] = {}
    for index, candidate in enumerate(routes):
        if all(labels.get(label) == value for label, value in candidate.match.items()):
            wanted = ", ".join(f"{label}={value}" for label, value in candidate.match.items()) or "everything"
            for target in candidate.targets:
                chosen.setdefault(target, Choice(target, f"routes[{index}] matches {wanted}"))
            if not candidate.continue_:
                break
    return tuple(chosen.values())


def escalation_of(labels: Mapping[str, str], config: ReceiverConfig) -> str | None:
    """The escalation for an alert with these labels: that of the first of its routes that names one, else that of the
    team in its label `team` or `owner`. A team is not called because of what is only information."""
    for candidate in config.routes:
        if all(labels.get(label) == value for label, value in candidate.match.items()):
            if candidate.escalation is not None:
                return candidate.escalation
            if not candidate.continue_:
                break
    teams = (config.teams.get(labels.get(label, "")) for label in TEAM_LABELS)
    found = next((team.escalation for team in teams if team is not None), None)
    return found if severity_of(labels) != "info" else None


def who_was_told(told: Sequence[str], everyone: Sequence[str]) -> tuple[Choice, ...]:
    """The targets for a resolve: whoever was told that it began, whatever the labels are now."""
    return tuple(Choice(target, "it was to be told that it began") for target in told if target in everyone)


def _chosen(
    labels: Mapping[str, str], routes: Sequence[Route], everyone: Sequence[str], drill: Drill | None
) -> tuple[Choice, ...]:
    ordered = drill_targets(labels, drill, everyone)
    if ordered is None:
        return route(labels, routes, everyone)
    return tuple(Choice(target, reason) for target, reason in ordered.items())


@dataclass(frozen=True)
class Audience:
    """Who is told of a step, as what; `why` nobody is, when nobody is."""

    notice: Reason | None
    choices: tuple[Choice, ...]
    why: str = ""


def audience(
    step: Step, events: Iterable[AlertEvent], told: Sequence[str], config: ReceiverConfig, drill: Drill | None = None
) -> Audience:
    """Of an end whoever was told hears, of anything else everybody whom the routes name for an alert that fires, and of
    an alert that joins those of its routes that have not heard of the incident. `told` has who heard of it before.
    For the alert of a drill it is not the routes that decide, but what the drill asked for."""
    everyone = [target.name for target in config.targets]
    incident, notice = step.incident, step.notice
    if incident is None:
        return Audience(None, (), "no_incident")
    if notice is not None and TOLD[notice] == "resolved":
        return Audience(notice, who_was_told(told, everyone), "nobody_was_told_that_it_began")
    found: dict[str, Choice] = {}
    for alert in incident.firing if notice is not None else events:
        for choice in _chosen(alert.labels, config.routes, everyone, drill):
            found.setdefault(choice.target, choice)
    if notice is not None:
        return Audience(notice, tuple(found.values()), "routes_name_nobody")
    newcomers = tuple(choice for choice in found.values() if choice.target not in told)
    if "joined" in step.reasons and newcomers:
        return Audience("joined", newcomers)
    return Audience(None, (), "no_news")
