"""`config/exporter.yml` as frozen values. Read `docs/configuration.md` for the file as an operator sees it."""

import datetime
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import quote, urlsplit

import pydantic
from pydantic import Field, IPvAnyNetwork

from exporter.providers import catalogue
from exporter.providers.account import AccountReading
from exporter.providers.catalogue import Signature
from exporter.providers.transport import ProviderTls
from exporter.usage import lint as usage
from exporter.usage.settings import Usage, twice
from toolkit import configfile
from toolkit.configfile import Duration, HttpUrl, Location, Model, Name, Secret, nearest
from toolkit.httpserver import ServerAuth

HeaderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")]

DEFAULT_OWNER = "platform"
"""Who is told when nobody is named, as of the rules that watch Tocsin itself."""


class ProviderAuth(Model):
    """The header that authenticates a probe: `{header}: {scheme} {secret}`.

    With scheme `Basic` the file holds `user:password`, which is encoded; with scheme "" the secret stands alone. With
    `query` it is the parameter of that name instead.
    """

    header: HeaderName = "Authorization"
    scheme: str = Field(default="Bearer", pattern=r"^[A-Za-z0-9-]*$")
    query: str = Field(default="", pattern=r"^[A-Za-z0-9_.~-]*$")
    secret_file: Secret


class OAuth(Model):
    """A token that is fetched: with a refresh token, or with the client's own credentials (RFC 6749, 4.4 and 6)."""

    token_url: HttpUrl
    client_id: str
    client_secret_file: Secret | None = None
    refresh_token_file: Secret | None = None
    scope: str = ""

    @pydantic.model_validator(mode="after")
    def _holds_a_secret(self) -> "OAuth":
        if self.client_secret_file is None and self.refresh_token_file is None:
            raise ValueError("give client_secret_file, refresh_token_file or both")
        return self


class Confirmation(Model):
    """When the rules may believe a verdict: seen on this many probes in a row, over at least this long."""

    probes: int = Field(default=3, ge=1, le=1000)
    duration: Duration = 900.0


class Renewal(Model):
    """When a plan renews: on `date` (YYYY-MM-DD), and from then on every month or year."""

    date: datetime.date
    every: Literal["once", "month", "year"] = "once"


class ProviderBilling(Model):
    """How a provider is paid: the card of `cards` that it is charged to, where to pay, the plan, its renewal."""

    card: str = ""
    url: HttpUrl | None = None
    plan: str = ""
    renews: Renewal | None = None


class Card(Model):
    """A payment card by a name of yours (never its number). `expires` is the month printed on it, YYYY-MM."""

    name: Name
    expires: Annotated[str, Field(pattern=r"^20\d\d-(0[1-9]|1[0-2])$")]
    owner: str = DEFAULT_OWNER


class Provider(Model):
    """One third-party API and the request that tells its health.

    With `vendor` the catalogue gives the request and what its answers mean; whatever stands here goes before it.
    """

    name: Name
    vendor: str = ""
    url: HttpUrl
    values: dict[str, str] = {}
    method: Literal["GET", "HEAD", "POST"] = "GET"
    headers: dict[HeaderName, str] = {}
    auth: ProviderAuth | None = None
    secret_file: Secret | None = None
    oauth: OAuth | None = None
    second_url: HttpUrl | None = None
    proxy: HttpUrl | None = None
    tls: ProviderTls = ProviderTls()
    private_networks: tuple[IPvAnyNetwork, ...] = ()
    signatures: tuple[Signature, ...] = ()
    scheduled: bool = True
    interval: Duration = Field(default=60.0, ge=0.1)
    timeout: Duration = Field(default=10.0, ge=0.05)
    success_max_age: Duration = Field(default=3600.0, gt=0)
    confirmation: Confirmation = Confirmation()
    service: str = ""
    owner: str = DEFAULT_OWNER
    billing_owner: str = ""
    billing: ProviderBilling | None = None
    features: tuple[str, ...] = ()
    cost_per_hour: str = ""
    account: AccountReading | None = None
    status_page: HttpUrl | None = None

    @pydantic.model_validator(mode="before")
    @classmethod
    def _from_the_catalogue(cls, data: object) -> object:
        return _expanded(data) if isinstance(data, dict) else data

    @pydantic.model_validator(mode="after")
    def _timeout_fits(self) -> "Provider":
        if self.timeout > self.interval:
            raise ValueError("timeout must not be longer than interval, or probes would overlap")
        if self.auth is not None and self.oauth is not None:
            raise ValueError("give either a secret (auth, secret_file) or oauth")
        return self

    @property
    def doubt_interval(self) -> float:
        """Seconds between probes while a new verdict waits to be confirmed."""
        return min(self.interval, max(self.confirmation.duration / self.confirmation.probes, self.timeout))


