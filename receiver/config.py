"""Reads `config/receiver.yml`, and says what only the whole file shows to be wrong."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import re2

from receiver.escalation import settings as escalation
from receiver.notifiers.apprise import url_problem
from receiver.notifiers.folding import folds
from receiver.notifiers.slack import is_for as is_slack_bot
from receiver.notifiers.slack import takes_presses
from receiver.oncall import settings as oncall
from receiver.oncall.report import gap_lines, unreachable_lines
from receiver.services import ServiceGraph
from receiver.settings import ReceiverConfig, Target
from receiver.templates import settings as templates
from receiver.vocabulary import Vocabulary
from toolkit import configfile
from toolkit.configfile import Location, nearest

SHORTEST_SLACK_SECONDS = 5.0
EDGES = "ab  \n\nab"
"""A text with every place at which a pattern can match without taking a letter: a line's ends, a word's, neither."""


def load(path: Path) -> ReceiverConfig:
    """The configuration at `path`. Raises ConfigError."""
    return configfile.load(path, ReceiverConfig, lint)


def vocabulary(config: ReceiverConfig) -> Vocabulary:
    """The operator's words as the pure decisions want them."""
    words = config.vocabulary
    return Vocabulary(words.labels, words.annotations, words.severities, words.classes)


def sources(config: ReceiverConfig) -> set[str]:
    """Where alerts are expected from: each name that an Alertmanager has as its source; "" where none has one."""
    return {one.source or "" for one in config.alertmanagers} or {""}


def graph(config: ReceiverConfig) -> ServiceGraph:
    """The services as the pure decisions want them."""
    return ServiceGraph(
        {name: service.depends_on for name, service in config.services.items()},
        {name: service.tier for name, service in config.services.items() if service.tier is not None},
    )


def lint(config: ReceiverConfig) -> Iterator[tuple[Location, str]]:
    """What only the whole file shows: targets named twice or not at all, routes that could lose an alert."""
    names: set[str] = set()
    for index, target in enumerate(config.targets):
        if target.name in names:
            yield ("targets", index, "name"), f"the name '{target.name}' is used twice"
        names.add(target.name)
        problem = url_problem(target.read_url())
        if problem:
            yield ("targets", index, "url_file" if target.url is None else "url"), problem
    yield from _fallbacks(config.targets)
    yield from _lint_routes(config, names)
    yield from escalation.lint(config.escalations, config, names)
    yield from _lint_services(config)
    yield from oncall.lint(config.people, config.teams, config.rotas, names)
    yield from _lint_measuring(config)
    yield from _lint_slack(config)
    yield from _lint_redact(config.redact)
    yield from templates.lint(config.templates, names, config.teams)
    yield from oncall.lint_digests(config.digests, names)
    yield from _folding_digests(config)
    if config.heartbeat is not None and not config.heartbeat.read_url().startswith(("http://", "https://")):
        yield ("heartbeat", "url_file"), "the file holds no http:// or https:// URL"
    if config.runbooks is not None and not config.runbooks.is_dir():
        yield ("runbooks",), f"{config.runbooks} is not a folder"
    for index, prefix in enumerate(config.runbook_urls):
        if not prefix.endswith("/"):
            yield ("runbook_urls", index), "should end in /, so that nothing beside it is allowed"


def _lint_routes(config: ReceiverConfig, targets: Collection[str]) -> Iterator[tuple[Location, str]]:
    for index, route in enumerate(config.routes):
        at: Location = ("routes", index)
        named: list[tuple[Location, str, str | None, Collection[str]]] = [
            *(((*at, "targets", place), "target", name, targets) for place, name in enumerate(route.targets or ())),
            *(((*at, "hours", place), "hours", name, config.hours) for place, name in enumerate(route.hours)),
            ((*at, "team"), "team", route.team, config.teams),
            ((*at, "escalation"), "escalation", route.escalation, config.escalations),
        ]
        for place, kind, name, known in named:
            if name is not None and name not in known:
                yield place, f"no {kind} {'are' if kind == 'hours' else 'is'} named '{name}'{nearest(name, known)}"
    if config.routes and not config.routes[-1].matches_everything:
        yield (
            ("routes", len(config.routes) - 1),
            "the last route must match everything, or alerts would be lost; add one like `- targets: [NAME]`",
        )


