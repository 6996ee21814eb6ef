"""The values of `config/receiver.yml`: what each key may hold. `receiver/config.py` reads the file.

People, escalations, templates, changes and enrichers have their settings beside what they do.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

import pydantic
from pydantic import Field

from receiver.changes.settings import ChangeSources
from receiver.delivery.pace import parse_rate
from receiver.enrichers import settings as enrichers
from receiver.escalation.settings import Escalation
from receiver.notifiers.apprise import rate_of
from receiver.oncall.settings import Digest, Moment, Person, Rota, Team, Window
from receiver.oncall.zones import TimeZone, zone
from receiver.slack.settings import SlackSettings
from receiver.templates.settings import TemplateSettings
from toolkit.configfile import Duration, FilePath, HttpUrl, Model, Name, Regex, Secret
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

    labels: tuple[str, ...] = ("alertname", "provider", "rule", "signal", "slo", "service", "environment", "instance")
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
    runbook_urls: tuple[HttpUrl, ...] = ()
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
