"""Escalations as they stand in `config/receiver.yml`."""

from collections.abc import Collection, Iterator, Mapping
from typing import Protocol

from pydantic import Field

from receiver.oncall.settings import Person, Rota, Team
from toolkit.configfile import Duration, Location, Model, nearest

KINDS = ("rota", "person", "team", "target")
"""Whom a step may name: `rota/NAME` (or one layer of it, `rota/NAME/LAYER`), `person/NAME` and so on."""


class Step(Model):
    """Whom to call, and how long to wait for an acknowledgement before the next step."""

    notify: tuple[str, ...] = Field(min_length=1)
    wait: Duration = Field(gt=0)


class Escalation(Model):
    """Steps, one after another; `repeat` says how many times more they are all gone through. While the incident goes
    on, also when it is acknowledged, whoever has it is reminded every `reminder`."""

    steps: tuple[Step, ...] = Field(min_length=1)
    repeat: int = Field(default=0, ge=0, le=100)
    reminder: Duration | None = Field(default=None, ge=60)


class Directory(Protocol):
    """Everybody whom a step may name."""

    @property
    def people(self) -> Mapping[str, Person]:
        """By name."""

    @property
    def teams(self) -> Mapping[str, Team]:
        """By name."""

    @property
    def rotas(self) -> Mapping[str, Rota]:
        """By name."""


def lint(
    escalations: Mapping[str, Escalation], directory: Directory, targets: Collection[str]
) -> Iterator[tuple[Location, str]]:
    """Steps that name nobody, and teams whose escalation there is not."""
    for name, escalation in escalations.items():
        for index, step in enumerate(escalation.steps):
            for place, wanted in enumerate(step.notify):
                problem = _problem(wanted, directory, targets)
                if problem:
                    yield ("escalations", name, "steps", index, "notify", place), problem
    for name, team in directory.teams.items():
        if team.escalation is not None and team.escalation not in escalations:
            yield ("teams", name, "escalation"), unknown(team.escalation, escalations)


def unknown(name: str, escalations: Collection[str]) -> str:
    """What is wrong with the name of an escalation that there is not."""
    return f"no escalation is named '{name}'{nearest(name, escalations)}"


def _problem(wanted: str, directory: Directory, targets: Collection[str]) -> str:
    kind, slash, rest = wanted.partition("/")
    if not slash or kind not in KINDS:
        hint = nearest(kind, KINDS) if slash else ""
        return f"'{wanted}' names nobody; write rota/NAME, person/NAME, team/NAME or target/NAME{hint}"
    name, slash, layer = rest.partition("/") if kind == "rota" else (rest, "", "")
    known: Mapping[str, Collection[str]] = {
        "rota": directory.rotas,
        "person": directory.people,
        "team": directory.teams,
        "target": targets,
    }
    if name not in known[kind]:
        return f"no {kind} is named '{name}'{nearest(name, known[kind])}"
    layers = [one.name for one in directory.rotas[name].layers] if slash else []
    if slash and layer not in layers:
        return f"the rota '{name}' has no layer '{layer}'{nearest(layer, layers)}"
    return _without_target(kind, name, directory)


def _without_target(kind: str, name: str, directory: Directory) -> str:
    """Why a known name reaches nobody; "" when it does."""
    if kind == "person" and not any(directory.people[name].contacts.values()):
        return f"the person '{name}' has no contacts, so this would reach nobody"
    team = directory.teams[name] if kind == "team" else None
    if team is not None and not team.targets and not team.members:
        return f"the team '{name}' has neither targets nor members, so this would reach nobody"
    return ""
