"""Who is told of an incident. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from receiver.alerts import AlertEvent
from receiver.drills.drill import Drill, drill_targets
from receiver.incidents import TOLD, Reason, Step, severity_of
from receiver.oncall.contacts import contacts
from receiver.oncall.rota import on_call
from receiver.oncall.settings import Team
from receiver.oncall.windows import stretch
from receiver.settings import ReceiverConfig, Route
from toolkit.matchers import all_match

TEAM_LABELS = ("team", "owner")
"""The labels that may name the team that answers for an alert."""


@dataclass(frozen=True)
class Choice:
    """A target, and the route that chose it in words. `cooldown`: for how many seconds it is told once of one cause."""

    target: str
    reason: str
    cooldown: float = 0.0


def route(alert: AlertEvent, config: ReceiverConfig, now: float) -> tuple[Choice, ...]:
    """The targets for an incident that this alert leads: those of the first route that matches, and of later ones while
    `continue` says so. Without routes it is everyone. A target is told once, by the first route that names it."""
    if not config.routes:
        return tuple(Choice(target.name, "no routes: every target") for target in config.targets)
    chosen: dict[str, Choice] = {}
    for matched in matching(alert, config, now):
        for target, how in _named(matched, severity_of(alert.labels), config, now):
            chosen.setdefault(target, Choice(target, matched.why + how, matched.route.cooldown))
    return tuple(chosen.values())


@dataclass(frozen=True)
class Matched:
    """A route that an alert goes by, with the team that it leads to, if any, and the reason in words."""

    route: Route
    team: str | None
    why: str


def matching(alert: AlertEvent, config: ReceiverConfig, now: float) -> Iterator[Matched]:
    """The routes of an alert in their order: the first that matches, and later ones while `continue` says so."""
    labels = {**alert.labels, "class": alert.kind}
    for index, candidate in enumerate(config.routes):
        if not _matches(candidate, labels, config, now):
            continue
        team = labels["owner"] if candidate.owner else candidate.team
        yield Matched(candidate, team, f"routes[{index}] matches {_condition(candidate, labels)}")
        if not candidate.continue_:
            return


def _matches(candidate: Route, labels: Mapping[str, str], config: ReceiverConfig, now: float) -> bool:
    if candidate.owner and labels.get("owner") not in config.teams:
        return False
    return (
        all(labels.get(label) == value for label, value in candidate.match.items())
        and all_match(candidate.matchers, labels)
        and (not candidate.hours or any(_is_within(name, config, now) for name in candidate.hours))
    )


def _is_within(name: str, config: ReceiverConfig, now: float) -> bool:
    hours = config.hours[name]
    return stretch(hours.windows, hours.timezone, now).inside


def _condition(candidate: Route, labels: Mapping[str, str]) -> str:
    wanted = [f"{label}={value}" for label, value in candidate.match.items()]
    wanted += [str(matcher) for matcher in candidate.matchers]
    wanted += [f"owner={labels['owner']}"] if candidate.owner else []
    wanted += [f"hours {' or '.join(candidate.hours)}"] if candidate.hours else []
    return ", ".join(wanted) or "everything"


def _named(matched: Matched, severity: str, config: ReceiverConfig, now: float) -> Iterator[tuple[str, str]]:
    """The targets of a route, each with how it comes by it."""
    for target in matched.route.targets or ():
        yield target, ""
    team = matched.team
    if team is None:
        return
    for target in config.teams[team].targets:
        yield target, f", team {team}"
    for person in _on_duty(config.teams[team], config, now):
        for target in contacts(config.people[person], severity):
            yield target, f", {person} is on call for team {team}"


def _on_duty(team: Team, config: ReceiverConfig, now: float) -> list[str]:
    """Who of a team is called at once: the first layer that has somebody. Where there is an escalation it calls."""
    if team.rota is None or team.escalation is not None:
        return []
    return [shift.person for shift in on_call(config.rotas[team.rota], now) if shift.person is not None][:1]


def escalation_of(alert: AlertEvent, severity: str, config: ReceiverConfig, now: float) -> str | None:
    """The escalation for an alert: that of the first of its routes that names one, else that of the team that its
    routes lead to or that its label `team` or `owner` names. A team is not called because of what is only information.
    `severity` is what is held of the alert, which may be against its label."""
    found = list(matching(alert, config, now))
    named = next((matched.route.escalation for matched in found if matched.route.escalation is not None), None)
    if named is not None or severity == "info":
        return named
    names = [*(matched.team for matched in found), *(alert.labels.get(label) for label in TEAM_LABELS)]
    teams = (config.teams[name] for name in names if name in config.teams)
    return next((team.escalation for team in teams if team.escalation is not None), None)


def who_was_told(told: Sequence[str], everyone: Sequence[str]) -> tuple[Choice, ...]:
    """The targets for a resolve: whoever was told that it began, whatever the labels are now."""
    return tuple(Choice(target, "it was to be told that it began") for target in told if target in everyone)


def _chosen(alert: AlertEvent, config: ReceiverConfig, drill: Drill | None, now: float) -> tuple[Choice, ...]:
    ordered = drill_targets(alert.labels, drill, [target.name for target in config.targets])
    if ordered is None:
        return route(alert, config, now)
    return tuple(Choice(target, reason) for target, reason in ordered.items())


@dataclass(frozen=True)
class Audience:
    """Who is told of a step, as what; `why` nobody is, when nobody is."""

    notice: Reason | None
    choices: tuple[Choice, ...]
    why: str = ""


def audience(
    step: Step,
    events: Iterable[AlertEvent],
    told: Sequence[str],
    config: ReceiverConfig,
    now: float,
    drill: Drill | None = None,
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
        for choice in _chosen(alert, config, drill, now):
            found.setdefault(choice.target, choice)
    if notice is not None:
        return Audience(notice, tuple(found.values()), "routes_name_nobody")
    newcomers = tuple(choice for choice in found.values() if choice.target not in told)
    if "joined" in step.reasons and newcomers:
        return Audience("joined", newcomers)
    return Audience(None, (), "no_news")
