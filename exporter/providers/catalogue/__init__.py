"""What is known of vendors: one YAML each, with the source and the reason of every signature.

A vendor's file is read when it is asked for; `names` lists them without reading any.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

import pydantic
from pydantic import Field

from exporter.providers.account import Credit, Quota
from exporter.providers.kinds import Kind
from toolkit import configfile
from toolkit.configfile import Model, nearest

FOLDER = Path(__file__).parent
Scalar = str | int | float | bool
_PLACEHOLDER = re.compile(r"<([^>]+)>")
Confidence = Literal["documented", "documented_secondhand", "seen_in_code", "seen_in_issue", "unverified"]
"""The vendor's own words; a copy or digest of them; public code that talks to it; a public issue; memory."""


class When(Model):
    """What an answer must be like. Everything given must hold; of `says`, one phrase is enough.

    `fields` maps paths (`error.code`, `errors[].code`, `[].errorCode`, `error['.tag']`) to values; `says` holds phrases
    of the body, compared without regard to case.
    """

    status: int | None = None
    fields: dict[str, Scalar] = {}
    says: tuple[Annotated[str, Field(min_length=3)], ...] = ()
    headers: dict[str, str] = {}

    @property
    def by_status_alone(self) -> bool:
        """Whether nothing but the status is asked: weaker evidence than any word of the answer."""
        return not (self.fields or self.says or self.headers)


class Example(Model):
    """An answer that the signature is for: a test case."""

    status: int
    headers: dict[str, str] = {}
    body: str = ""


class Signature(Model):
    """One way in which a vendor answers, what it means, and how we know."""

    id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
    verdict: Kind
    also_possible: tuple[Kind, ...] = ()
    when: When
    why: Annotated[str, Field(min_length=8)]
    source: str = ""
    confidence: Confidence = "unverified"
    example: Example | None = None


class KnownAuth(Model):
    """The header that a vendor takes a secret in; with scheme "" the secret stands alone. Or its query parameter.

    `holds` is what the secret file holds, for people: `ACCOUNT_SID:AUTH_TOKEN`.
    """

    header: str = "Authorization"
    scheme: str = ""
    query: str = ""
    holds: str = "SECRET"

    @property
    def sent(self) -> str:
        """How the secret is sent, for people: `Authorization: Bearer SECRET`, `?key=SECRET`."""
        if self.query:
            return f"?{self.query}={self.holds}"
        value = f"base64({self.holds})" if self.scheme == "Basic" else self.holds
        return f"{self.header}: {self.scheme} {value}" if self.scheme else f"{self.header}: {value}"


class KnownProbe(Model):
    """A request that tells a vendor's health. `placeholders` are the parts of the URL that only the user knows.

    `auth_note` tells how a vendor is authenticated that takes more than one secret in one place.
    """

    method: Literal["GET", "HEAD", "POST"] = "GET"
    url: str
    headers: dict[str, str] = {}
    auth: KnownAuth | None = None
    auth_note: str = ""
    placeholders: tuple[str, ...] = ()
    source: str
    confidence: Confidence


class Introspection(Model):
    """A place at which the vendor tells of plan, balance or quota."""

    what: str
    endpoint: str
    source: str
    confidence: Confidence


class KnownAccount(Model):
    """How to read credit, quota or renewal off an answer of the vendor. Without `url`, off the probe's own."""

    url: str = ""
    credit: Credit | None = None
    quota: Quota | None = None
    renews: str | None = None
    source: str
    confidence: Confidence

    @property
    def tells(self) -> tuple[str, ...]:
        """Which of credit, quota and renews it tells."""
        parts = {"credit": self.credit, "quota": self.quota, "renews": self.renews}
        return tuple(name for name, part in parts.items() if part is not None)


class Vendor(Model):
    """A vendor's file."""

    vendor: str
    docs: str = ""
    probe: KnownProbe | None = None
    status_page: str = ""
    introspection: tuple[Introspection, ...] = ()
    account: KnownAccount | None = None
    note: str = ""
    signatures: tuple[Signature, ...] = ()

    @property
    def placeholders(self) -> frozenset[str]:
        """The parts of its addresses that only the user knows."""
        addresses = f"{self.probe.url if self.probe else ''} {self.account.url if self.account else ''}"
        return frozenset(_PLACEHOLDER.findall(addresses))

    @pydantic.model_validator(mode="after")
    def _ids_are_its_own(self) -> "Vendor":
        ids = [signature.id for signature in self.signatures]
        if len(set(ids)) != len(ids) or not all(one.startswith(f"{self.vendor}-") for one in ids):
            raise ValueError("each signature's id begins with the vendor's name and is used once")
        return self


def names() -> list[str]:
    """The vendors that are known."""
    return sorted(path.stem for path in FOLDER.glob("*.yml"))


def load(name: str, folder: Path = FOLDER) -> Vendor:
    """One vendor. Raises KeyError with the nearest name, or ConfigError for a file with a mistake."""
    path = folder / f"{name}.yml"
    if not name or path.parent != folder or not path.is_file():
        raise KeyError(f"no vendor is named '{name}'{nearest(name, names(), 'tocsin-exporter vendors')}")
    return configfile.load(path, Vendor)


def every() -> Iterable[Vendor]:
    """All of them, one after another."""
    return (load(name) for name in names())
