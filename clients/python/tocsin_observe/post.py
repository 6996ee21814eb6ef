"""One `POST /v1/observations`. No redirect is followed and no proxy used: the token goes to the exporter alone."""

from __future__ import annotations

import http.client
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from urllib.parse import urlsplit

PATH = "/v1/observations"


class Result(Enum):
    """What became of a batch."""

    DELIVERED = "delivered"
    REFUSED = "refused"
    LATER = "later"


@dataclass(frozen=True)
class Answer:
    """The result, and its reason in words that hold no secret."""

    result: Result
    reason: str


@dataclass(frozen=True)
class Exporter:
    """Where to post, and what to show there: a token, or a file with one, read each time so that it can be rotated."""

    tls: bool
    host: str
    port: int | None
    path: str
    token: str = field(default="", repr=False)
    token_file: Path | None = None

    @classmethod
    def parse(cls, url: str, token: str | None, token_file: str | None) -> Exporter:
        """`url` is the exporter's own, `http://127.0.0.1:9970`. Raises ValueError, which doesn't quote it."""
        split = urlsplit(url)
        if split.scheme not in {"http", "https"} or not split.hostname:
            raise ValueError("the exporter's URL is no http:// or https:// URL with a host")
        path = split.path.rstrip("/") + PATH
        file = Path(token_file) if token_file else None
        return cls(split.scheme == "https", split.hostname, split.port, path, token or "", file)

    @property
    def place(self) -> str:
        """Host and port, for people."""
        return self.host if self.port is None else f"{self.host}:{self.port}"

    def headers(self) -> dict[str, str]:
        """The request's headers. Raises OSError or UnicodeDecodeError when the token can't be read."""
        token = self.token_file.read_text(encoding="utf-8").strip() if self.token_file else self.token
        shown = {"Authorization": f"Bearer {token}"} if token else {}
        return {"Content-Type": "application/x-ndjson", "User-Agent": "tocsin-observe", **shown}


def post(exporter: Exporter, lines: list[bytes], timeout: float) -> Answer:
    """Sends `lines` within `timeout` seconds for each step. Never raises for what files or the network do."""
    kind = http.client.HTTPSConnection if exporter.tls else http.client.HTTPConnection
    connection = kind(exporter.host, exporter.port, timeout=timeout)
    try:
        connection.request("POST", exporter.path, b"\n".join(lines) + b"\n", exporter.headers())
        return _judged(connection.getresponse().status)
    except (ConnectionResetError, ConnectionAbortedError, BrokenPipeError):
        # one trouble under three names: which of them depends on who was faster
        return Answer(Result.LATER, "it closed the connection")
    except (OSError, http.client.HTTPException, ValueError) as error:
        # the type alone: http.client quotes a header that it doesn't like
        return Answer(Result.LATER, type(error).__name__)
    finally:
        connection.close()


def _judged(status: int) -> Answer:
    if 200 <= status < 300:
        return Answer(Result.DELIVERED, "")
    return Answer(Result.LATER if status >= 500 else Result.REFUSED, f"it answered {status}")
