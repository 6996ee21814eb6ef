"""`config/receiver.yml` as frozen values. Read `docs/configuration.md` for the file as an operator sees it."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic
import re2
from pydantic import Field

from receiver.changes.settings import ChangeSources
from receiver.delivery.pace import parse_rate
from receiver.enrichers import settings as enrichers
from receiver.escalation import settings as escalation
from receiver.escalation.settings import Escalation
from receiver.notifiers.apprise import rate_of, url_problem
from receiver.notifiers.folding import folds
from receiver.notifiers.slack import is_for as is_slack_bot
from receiver.notifiers.slack import takes_presses
from receiver.oncall import settings as oncall
from receiver.oncall.report import gap_lines, unreachable_lines
from receiver.oncall.settings import Digest, Moment, Person, Rota, Team, Window
from receiver.oncall.zones import TimeZone, zone
from receiver.services import ServiceGraph
from receiver.slack.settings import SlackSettings
from receiver.templates import settings as templates
from receiver.templates.settings import TemplateSettings
from receiver.vocabulary import Vocabulary
from toolkit import configfile
from toolkit.configfile import Duration, FilePath, HttpUrl, Location, Model, Name, Regex, Secret, nearest
from toolkit.httpserver import ServerAuth
from toolkit.matchers import MatcherText
from toolkit.secretfile import SecretFile, SecretUnreadable


def _rate(value: object) -> float:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is not a rate; write it like 1/s, 30/m or 100/h")
    return parse_rate(value)


Rate = Annotated[float, pydantic.BeforeValidator(_rate)]
"""Messages per second, written as a number per `s`, `m` or `h`."""


class Prometheus(Model):
    """Where the values in a message are queried."""

    url: HttpUrl
    bearer_token_file: Secret | None = None


class Alertmanager(Model):
    """One that posts to us: asked every minute what it holds, so that a resolve that was lost is noticed. `source` is
    what its webhook's URL says, `?source=NAME`: alerts of different sources are different alerts."""

    url: HttpUrl
    bearer_token_file: Secret | None = None
    source: Name | None = None


class Correlation(Model):
    """Alerts that agree in these labels are one incident."""

    labels: tuple[str, ...] = ("alertname", "provider", "rule", "service", "environment", "instance")
    window: Duration = Field(default=600.0, ge=0)


class Service(Model):
    """What a service needs, how much it matters (tier 1 the most), who looks after it and where to look."""

    depends_on: tuple[str, ...] = ()
    tier: int | None = Field(default=None, ge=1, le=4)
    owner: str = ""
    description: str = ""
    dashboard: HttpUrl | None = None


class Storm(Model):
    """More new incidents than this in so short a time are put together as one."""

    incidents: int = Field(default=20, ge=1)
    per: Duration = Field(default=60.0, gt=0)


USUAL_RATE = 10.0
"""Messages per second, where neither the target nor its kind of sink says otherwise."""


SHORTEST_SLACK_SECONDS = 5.0


def _usual_rate(given: Mapping[str, Any]) -> float:
    """What a target's sink bears; `given` are its other settings, those that are no mistakes."""
    file: SecretFile | None = given.get("url_file")
    try:
        url = given.get("url") or (file.read() if file else "")
    except SecretUnreadable:
        url = ""  # told with the setting itself
    return rate_of(url, USUAL_RATE)


class Target(Model):
    """One Apprise URL. It holds secrets more often than not, so it has a file; `url` is for those that hold none."""

    name: Name
    url: str | None = None
    url_file: Secret | None = None
    timeout: Duration = Field(default=15.0, gt=0)
    rate: Rate = Field(default_factory=_usual_rate)
    fallback: str | None = None
    fallback_after: Duration = Field(default=300.0, gt=0)

    @pydantic.model_validator(mode="after")
    def _one_url(self) -> "Target":
        if (self.url is None) == (self.url_file is None):
            raise ValueError("needs either url or url_file")
        return self

    def read_url(self) -> str:
        """The Apprise URL. Raises SecretUnreadable."""
        return self.url if self.url is not None else self._file().read()

    def _file(self) -> SecretFile:
        assert self.url_file is not None  # noqa: S101 - _one_url has seen to it
        return self.url_file


class Words(Model):
    """What the operator's rules call what Tocsin goes by; see receiver/vocabulary.py."""

    labels: dict[str, tuple[str, ...]] = {}
    annotations: dict[str, tuple[str, ...]] = {}
    severities: dict[str, Literal["critical", "warning", "info"]] = {}
    classes: dict[str, tuple[tuple[MatcherText, ...], ...]] = {}


