"""Asks Prometheus over its HTTP API (`/api/v1`): a value now, a value's course, exemplars, rules."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeVar

import aiohttp
import msgspec
import tenacity

from toolkit.httpclient import TooLong, bearer, read_at_most
from toolkit.secretfile import SecretFile, SecretUnreadable

MAX_ANSWER_BYTES = 4 * 1024 * 1024

Reason = Literal["unreachable", "refused"]
Point = tuple[float, float]
"""(seconds since the epoch, value)."""


class QueryFailed(Exception):
    """No usable answer. `refused` means that asking again won't help."""

    def __init__(self, reason: Reason, message: str) -> None:
        self.reason: Reason = reason
        super().__init__(message)


@dataclass(frozen=True)
class Sample:
    """One element of an instant vector, or a scalar without labels."""

    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True)
class Series:
    """One element of a range vector; its points in the order of time, with gaps where there was nothing."""

    labels: Mapping[str, str]
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Exemplar:
    """One event behind a series: `labels` are its own (a trace's id), `series` those of the series; `at` in seconds
    since the epoch."""

    labels: Mapping[str, str]
    series: Mapping[str, str]
    at: float


class _Element(msgspec.Struct):
    value: tuple[float, str]
    metric: dict[str, str] = {}


class _Row(msgspec.Struct):
    values: list[tuple[float, str]] = []
    metric: dict[str, str] = {}


class _Result(msgspec.Struct):
    kind: str = msgspec.field(name="resultType")
    result: msgspec.Raw


class _Exemplar(msgspec.Struct):
    timestamp: float
    labels: dict[str, str] = {}


class _Exemplars(msgspec.Struct):
    series: dict[str, str] = msgspec.field(name="seriesLabels", default_factory=dict)
    exemplars: list[_Exemplar] = []


class _Metadata(msgspec.Struct):
    kind: str = msgspec.field(name="type", default="")


class _Rule(msgspec.Struct):
    name: str
    query: str


class _Group(msgspec.Struct):
    rules: list[_Rule] = []


class _Groups(msgspec.Struct):
    groups: list[_Group] = []


class _Answer(msgspec.Struct):
    status: str
    data: msgspec.Raw = msgspec.Raw(b"null")
    error: str = ""


T = TypeVar("T")


