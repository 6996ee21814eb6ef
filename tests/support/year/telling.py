"""What Alertmanager makes of firing alerts, by `config/alertmanager.yml`: who is told what, when."""

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

import yaml

from tests.support.year.twin import EGRESS, NO_SUCCESS, Firing

GROUP_WAIT = 5.0
GROUP_INTERVAL = 30.0
_MATCHER = re.compile(r'(\w+)\s*(=~?)\s*"([^"]*)"')


class Way(StrEnum):
    """How something is told."""

    WORD = "page for the vendor's word"
    SILENCE = "page for silence"
    MESSAGE = "message"


@dataclass(frozen=True)
class Told:
    """One notification at `at`: a page when it is critical, a message when not."""

    at: float
    alert: str
    severity: str
    vendor: str = ""
    card: str = ""

    @property
    def way(self) -> Way:
        """How it is told, and of what."""
        silence = self.alert in {NO_SUCCESS.name, EGRESS.name}
        return Way.MESSAGE if not self.page else Way.SILENCE if silence else Way.WORD

    @property
    def page(self) -> bool:
        """Whether it wakes somebody."""
        return self.severity == "critical"


@dataclass(frozen=True)
class Inhibition:
    """While an alert of `source` fires, those of `target` with the same labels `equal` are not told."""

    source: Mapping[str, re.Pattern[str]]
    target: Mapping[str, re.Pattern[str]]
    equal: tuple[str, ...]

    def holds(self, source: Firing, target: Firing) -> bool:
        """Whether the one holds the other back, while it fires."""
        ours, theirs = _labels(source), _labels(target)
        return (
            _fits(self.source, ours)
            and _fits(self.target, theirs)
            and all(ours.get(label) == theirs.get(label) for label in self.equal)
        )


def inhibitions(alertmanager: Path) -> list[Inhibition]:
    """The inhibit_rules of a configuration."""
    rules: list[dict[str, Any]] = yaml.safe_load(alertmanager.read_text())["inhibit_rules"]
    return [
        Inhibition(_matchers(rule["source_matchers"]), _matchers(rule["target_matchers"]), tuple(rule.get("equal", ())))
        for rule in rules
    ]


def _matchers(texts: Iterable[str]) -> dict[str, re.Pattern[str]]:
    found = {}
    for text in texts:
        if not (match := _MATCHER.fullmatch(text)):
            raise ValueError(f"not a matcher that is known here: {text}")
        label, how, value = match.groups()
        found[label] = re.compile(value if how == "=~" else re.escape(value))
    return found


def _labels(firing: Firing) -> dict[str, str]:
    return {
        "alertname": firing.alert.name,
        "severity": firing.alert.severity,
        "provider": firing.vendor,
        "card": firing.card,
    }


def _fits(matchers: Mapping[str, re.Pattern[str]], labels: Mapping[str, str]) -> bool:
    return all(pattern.fullmatch(labels.get(label, "")) for label, pattern in matchers.items())


def told(firings: Iterable[Firing], rules: Sequence[Inhibition]) -> list[Told]:
    """Every first notification, in the order of time. Repeats and resolves are left out."""
    known = sorted(_without_flaps(sorted(firings, key=lambda one: one.start)), key=lambda one: one.start)
    found = [_first(firing, _holding_back(firing, known, rules)) for firing in known]
    return sorted((one for one in found if one is not None), key=lambda one: one.at)


def _without_flaps(firings: Iterable[Firing]) -> Iterator[Firing]:
    """An alert that was gone for less than GROUP_INTERVAL was not seen to go."""
    latest: dict[tuple[str, ...], Firing] = {}
    for firing in firings:
        key = tuple(_labels(firing).values())
        before = latest.pop(key, None)
        if before is not None and firing.start - before.end < GROUP_INTERVAL:
            latest[key] = replace(before, end=firing.end)
            continue
        if before is not None:
            yield before
        latest[key] = firing
    yield from latest.values()


def _holding_back(firing: Firing, known: Sequence[Firing], rules: Sequence[Inhibition]) -> list[Firing]:
    return [
        other
        for other in known
        if other.start < firing.end and other.end > firing.start and any(rule.holds(other, firing) for rule in rules)
    ]


def _first(firing: Firing, sources: Sequence[Firing]) -> Told | None:
    """The first flush of its group at which it fires and nothing holds it back."""
    at = firing.start + GROUP_WAIT
    while source := next((one for one in sources if one.start <= at < one.end), None):
        if source.end == math.inf:
            return None
        at += math.ceil((source.end - at) / GROUP_INTERVAL) * GROUP_INTERVAL
    if at >= firing.end:
        return None
    return Told(at, firing.alert.name, firing.alert.severity, firing.vendor, firing.card)