class Heartbeat(Model):
    """A service outside that hears of us at each interval, and raises the alarm when it does not."""

    url: HttpUrl | None = None
    url_file: Secret | None = None
    interval: Duration = Field(default=60.0, ge=1)

    @pydantic.model_validator(mode="after")
    def _one_url(self) -> "Heartbeat":
        if (self.url is None) == (self.url_file is None):
            raise ValueError("needs either url or url_file")
        return self

    def read_url(self) -> str:
        """Its address. Raises SecretUnreadable."""
        if self.url is not None:
            return self.url
        assert self.url_file is not None  # noqa: S101 - _one_url has seen to it
        return self.url_file.read()


class Maintenance(Model):
    """Work that is announced: what matches is told only if it still fires at the end. Local times without a zone are
    those of `timezone`."""

    match: dict[str, str] = {}
    matchers: tuple[MatcherText, ...] = ()
    from_: Moment = Field(alias="from")
    to: Moment
    timezone: TimeZone = Field(default_factory=lambda: zone("UTC"))
    reason: str = Field(min_length=1)

    @pydantic.model_validator(mode="after")
    def _in_order(self) -> "Maintenance":
        if self.ends <= self.begins:
            raise ValueError("it ends before it begins")
        return self

    @property
    def begins(self) -> float:
        """In seconds since the epoch."""
        return self._instant(self.from_)

    @property
    def ends(self) -> float:
        """In seconds since the epoch."""
        return self._instant(self.to)

    def _instant(self, moment: datetime) -> float:
        return (moment if moment.tzinfo else moment.replace(tzinfo=self.timezone)).timestamp()


class Hours(Model):
    """Times of the week, by a name that routes use."""

    timezone: TimeZone = Field(default_factory=lambda: zone("UTC"))
    windows: tuple[Window, ...] = Field(min_length=1)


class Route(Model):
    """Who is told of incidents whose labels have these values and meet these matchers, at this time; without any of
    them it is every incident. `owner`: the team that the alert's label `owner` names; where there is no such team, the
    route does not match."""

    match: dict[str, str] = {}
    matchers: tuple[MatcherText, ...] = ()
    hours: tuple[str, ...] = ()
    targets: tuple[str, ...] | None = None
    team: str | None = None
    owner: bool = False
    escalation: str | None = None
    cooldown: Duration = Field(default=0.0, ge=0)
    continue_: bool = Field(default=False, alias="continue")

    @pydantic.model_validator(mode="after")
    def _somebody(self) -> "Route":
        if self.targets is None and self.team is None and not self.owner:
            raise ValueError("needs targets, team or owner; `targets: []` tells nobody, on purpose")
        return self

    @property
    def matches_everything(self) -> bool:
        """Whether no incident is left to the routes after it."""
        return not (self.match or self.matchers or self.hours or self.owner)


class ReceiverConfig(Model):
    """The whole file."""

    auth: ServerAuth = ServerAuth()
    prometheus: Prometheus | None = None
    alertmanagers: tuple[Alertmanager, ...] = ()
    runbooks: FilePath | None = None
    impact: tuple[enrichers.Impact, ...] = ()
    loki: enrichers.Loki | None = None
    traces: enrichers.Traces | None = None
    correlation: Correlation = Correlation()
    services: dict[str, Service] = {}
    vocabulary: Words = Words()
    changes: ChangeSources = ChangeSources()
    status_pages: dict[str, HttpUrl] = {}
    storm: Storm = Storm()
    shadow: bool = False
    watchdog: dict[str, str] = {"alertname": "Watchdog"}
    heartbeat: Heartbeat | None = None
    slack: SlackSettings | None = None
    targets: tuple[Target, ...] = ()
    routes: tuple[Route, ...] = ()
    redact: tuple[Regex, ...] = ()
    templates: tuple[TemplateSettings, ...] = ()
    hours: dict[Name, Hours] = {}
    maintenance: tuple[Maintenance, ...] = ()
    people: dict[Name, Person] = {}
    teams: dict[Name, Team] = {}
    rotas: dict[Name, Rota] = {}
    escalations: dict[Name, Escalation] = {}
    digests: dict[Name, Digest] = {}


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
        yield ("routes", len(config.routes) - 1), "the last route must match everything, or alerts would be lost"


def _lint_measuring(config: ReceiverConfig) -> Iterator[tuple[Location, str]]:
    for key in ("impact", "traces"):
        if getattr(config, key) and config.prometheus is None:
            yield (key,), "this asks Prometheus; say where it is with prometheus.url"


def _lint_redact(patterns: Iterable[str]) -> Iterator[tuple[Location, str]]:
    for index, pattern in enumerate(patterns):
        if re2.search(pattern, ""):
            yield ("redact", index), "this matches the empty text, and so everywhere"


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
