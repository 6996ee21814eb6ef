"""Asks Alertmanager over its HTTP API (`/api/v2`): which alerts it holds, and since when it has been up."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import aiohttp
import msgspec

from toolkit.clock import format_rfc3339, parse_rfc3339
from toolkit.httpclient import TooLong, bearer, read_at_most
from toolkit.redaction import printable
from toolkit.secretfile import SecretFile, SecretUnreadable

MAX_ANSWER_BYTES = 64 * 1024 * 1024
"""10,000 alerts are about 7 MB."""
MAX_REFUSAL_BYTES = 2048


class Unreachable(Exception):
    """No usable answer. The message is for people, and holds no secret."""


@dataclass(frozen=True)
class HeldAlert:
    """An alert as Alertmanager holds it, silenced and inhibited ones included (then it is not `active`).

    Times are seconds since the epoch; `updated_at` is when Prometheus last said that it fires, `ends_at` when
    Alertmanager takes it for resolved unless it is said again. `receivers` are whom its routes lead to.
    """

    fingerprint: str
    starts_at: float
    labels: Mapping[str, str]
    annotations: Mapping[str, str] = field(default_factory=dict)
    generator_url: str = ""
    updated_at: float = 0.0
    ends_at: float = 0.0
    active: bool = True
    receivers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Holdings:
    """What one Alertmanager holds; `up_since` in seconds since the epoch."""

    up_since: float
    alerts: tuple[HeldAlert, ...]


@dataclass(frozen=True)
class Matcher:
    """A condition on a label: equal to `value`, or, with `is_regex`, wholly matched by it."""

    name: str
    value: str
    is_regex: bool = False


class _Silence(msgspec.Struct):
    silence_id: str = msgspec.field(name="silenceID")


class _AlertStatus(msgspec.Struct):
    state: str = "active"


class _Receiver(msgspec.Struct):
    name: str = ""


class _Alert(msgspec.Struct):
    fingerprint: str
    labels: dict[str, str]
    starts_at: str = msgspec.field(name="startsAt")
    updated_at: str = msgspec.field(name="updatedAt", default="")
    ends_at: str = msgspec.field(name="endsAt", default="")
    annotations: dict[str, str] = {}
    generator_url: str = msgspec.field(name="generatorURL", default="")
    status: _AlertStatus = msgspec.field(default_factory=_AlertStatus)
    receivers: list[_Receiver] = []


class _Status(msgspec.Struct):
    uptime: str


_alerts = msgspec.json.Decoder(list[_Alert])
_status = msgspec.json.Decoder(_Status)
_silence = msgspec.json.Decoder(_Silence)


def _held(alert: _Alert) -> HeldAlert:
    return HeldAlert(
        fingerprint=alert.fingerprint,
        starts_at=parse_rfc3339(alert.starts_at),
        labels=alert.labels,
        annotations=alert.annotations,
        generator_url=alert.generator_url,
        updated_at=parse_rfc3339(alert.updated_at) if alert.updated_at else 0.0,
        ends_at=parse_rfc3339(alert.ends_at) if alert.ends_at else 0.0,
        active=alert.status.state == "active",
        receivers=tuple(one.name for one in alert.receivers),
    )


class Alertmanager:
    """One server. The session and its timeouts are the caller's."""

    def __init__(self, session: aiohttp.ClientSession, url: str, token: SecretFile | None = None) -> None:
        self._session, self._url, self._token = session, url.rstrip("/"), token

    async def holdings(self, *matchers: str) -> Holdings:
        """Every alert it holds now that meets the matchers (`drill="true"`). Raises Unreachable."""
        # the start first: a server that restarts in between is then known to be young
        try:
            up_since = parse_rfc3339(_status.decode(await self._get("status")).uptime)
            alerts = _alerts.decode(await self._get("alerts", [("filter", matcher) for matcher in matchers]))
            held = tuple(_held(one) for one in alerts)
        except (msgspec.DecodeError, ValueError, UnicodeError) as error:
            raise Unreachable(f"Alertmanager's answer can't be read: {error}") from None
        return Holdings(up_since, held)

    @property
    def url(self) -> str:
        """Its address."""
        return self._url

    async def silence(self, matchers: Sequence[Matcher], since: float, until: float, by: str, why: str) -> str:
        """Silences what meets all the matchers (seconds since the epoch); returns the silence's id. Raises
        Unreachable, with Alertmanager's words when it refuses."""
        body = {
            "matchers": [
                {"name": one.name, "value": one.value, "isRegex": one.is_regex, "isEqual": True} for one in matchers
            ],
            "startsAt": format_rfc3339(since),
            "endsAt": format_rfc3339(until),
            "createdBy": by,
            "comment": why,
        }
        try:
            url, headers = f"{self._url}/api/v2/silences", bearer(self._token)
            async with self._session.post(url, json=body, headers=headers) as response:
                answer = await response.content.read(MAX_REFUSAL_BYTES)
        except SecretUnreadable as error:
            raise Unreachable(str(error)) from None
        except (aiohttp.ClientError, OSError) as error:
            raise Unreachable(f"Alertmanager can't be reached ({type(error).__name__})") from None
        try:
            if response.status == 200:
                return _silence.decode(answer).silence_id
        except (msgspec.DecodeError, UnicodeError) as error:
            raise Unreachable(f"Alertmanager's answer can't be read: {error}") from None
        words = printable(answer.decode(errors="replace").strip())
        raise Unreachable(f"Alertmanager answered {response.status}: {words}")

    async def _get(self, resource: str, parameters: Sequence[tuple[str, str]] = ()) -> bytes:
        try:
            headers = bearer(self._token)
            url = f"{self._url}/api/v2/{resource}"
            async with self._session.get(url, params=parameters, headers=headers) as response:
                if response.status != 200:
                    raise Unreachable(f"Alertmanager answered {response.status}")
                return await read_at_most(response, MAX_ANSWER_BYTES)
        except TooLong as error:
            raise Unreachable(f"Alertmanager answered {error}") from None
        except SecretUnreadable as error:
            raise Unreachable(str(error)) from None
        except (aiohttp.ClientError, OSError) as error:
            raise Unreachable(f"Alertmanager can't be reached ({type(error).__name__})") from None
