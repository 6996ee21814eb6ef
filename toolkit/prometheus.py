"""Asks Prometheus over its HTTP API (`/api/v1/query`)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import aiohttp
import msgspec
import tenacity

from toolkit.secretfile import SecretFile, SecretUnreadable

MAX_ANSWER_BYTES = 4 * 1024 * 1024
MAX_SAMPLES = 1000

Reason = Literal["unreachable", "refused"]


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


class _Element(msgspec.Struct):
    value: tuple[float, str]
    metric: dict[str, str] = {}


class _Result(msgspec.Struct):
    kind: str = msgspec.field(name="resultType")
    result: msgspec.Raw


class _Answer(msgspec.Struct):
    status: str
    data: _Result | None = None
    error: str = ""


class Prometheus:
    """One server. The session and its timeouts are the caller's."""

    def __init__(self, session: aiohttp.ClientSession, url: str, token: SecretFile | None = None) -> None:
        self._session, self._url, self._token = session, url.rstrip("/"), token

    async def query(self, expression: str) -> list[Sample]:
        """An instant query now, tried twice when Prometheus can't be reached. Raises QueryFailed."""
        attempts = tenacity.AsyncRetrying(
            stop=tenacity.stop_after_attempt(2),
            wait=tenacity.wait_fixed(0.2),
            retry=tenacity.retry_if_exception(lambda e: isinstance(e, QueryFailed) and e.reason == "unreachable"),
            reraise=True,
        )
        return await attempts(self._ask, expression)

    async def _ask(self, expression: str) -> list[Sample]:
        try:
            headers = {"Authorization": f"Bearer {self._token.read()}"} if self._token else {}
            request = self._session.post(f"{self._url}/api/v1/query", data={"query": expression}, headers=headers)
            async with request as response:
                body, status = bytearray(), response.status
                async for chunk in response.content.iter_any():
                    body += chunk
                    if len(body) > MAX_ANSWER_BYTES:
                        raise QueryFailed("refused", f"Prometheus answered more than {MAX_ANSWER_BYTES} bytes")
        except SecretUnreadable as error:
            raise QueryFailed("refused", str(error)) from None
        except (aiohttp.ClientError, OSError) as error:
            raise QueryFailed("unreachable", f"Prometheus can't be reached ({type(error).__name__})") from None
        if status >= 500:
            raise QueryFailed("unreachable", f"Prometheus answered {status}")
        return _samples(status, bytes(body))


def _samples(status: int, body: bytes) -> list[Sample]:
    try:
        answer = msgspec.json.decode(body, type=_Answer)
        if answer.status != "success" or answer.data is None:
            raise QueryFailed("refused", f"Prometheus answered {status}: {answer.error[:200]}")
        if answer.data.kind == "scalar":
            elements = [_Element(msgspec.json.decode(answer.data.result, type=tuple[float, str]))]
        elif answer.data.kind == "vector":
            elements = msgspec.json.decode(answer.data.result, type=list[_Element])[:MAX_SAMPLES]
        else:
            raise QueryFailed("refused", f"the query returned a {answer.data.kind}, not an instant vector")
        return [Sample(element.metric, float(element.value[1])) for element in elements]
    except (msgspec.DecodeError, ValueError) as error:
        raise QueryFailed("refused", f"Prometheus answered {status}, which can't be read: {error}") from None
