"""One `POST /v1/observations`. No redirect is followed and no proxy used: the token goes to the exporter alone."""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from urllib.parse import urlsplit

from tocsin_observe.redaction import safe_reason

PATH = "/v1/observations"
MOST_ANSWER_BYTES = 16384


class Result(Enum):
    """What became of a batch."""

    DELIVERED = "delivered"
    REFUSED = "refused"
    LATER = "later"


@dataclass(frozen=True)
class Answer:
    """The result, and its reason in words that hold no secret.

    Of a batch that was delivered, `rejected` observations were not taken; `rejection` says why of the first.
    """

    result: Result
    reason: str
    rejected: int = 0
    rejection: str = ""


class TokenUnreadable(Exception):
    """The token's file can't be read. The message names it and holds no secret."""


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
        """The request's headers. Raises TokenUnreadable."""
        token = self._read(self.token_file) if self.token_file else self.token
        shown = {"Authorization": f"Bearer {token}"} if token else {}
        return {"Content-Type": "application/x-ndjson", "User-Agent": "tocsin-observe", **shown}

    @staticmethod
    def _read(file: Path) -> str:
        try:
            return file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "is not UTF-8"
            # a token may stand where its file's name belongs; it would hardly begin like a path
            shown = str(file) if file.is_absolute() else safe_reason(str(file))
            raise TokenUnreadable(f"token file {shown}: {reason}") from None


def post(exporter: Exporter, lines: list[bytes], timeout: float) -> Answer:
    """Sends `lines` within `timeout` seconds for each step. Never raises for what files or the network do."""
    kind = http.client.HTTPSConnection if exporter.tls else http.client.HTTPConnection
    connection = kind(exporter.host, exporter.port, timeout=timeout)
    try:
        connection.request("POST", exporter.path, b"\n".join(lines) + b"\n", exporter.headers())
        response = connection.getresponse()
        return _judged(response.status, _beginning(response))
    except TokenUnreadable as error:
        return Answer(Result.LATER, str(error))
    except (ConnectionResetError, ConnectionAbortedError, BrokenPipeError):
        # one trouble under three names: which of them depends on who was faster
        return Answer(Result.LATER, "it closed the connection")
    except (OSError, http.client.HTTPException, ValueError) as error:
        # the type alone: http.client quotes a header that it doesn't like
        return Answer(Result.LATER, type(error).__name__)
    finally:
        connection.close()


def _beginning(response: http.client.HTTPResponse) -> bytes:
    """What the exporter says of single observations; nothing where that breaks off, for the status is what counts."""
    try:
        return response.read(MOST_ANSWER_BYTES)
    except (OSError, http.client.HTTPException, ValueError):
        return b""


def _judged(status: int, body: bytes) -> Answer:
    rejected, rejection = _rejects(body)
    # it answers 400 where it rejects every one of a batch: nothing is wrong with the batch as such
    if 200 <= status < 300 or (status == 400 and rejected):
        return Answer(Result.DELIVERED, "", rejected, rejection)
    return Answer(Result.LATER if status >= 500 else Result.REFUSED, f"it answered {status}")


def _rejects(body: bytes) -> tuple[int, str]:
    """How many observations of a batch the exporter rejects, and why the first of them; (0, "") if none."""
    try:
        told = json.loads(body)
        return max(int(told["rejected"]), 0), safe_reason(str(told["rejects"][0]["reason"]))
    except (ValueError, LookupError, TypeError, OverflowError, RecursionError):
        return 0, ""