class Prometheus:
    """One server. The session and its timeouts are the caller's. Every question is put twice when Prometheus can't be
    reached, reads `most_bytes` at most and raises QueryFailed."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        url: str,
        token: SecretFile | None = None,
        most_bytes: int = MAX_ANSWER_BYTES,
    ) -> None:
        self._session, self._url, self._token = session, url.rstrip("/"), token
        self._most_bytes = most_bytes

    async def query(self, expression: str) -> list[Sample]:
        """An instant query now."""
        return _samples(await self._asked("query", {"query": expression}))

    async def query_range(self, expression: str, start: float, end: float, step: float) -> list[Series]:
        """The values from `start` to `end` (seconds since the epoch), every `step` seconds."""
        form = {"query": expression, "start": f"{start:.3f}", "end": f"{end:.3f}", "step": f"{step:g}"}
        return _series(await self._asked("query_range", form))

    async def exemplars(self, expression: str, start: float, end: float) -> list[Exemplar]:
        """The exemplars of every series in `expression` from `start` to `end`, in no order."""
        data = await self._asked("query_exemplars", {"query": expression, "start": f"{start:.3f}", "end": f"{end:.3f}"})
        found = _decoded(data, list[_Exemplars]) if data != b"null" else []
        return [Exemplar(two.labels, one.series, two.timestamp) for one in found for two in one.exemplars]

    async def names(self) -> list[str]:
        """The names of all metrics that it knows."""
        return _decoded(await self._asked("label/__name__/values", {}, "GET"), list[str])

    async def labels(self, selector: str, start: float, end: float) -> list[str]:
        """The names of the labels of a selector's series from `start` to `end` (seconds since the epoch)."""
        asked = {"match[]": selector, "start": f"{start:.3f}", "end": f"{end:.3f}"}
        return _decoded(await self._asked("labels", asked, "GET"), list[str])

    async def kinds(self, metric: str) -> frozenset[str]:
        """As what those who expose a metric declare it: `counter`, `gauge`...; empty where nobody does now."""
        found = _decoded(await self._asked("metadata", {"metric": metric}, "GET"), dict[str, list[_Metadata]])
        return frozenset(one.kind for one in found.get(metric, ()))

    async def alert_queries(self, name: str) -> frozenset[str]:
        """The different expressions of the alerting rules that are called `name`."""
        # a version that does not know the last two sends more than was asked for
        asked = {"type": "alert", "rule_name[]": name, "exclude_alerts": "true"}
        groups = _decoded(await self._asked("rules", asked, "GET"), _Groups).groups
        return frozenset(rule.query for group in groups for rule in group.rules if rule.name == name)

    async def _asked(self, resource: str, asked: Mapping[str, str], method: Literal["GET", "POST"] = "POST") -> bytes:
        attempts = tenacity.AsyncRetrying(
            stop=tenacity.stop_after_attempt(2),
            wait=tenacity.wait_fixed(0.2),
            retry=tenacity.retry_if_exception(lambda e: isinstance(e, QueryFailed) and e.reason == "unreachable"),
            reraise=True,
        )
        ask: Callable[..., Awaitable[bytes]] = self._ask
        return await attempts(ask, resource, asked, method)

    async def _ask(self, resource: str, asked: Mapping[str, str], method: str) -> bytes:
        try:
            url = f"{self._url}/api/v1/{resource}"
            params, data = (asked, None) if method == "GET" else (None, asked)
            headers = bearer(self._token)
            async with self._session.request(method, url, headers=headers, params=params, data=data) as response:
                body, status = await read_at_most(response, self._most_bytes), response.status
        except TooLong as error:
            raise QueryFailed("refused", f"Prometheus answered {error}") from None
        except SecretUnreadable as error:
            raise QueryFailed("refused", str(error)) from None
        except (aiohttp.ClientError, OSError) as error:
            raise QueryFailed("unreachable", f"Prometheus can't be reached ({type(error).__name__})") from None
        if status >= 500:
            raise QueryFailed("unreachable", f"Prometheus answered {status}")
        return _data(status, body)


def _data(status: int, body: bytes) -> bytes:
    """The part `data` of an answer."""
    try:
        answer = msgspec.json.decode(body, type=_Answer)
    except (msgspec.DecodeError, ValueError) as error:
        raise QueryFailed("refused", f"Prometheus answered {status}, which can't be read: {error}") from None
    if answer.status != "success":
        raise QueryFailed("refused", f"Prometheus answered {status}: {answer.error[:200]}")
    return bytes(answer.data)


def _decoded(data: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, ValueError) as error:
        raise QueryFailed("refused", f"Prometheus's answer can't be read: {error}") from None


def _samples(data: bytes) -> list[Sample]:
    found = _decoded(data, _Result)
    if found.kind == "scalar":
        elements = [_Element(_decoded(bytes(found.result), tuple[float, str]))]
    elif found.kind == "vector":
        elements = _decoded(bytes(found.result), list[_Element])
    else:
        raise QueryFailed("refused", f"the query returned a {found.kind[:20]}, not an instant vector")
    return [Sample(element.metric, _number(element.value[1])) for element in elements]


def _series(data: bytes) -> list[Series]:
    found = _decoded(data, _Result)
    if found.kind != "matrix":
        raise QueryFailed("refused", f"the query returned a {found.kind[:20]}, not a matrix")
    rows = _decoded(bytes(found.result), list[_Row])
    return [Series(row.metric, tuple((at, _number(value)) for at, value in row.values)) for row in rows]


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise QueryFailed("refused", f"Prometheus's answer can't be read: {text[:20]!r} is no number") from None
