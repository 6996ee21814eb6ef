"""`config/receiver.yml` as frozen values. Read `docs/configuration.md` for the file as an operator sees it."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated

import pydantic
from pydantic import Field

from receiver.delivery.pace import parse_rate
from receiver.escalation import settings as escalation
from receiver.escalation.settings import Escalation
from receiver.notifiers.apprise import url_problem
from receiver.notifiers.folding import folds
from receiver.oncall import settings as oncall
from receiver.oncall.report import gap_lines, unreachable_lines
from receiver.oncall.settings import Digest, Person, Rota, Team
from receiver.services import ServiceGraph
from toolkit import configfile
from toolkit.configfile import Duration, FilePath, HttpUrl, Location, Model, Name, Secret, nearest
from toolkit.httpserver import ServerAuth
from toolkit.secretfile import SecretFile


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
    """One that posts to us: asked every minute what it holds, so that a resolve that was lost is noticed."""

    url: HttpUrl
    bearer_token_file: Secret | None = None


class Correlation(Model):
    """Alerts that agree in these labels are one incident."""

    labels: tuple[str, ...] = ("alertname", "provider", "rule", "service", "environment", "instance")
    window: Duration = Field(default=600.0, ge=0)


class Service(Model):
    """What a service needs, and how much it matters: tier 1 the most."""

    depends_on: tuple[str, ...] = ()
    tier: int | None = Field(default=None, ge=1, le=4)


class Storm(Model):
    """More new incidents than this in so short a time are put together as one."""

    incidents: int = Field(default=20, ge=1)
    per: Duration = Field(default=60.0, gt=0)


class Target(Model):
    """One Apprise URL. It holds secrets more often than not, so it has a file; `url` is for those that hold none."""

    name: Name
    url: str | None = None
    url_file: Secret | None = None
    timeout: Duration = Field(default=15.0, gt=0)
    rate: Rate = 10.0
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


class Route(Model):
    """Which targets are told of incidents whose labels have these values; `{}` matches every incident."""

    match: dict[str, str] = {}
    targets: tuple[str, ...]
    continue_: bool = Field(default=False, alias="continue")
    escalation: str | None = None


class ReceiverConfig(Model):
    """The whole file."""

    auth: ServerAuth = ServerAuth()
    prometheus: Prometheus | None = None
    alertmanagers: tuple[Alertmanager, ...] = ()
    runbooks: FilePath | None = None
    correlation: Correlation = Correlation()
    services: dict[str, Service] = {}
    storm: Storm = Storm()
    shadow: bool = False
    watchdog: dict[str, str] = {"alertname": "Watchdog"}
    heartbeat: Heartbeat | None = None
    targets: tuple[Target, ...] = ()
    routes: tuple[Route, ...] = ()
    people: dict[Name, Person] = {}
    teams: dict[Name, Team] = {}
    rotas: dict[Name, Rota] = {}
    escalations: dict[Name, Escalation] = {}
    digests: dict[Name, Digest] = {}


def load(path: Path) -> ReceiverConfig:
    """The configuration at `path`. Raises ConfigError."""
    return configfile.load(path, ReceiverConfig, lint)


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
    yield from oncall.lint_digests(config.digests, names)
    yield from _folding_digests(config)
    if config.heartbeat is not None and not config.heartbeat.read_url().startswith(("http://", "https://")):
        yield ("heartbeat", "url_file"), "the file holds no http:// or https:// URL"
    if config.routes and config.routes[-1].match:
        yield (
            ("routes", len(config.routes) - 1, "match"),
            "the last route must match everything, or alerts would be lost",
        )
    if config.runbooks is not None and not config.runbooks.is_dir():
        yield ("runbooks",), f"{config.runbooks} is not a folder"


def _lint_routes(config: ReceiverConfig, targets: Collection[str]) -> Iterator[tuple[Location, str]]:
    for index, route in enumerate(config.routes):
        for place, name in enumerate(route.targets):
            if name not in targets:
                yield ("routes", index, "targets", place), f"no target is named '{name}'{nearest(name, targets)}"
        if route.escalation is not None and route.escalation not in config.escalations:
            yield ("routes", index, "escalation"), escalation.unknown(route.escalation, config.escalations)


def _lint_services(config: ReceiverConfig) -> Iterator[tuple[Location, str]]:
    for name, service in config.services.items():
        for place, needed in enumerate(service.depends_on):
            if needed not in config.services:
                yield (
                    ("services", name, "depends_on", place),
                    f"no service is named '{needed}'{nearest(needed, config.services)}; give it an entry, {{}} will do",
                )


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