def _lint_measuring(config: ReceiverConfig) -> Iterator[tuple[Location, str]]:
    for key in ("impact", "traces"):
        if getattr(config, key) and config.prometheus is None:
            yield (key,), "this asks Prometheus; say where it is with prometheus.url"


def _lint_redact(patterns: Iterable[str]) -> Iterator[tuple[Location, str]]:
    for index, pattern in enumerate(patterns):
        compiled = re2.compile(pattern)
        if any(compiled.fullmatch(EDGES, at, at) for at in range(len(EDGES) + 1)):
            yield (
                ("redact", index),
                "this can match where there is nothing to mask: between letters, or at a line's end",
            )


def _lint_services(config: ReceiverConfig) -> Iterator[tuple[Location, str]]:
    for name, service in config.services.items():
        for place, needed in enumerate(service.depends_on):
            if needed not in config.services:
                yield (
                    ("services", name, "depends_on", place),
                    f"no service is named '{needed}'{nearest(needed, config.services)}; give it an entry, {{}} will do",
                )


def _lint_slack(config: ReceiverConfig) -> Iterator[tuple[Location, str]]:
    for index, target in enumerate(config.targets):
        if is_slack_bot(target.read_url()) and target.timeout < SHORTEST_SLACK_SECONDS:
            yield (
                ("targets", index, "timeout"),
                f"a Slack bot writes twice, a second apart: give it {SHORTEST_SLACK_SECONDS:g}s at least",
            )
        if config.slack is None and takes_presses(target.read_url()):
            yield ("targets", index), "buttons=yes needs slack.signing_secret_file, or nobody's press is believed"


def _folding_digests(config: ReceiverConfig) -> Iterator[tuple[Location, str]]:
    folding = {target.name for target in config.targets if folds(target.read_url())}
    for name, digest in config.digests.items():
        for place, target in enumerate(digest.targets):
            if target in folding:
                yield (
                    ("digests", name, "targets", place),
                    f"'{target}' keeps one alert for each incident, and a digest tells of many",
                )


def _fallbacks(targets: Sequence[Target]) -> Iterator[tuple[Location, str]]:
    """Fallbacks that are none: a name that nobody has, or one that leads back to where it began."""
    following = {target.name: target.fallback for target in targets}
    for index, target in enumerate(targets):
        place: Location = ("targets", index, "fallback")
        if target.fallback is None:
            continue
        if target.fallback not in following:
            yield place, f"no target is named '{target.fallback}'{nearest(target.fallback, following)}"
        elif target.name in (way := _way(target.fallback, following)):
            yield place, f"leads back to '{target.name}': {' -> '.join([target.name, *way])}"


def _way(name: str | None, following: Mapping[str, str | None]) -> list[str]:
    """The fallbacks from `name` on, up to the first that was named before."""
    way: list[str] = []
    while name is not None and name not in way:
        way.append(name)
        name = following.get(name)
    return way


def summary(config: ReceiverConfig, now: float) -> str:
    """What `tocsin-receiver check` prints: a line, and one for each gap of the rotas from `now` on."""
    warning = "" if config.targets else "; there is no target, so nobody is told"
    warning += "; shadow is on, so nothing is sent" if config.shadow else ""
    gaps = [line for name, rota in config.rotas.items() for line in gap_lines(name, rota, now)]
    gaps += unreachable_lines(config.people, config.rotas)
    return "\n".join([f"valid: {len(config.targets)} targets, {len(config.routes)} routes{warning}", *gaps])
