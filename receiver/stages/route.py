"""Who is told of an incident. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from receiver.config import Route


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


def who_was_told(told: Sequence[str], everyone: Sequence[str]) -> tuple[Choice, ...]:
    """The targets for a resolve: whoever was told that it began, whatever the labels are now."""
    return tuple(Choice(target, "was told that it began") for target in told if target in everyone)
