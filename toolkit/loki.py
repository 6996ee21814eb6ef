"""Asks Loki over its HTTP API (`/loki/api/v1/query_range`) for log lines."""

from collections.abc import Sequence
from dataclasses import dataclass

import aiohttp
import msgspec

from toolkit.httpclient import TooLong, bearer, read_at_most
from toolkit.secretfile import SecretFile, SecretUnreadable

MAX_ANSWER_BYTES = 1024 * 1024
_NANOSECONDS = 1_000_000_000


class LokiFailed(Exception):
    """No usable answer. `unreachable` tells a server that may answer later from one that never will."""

    def __init__(self, message: str, unreachable: bool = False) -> None:
        self.unreachable: bool = unreachable
        super().__init__(message)


@dataclass(frozen=True)
class Line:
    """One log line; `at` in seconds since the epoch."""

    at: float
    text: str


class _Stream(msgspec.Struct):
    # time, line, and with some versions structured metadata
    values: list[list[str | dict[str, object]]] = []


class _Result(msgspec.Struct):
    kind: str = msgspec.field(name="resultType")
    result: msgspec.Raw


class _Answer(msgspec.Struct):
    status: str
    data: _Result


class Loki:
    """One server. The session and its timeouts are the caller's. `tenant` is for those that serve several."""

    def __init__(
        self, session: aiohttp.ClientSession, url: str, token: SecretFile | None = None, tenant: str | None = None
    ) -> None:
        self._session, self._url, self._token, self._tenant = session, url.rstrip("/"), token, tenant

    async def newest(self, query: str, start: float, end: float, most: int) -> list[Line]:
        """At most `most` lines from `start` to `end` (seconds since the epoch), the newest first. Raises LokiFailed."""
        asked = {
            "query": query,
            "start": str(round(start * _NANOSECONDS)),
            "end": str(round(end * _NANOSECONDS)),
            "limit": str(most),
            "direction": "backward",
        }
        status, body = await self._get(asked)
        if status != 200:
            # what is wrong with a query is said in plain text
            why = body[:200].decode(errors="replace").strip()
            raise LokiFailed(f"Loki answered {status}: {why}", unreachable=status >= 500)
        lines = _lines(body)
        return sorted(lines, key=lambda line: line.at, reverse=True)[:most]

    async def _get(self, asked: dict[str, str]) -> tuple[int, bytes]:
        try:
            headers = bearer(self._token) | ({"X-Scope-OrgID": self._tenant} if self._tenant else {})
            url = f"{self._url}/loki/api/v1/query_range"
            async with self._session.get(url, params=asked, headers=headers) as response:
                return response.status, await read_at_most(response, MAX_ANSWER_BYTES)
        except TooLong as error:
            raise LokiFailed(f"Loki answered {error}") from None
        except SecretUnreadable as error:
            raise LokiFailed(str(error)) from None
        except (aiohttp.ClientError, OSError) as error:
            raise LokiFailed(f"Loki can't be reached ({type(error).__name__})", unreachable=True) from None


def _lines(body: bytes) -> list[Line]:
    try:
        data = msgspec.json.decode(body, type=_Answer).data
        if data.kind != "streams":
            raise LokiFailed(f"the query returned a {data.kind[:20]}, not log lines")
        streams = msgspec.json.decode(data.result, type=list[_Stream])
        return [_line(value) for stream in streams for value in stream.values]
    except (msgspec.DecodeError, ValueError, OverflowError) as error:
        raise LokiFailed(f"Loki's answer can't be read: {error}") from None


def _line(value: Sequence[object]) -> Line:
    match value:
        case [str(at), str(text), *_]:
            return Line(int(at) / _NANOSECONDS, text)
        case _:
            raise ValueError("a line without its time")