def _expanded(data: dict[str, Any]) -> dict[str, Any]:
    """What the user wrote, with the vendor's request, signatures and account where the user gave none.

    `secret_file` stands for `auth.secret_file`. Raises ValueError for a vendor that is not known, or whose request
    needs something that only the user knows.
    """
    given = dict(data)
    vendor = _vendor(str(given.get("vendor") or ""))
    if "secret_file" in given and "auth" in given:
        raise ValueError("give either secret_file or auth, which holds one itself")
    if "secret_file" in given:
        auth = vendor.probe.auth if vendor and vendor.probe else None
        _refuse_what_a_header_cannot_say(vendor, given)
        known = auth.model_dump(exclude={"holds"}) if auth else {}
        given["auth"] = {**known, "secret_file": given.pop("secret_file")}
    return given if vendor is None else _with_what_is_known(given, vendor)


def _refuse_what_a_header_cannot_say(vendor: catalogue.Vendor | None, given: Mapping[str, Any]) -> None:
    probe = vendor.probe if vendor else None
    if vendor and probe and probe.auth is None and probe.auth_note and "url" not in given:
        raise ValueError(
            f"{vendor.vendor} takes its secret as '{probe.auth_note}', which secret_file can't give: "
            "write url, headers and auth yourself"
        )


def _vendor(name: str) -> catalogue.Vendor | None:
    try:
        return catalogue.load(name) if name else None
    except KeyError as error:
        raise ValueError(str(error.args[0])) from None


def _with_what_is_known(given: dict[str, Any], vendor: catalogue.Vendor) -> dict[str, Any]:
    values = given["values"] if isinstance(given.get("values"), dict) else {}
    _refuse_strange(values, vendor)
    own = given.get("signatures", [])
    if isinstance(own, list):  # what is none is refused in its place
        given["signatures"] = [*own, *vendor.signatures]
    given.setdefault("status_page", vendor.status_page or None)
    if vendor.probe is not None:
        if isinstance(given.get("headers", {}), dict):
            given["headers"] = _headers(vendor.probe.headers, given.get("headers", {}))
        if "url" not in given:
            given["url"] = _filled(vendor.probe, values)
            given.setdefault("method", vendor.probe.method)
    if vendor.account is not None:
        given.setdefault("account", _account(vendor.account, values, str(given.get("url"))))
    return given


def _refuse_strange(values: Iterable[str], vendor: catalogue.Vendor) -> None:
    """A value that no address of the vendor has room for is a slip, or a secret that belongs into `secret_file`."""
    for name in values:
        if name not in vendor.placeholders:
            asked = ", ".join(sorted(vendor.placeholders)) or "none"
            raise ValueError(f"values: {vendor.vendor} has no place for '{name}' (it asks for {asked})")


def _headers(known: Mapping[str, str], given: Mapping[str, Any]) -> dict[str, Any]:
    """The headers that the vendor asks for, without those that the user gave, however written."""
    names = {str(name).lower() for name in given}
    return {name: value for name, value in known.items() if name.lower() not in names} | dict(given)


def _filled(probe: catalogue.KnownProbe, values: Mapping[str, str]) -> str:
    missing = [placeholder for placeholder in probe.placeholders if placeholder not in values]
    if missing:
        raise ValueError(
            f"this vendor's request {probe.url} needs values: {{{', '.join(f'{one}: ...' for one in missing)}}}"
        )
    return _put_in(probe.url, values)


def _account(known: catalogue.KnownAccount, values: Mapping[str, str], request: str) -> AccountReading | None:
    """How the vendor's account is read; None where that needs a value that was not given.

    None too where the request goes to another host, such as a gateway: its secret is not for the vendor.
    """
    url = _put_in(known.url, values)
    if "<" in url or (url and urlsplit(url).hostname != urlsplit(request).hostname):
        return None
    return AccountReading(url=url or None, credit=known.credit, quota=known.quota, renews=known.renews)


def _put_in(url: str, values: Mapping[str, str]) -> str:
    for placeholder, value in values.items():
        url = url.replace(f"<{placeholder}>", quote(str(value), safe=""))
    return url


class ExporterConfig(Model):
    """The whole file."""

    auth: ServerAuth = ServerAuth()
    cards: tuple[Card, ...] = ()
    providers: tuple[Provider, ...] = ()
    usage: Usage = Usage()


def load(path: Path) -> ExporterConfig:
    """The configuration at `path`. Raises ConfigError."""
    return configfile.load(path, ExporterConfig, lint)


def lint(config: ExporterConfig) -> Iterator[tuple[Location, str]]:
    """What only the whole file shows: names used twice, metrics that clash."""
    yield from twice(("providers",), [provider.name for provider in config.providers])
    yield from twice(("cards",), [card.name for card in config.cards])
    cards = {card.name for card in config.cards}
    for index, provider in enumerate(config.providers):
        card = provider.billing.card if provider.billing else ""
        if card and card not in cards:
            yield ("providers", index, "billing", "card"), f"no card is named '{card}'{nearest(card, cards)}"
    for location, text in usage.lint(config.usage):
        yield ("usage", *location), text


def summary(config: ExporterConfig) -> str:
    """One line for `tocsin-exporter check`."""
    events, rules = len(config.usage.events), len(config.usage.rules) + len(config.usage.sequences)
    return f"valid: {len(config.providers)} providers, {events} events, {rules} usage rules"
