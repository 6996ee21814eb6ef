"""A file of signals -> the files that Prometheus and promtool read. Pure."""

import os.path
from collections.abc import Iterator
from dataclasses import dataclass

from exporter.rulegen import calendar, signals, slos, trials
from exporter.rulegen.document import rules_file, sealed
from exporter.rulegen.rules import Group, Record
from exporter.rulegen.settings import Signals

RULES_SUFFIX, TESTS_SUFFIX = ".rules.yml", ".test.yml"
MODEL_SECONDS = 350e-6
"""What one series of a signal costs Prometheus in five minutes, at most: `make bench ARGS=rules` measures it."""
EVALUATION_SECONDS = 300.0
GROUPS = 3
"""Of each profile: what is now, what is expected, what was."""


@dataclass(frozen=True)
class Built:
    """What is written: the rules, and their tests. `name` is that of the file of signals, without its suffix."""

    name: str
    rules: str
    tests: str
    groups: tuple[Group, ...]


def build(file: Signals, source: str, folder: str = ".") -> Built:
    """The rules of a file called `source`, such as `shop.yml`; the tests find them in `folder`. The same file gives the
    same text."""
    name = source.removesuffix(".yml").removesuffix(".yaml")
    groups = tuple(_groups(file, name))
    rules = sealed(rules_file(groups), source)
    tests = sealed(trials.tests_file(file, os.path.normpath(f"{folder}/{name}{RULES_SUFFIX}")), source)
    return Built(name, rules, tests, groups)


def _groups(file: Signals, name: str) -> Iterator[Group]:
    if calendar.is_needed(file):
        yield calendar.group(name, file.timezone, file.holidays)
    yield from signals.groups(file, name)
    for slo in file.slos:
        yield from slos.groups(slo, file, name)


@dataclass(frozen=True)
class Cost:
    """What the rules of signals cost: series recorded, and the share of one core (0..1) that evaluating them takes."""

    series: int
    cores: float


def cost(built: Built, watched: int) -> Cost:
    """The cost of rules whose signals have so many series in all, each in its own profile's rules alone."""
    sizes = [len(_recorded(group)) for group in built.groups if any(_recorded(group))]
    profiles = max(1, len(sizes) // GROUPS)
    return Cost(round(sum(sizes) / profiles * watched), watched * MODEL_SECONDS / EVALUATION_SECONDS)


def _recorded(group: Group) -> list[Record]:
    """What a group records for each series of its profile."""
    return [
        rule
        for rule in group.rules
        if isinstance(rule, Record) and set(rule.labels) & {"profile"} and "signal" not in rule.labels
    ]
