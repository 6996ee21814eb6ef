"""Whom a step calls: `rota/NAME`, `person/NAME`, `team/NAME`, `target/NAME` -> targets, or why nobody. Pure."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from receiver.escalation.settings import Directory
from receiver.oncall.contacts import contacts
from receiver.oncall.rota import GAPS, Shift, on_call


@dataclass(frozen=True)
class Call:
    """A target that is told, whom that reaches, and which name of the step led there."""

    target: str
    who: str
    named: str


@dataclass(frozen=True)
class Called:
    """Whom a step calls; `gaps` says of each name that leads to nobody why."""

    calls: tuple[Call, ...]
    gaps: tuple[str, ...] = ()

    @property
    def targets(self) -> tuple[str, ...]:
        """Each target once."""
        return tuple(dict.fromkeys(call.target for call in self.calls))

    @property
    def who(self) -> str:
        """The people, teams and targets, for people to read: `"ana, bo"`."""
        return ", ".join(dict.fromkeys(call.who for call in self.calls))


NOBODY = Called(())


def known(name: str, directory: Directory) -> str | None:
    """Whose name this is: a short name, or what a message calls somebody, as people write it; None: nobody's."""
    if name in directory.people:
        return name
    folded = name.casefold()
    return next(
        (short for short, one in directory.people.items() if folded in (short.casefold(), one.name.casefold())), None
    )


def called(notify: Iterable[str], directory: Directory, served: Collection[str], severity: str, at: float) -> Called:
    """Whom these names reach at an instant (seconds since the epoch), for an incident of `severity`.

    A target outside `served` is none. The configuration may have changed since a name was written down, so one that
    nobody has is a gap.
    """
    calls: list[Call] = []
    gaps: list[str] = []
    for named in notify:
        found, gap = _one(named, directory, severity, at)
        reached = [Call(target, who, named) for target, who in found if target in served]
        calls += reached
        if not reached:
            gaps.append(f"{named}: {gap}")
    return Called(tuple(calls), tuple(gaps))


def _one(named: str, directory: Directory, severity: str, at: float) -> tuple[list[tuple[str, str]], str]:
    """(target, whom it reaches) for one name, and why there is none where there is none."""
    kind, _, name = named.partition("/")
    if kind == "target":
        return [(name, name)], "there is no such target"
    if kind == "person":
        return list(_person(name, directory, severity)), "no contact is known"
    if kind == "team":
        return list(_team(name, directory, severity)), "it has no target, and no member with a contact"
    return _rota(name, directory, severity, at)


def _person(name: str, directory: Directory, severity: str) -> Iterator[tuple[str, str]]:
    if name in directory.people:
        yield from ((target, name) for target in contacts(directory.people[name], severity))


def _team(name: str, directory: Directory, severity: str) -> Iterator[tuple[str, str]]:
    """The team's own targets, a room say; without any every member is called."""
    team = directory.teams.get(name)
    if team is None:
        return
    yield from ((target, f"team {name}") for target in team.targets)
    for member in team.members if not team.targets else ():
        yield from _person(member, directory, severity)


def _rota(name: str, directory: Directory, severity: str, at: float) -> tuple[list[tuple[str, str]], str]:
    """Who has the first layer that somebody has, or the layer that is named."""
    name, _, layer = name.partition("/")
    rota = directory.rotas.get(name)
    shifts = on_call(rota, at) if rota is not None else ()
    wanted = [shift for shift in shifts if not layer or shift.layer == layer]
    person = next((shift.person for shift in wanted if shift.person is not None), None)
    if person is None:
        return [], _gap(wanted)
    return list(_person(person, directory, severity)), f"{person} is on call, and no contact is known"


def _gap(shifts: Iterable[Shift]) -> str:
    why = "; ".join(f"{shift.layer}: {GAPS.get(shift.reason, shift.reason)}" for shift in shifts)
    return f"nobody is on call ({why or 'there is no such rota'})"
