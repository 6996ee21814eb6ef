"""What a program's own calls got from a vendor: a request's body -> answers, each with its provider. Pure.

One observation: `{"provider": "mailgun", "status": 402, "headers": {...}, "body": "...", "operation": "POST
api.mailgun.net", "seconds": 0.3}`, or `error` where none came (`timeout`, `dns`, `connect`,
`tls`, `protocol`). `vendor` names the provider where only one is of that vendor.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec

from exporter.bodies import MAX_REJECTS_NAMED, Reject, items
from exporter.config import Provider
from exporter.providers.answer import Exchange, Failure, Outcome
from exporter.providers.probe import MAX_BODY_BYTES
from toolkit.configfile import nearest

MAX_OPERATION = 100
MAX_OBSERVATIONS = 1000
"""Judging takes time that the probes need too."""
SOURCE = "calls"


class TooMany(Exception):
    """A body holds more than MAX_OBSERVATIONS; none of them is taken."""


class _Item(msgspec.Struct):
    provider: str = ""
    vendor: str = ""
    status: Annotated[int, msgspec.Meta(ge=100, le=599)] | None = None
    headers: dict[str, str] = {}
    body: str = ""
    operation: str = ""
    seconds: Annotated[float, msgspec.Meta(ge=0, le=86400)] = 0.0
    error: Literal["", "timeout", "dns", "connect", "tls", "protocol"] = ""


@dataclass(frozen=True)
class Observation:
    """One answer to a program. `source` names the kind of call, so that one kind's ok is no other kind's."""

    provider: Provider
    outcome: Outcome
    source: str


@dataclass(frozen=True)
class Observed:
    """What a body held; the first MAX_REJECTS_NAMED of what could not be used are in `rejects`."""

    observations: tuple[Observation, ...]
    rejected: int
    rejects: tuple[Reject, ...]


def read(body: bytes, ndjson: bool, providers: Mapping[str, Provider]) -> Observed:
    """The observations of `body`. What is none, or is of a provider that isn't known, is named in `rejects`.

    Raises TooMany.
    """
    found: list[Observation] = []
    rejects: list[Reject] = []
    for position, item in items(body, ndjson):
        taken = item if isinstance(item, Reject) else _observation(item, position, providers)
        if isinstance(taken, Reject):
            rejects.append(taken)
        else:
            found.append(taken)
        if len(found) + len(rejects) > MAX_OBSERVATIONS:
            raise TooMany(f"more than {MAX_OBSERVATIONS} observations in one body: send them in parts")
    return Observed(tuple(found), len(rejects), tuple(rejects[:MAX_REJECTS_NAMED]))


def _observation(data: Mapping[str, Any], position: int, providers: Mapping[str, Provider]) -> Observation | Reject:
    try:
        item = msgspec.convert(data, _Item)
    except msgspec.ValidationError as error:
        return Reject(position, str(error))
    provider = _provider(item, providers)
    if isinstance(provider, str):
        return Reject(position, provider)
    if item.error:
        outcome: Outcome = Failure(item.error, f"a program's call got none: {item.error}", item.seconds)
    elif item.status is None:
        return Reject(position, "give a status, or an error where no answer came")
    else:
        headers = {name.lower(): value for name, value in item.headers.items()}
        raw = item.body.encode(errors="replace")[:MAX_BODY_BYTES]
        outcome = Exchange(item.status, raw, headers, item.seconds)
    return Observation(provider, outcome, f"{SOURCE}: {item.operation}"[:MAX_OPERATION] if item.operation else SOURCE)


def _provider(item: _Item, providers: Mapping[str, Provider]) -> Provider | str:
    """The provider that an item names; or why that is none."""
    if item.provider:
        if item.provider not in providers:
            return f"no provider is named '{item.provider}'{nearest(item.provider, providers)}"
        return providers[item.provider]
    found = [provider for provider in providers.values() if item.vendor and provider.vendor == item.vendor]
    if len(found) == 1:
        return found[0]
    if found:
        return f"several providers are of the vendor '{item.vendor}': name the provider"
    return "name the provider" if not item.vendor else f"no provider is of the vendor '{item.vendor}'"
