"""Events over HTTP: `/v1/events`, `/v1/logs`, Segment's calls, CloudEvents; and `/v1/rejects`, for people.

A request is answered when what it holds is on disk. 503 with Retry-After means that nothing was counted. With an
`Idempotency-Key` a request may be sent again after any failure: it is counted once.
"""

import base64
import binascii
import hmac
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Protocol

import msgspec
from aiohttp import hdrs, web

from exporter.bodies import Reject
from exporter.usage.delivery import Format, Taken
from exporter.usage.rejects import Shown
from exporter.usage.settings import Producer
from exporter.usage.sources.adapters import Unreadable, Unwrapped, cloudevents, segment
from toolkit.httpserver import Authenticator, proves_itself, read_body, unauthorized
from toolkit.secretfile import SecretFile, SecretUnreadable

NDJSON_TYPES = frozenset({"application/x-ndjson", "application/ndjson", "application/jsonl"})
SEGMENT_CALLS = ("track", "batch", "identify", "page", "screen", "group", "alias")
MAX_KEY_CHARACTERS = 255
ANYBODY = "http"
"""The source of what comes without a producer's own token."""


class Counted(Protocol):
    """What the endpoints need of the counting."""

    async def take(
        self, source: str, body: bytes | Sequence[bytes], form: Format, *, key: str = "", log: str = ""
    ) -> Taken:
        """See exporter.usage.counting.Counting."""

    def reads(self, log: str) -> bool:
        """See exporter.usage.counting.Counting."""

    def rejects(self) -> Mapping[str, Shown]:
        """What was rejected, for people."""


class Doorman:
    """Knows producers by their tokens. Whoever may call the service may also send events, as `http`."""

    def __init__(self, producers: Iterable[Producer], authenticator: Authenticator) -> None:
        self._tokens = [(one.name, file) for one in producers for file in one.bearer_token_files]
        self._authenticator = authenticator

    async def source(self, header: str | None) -> str | None:
        """The producer that an `Authorization` header proves; None where it proves nothing."""
        if self._tokens and header:
            given = _token(header)
            for name, file in self._tokens:
                if given and hmac.compare_digest(_read(file), given):
                    return name
        if self._tokens and not self._authenticator.required:
            return None  # who has no token of a producer is nobody, once producers have them
        return ANYBODY if await self._authenticator.allows(header) else None


def _token(header: str) -> bytes:
    """The bearer token, or of basic auth the user (Segment's write key) or the password."""
    scheme, _, rest = header.partition(" ")
    if scheme.lower() == "bearer":
        return rest.strip().encode(errors="surrogateescape")
    if scheme.lower() != "basic":
        return b""
    try:
        user, _, password = base64.b64decode(rest.strip(), validate=True).partition(b":")
    except (binascii.Error, ValueError):
        return b""
    return password or user


def _read(file: SecretFile) -> bytes:
    try:
        return file.read().encode()
    except SecretUnreadable:
        return b""


class EventEndpoints:
    """The routes by which events come in."""

    def __init__(self, counting: Counted, doorman: "DoormanNow") -> None:
        self._counting, self._doorman = counting, doorman

    def routes(self) -> Iterable[web.RouteDef]:
        """Every route."""
        return [
            web.post("/v1/events", self.events),
            web.post("/v1/logs", self.logs),
            *(web.post(f"/v1/{call}", self.segment) for call in SEGMENT_CALLS),
            web.get("/v1/rejects", self.rejected),
        ]

    @proves_itself
    async def events(self, request: web.Request) -> web.Response:
        """Product events: one, an array, lines, or CloudEvents."""
        source = await self._doorman().source(request.headers.get(hdrs.AUTHORIZATION))
        if source is None:
            return unauthorized()
        body, kind = await read_body(request), request.content_type
        if kind in NDJSON_TYPES:
            return await self._counted(request, source, body, "ndjson")
        if kind.startswith("application/cloudevents") or "ce-type" in request.headers:
            headers = {name.lower(): value for name, value in request.headers.items()}
            return await self._unwrapped(request, source, lambda: cloudevents(body, kind, headers))
        return await self._counted(request, source, body, "json")

    @proves_itself
    async def logs(self, request: web.Request) -> web.Response:
        """Lines of a log."""
        source = await self._doorman().source(request.headers.get(hdrs.AUTHORIZATION))
        if source is None:
            return unauthorized()
        body, log = await read_body(request), request.query.get("log", "")
        if not self._counting.reads(log):
            wanted = f"usage.logs has no entry {log!r}" if log else "say in ?log=NAME how the lines are read"
            return web.Response(status=400, text=f"{wanted}: an entry of usage.logs\n")
        return await self._counted(request, source, body, "lines", log=log)

    @proves_itself
    async def segment(self, request: web.Request) -> web.Response:
        """A call of Segment's HTTP API."""
        source = await self._doorman().source(request.headers.get(hdrs.AUTHORIZATION))
        if source is None:
            return unauthorized()
        body, call = await read_body(request), request.path.rpartition("/")[2]
        return await self._unwrapped(request, source, lambda: segment(body, call))

    async def rejected(self, _: web.Request) -> web.Response:
        """What was rejected and why, with samples."""
        return web.json_response(self._counting.rejects())

    async def _unwrapped(self, request: web.Request, source: str, unwrap: "Unwrap") -> web.Response:
        try:
            found = unwrap()
        except Unreadable as error:
            return web.Response(status=400, text=f"{error}\n")
        if found is None:
            return web.Response(status=400, text="CloudEvents in binary mode need ce-specversion and ce-type\n")
        return await self._counted(request, source, found.records, "records", found.key)

    async def _counted(
        self,
        request: web.Request,
        source: str,
        body: bytes | Sequence[bytes],
        form: Format,
        key: str = "",
        log: str = "",
    ) -> web.Response:
        key = request.headers.get("Idempotency-Key", key)
        if len(key) > MAX_KEY_CHARACTERS or not (key.isascii() and key.isprintable()):
            wanted = f"an Idempotency-Key has at most {MAX_KEY_CHARACTERS} printable ASCII characters\n"
            return web.Response(status=400, text=wanted)
        taken = await self._counting.take(source, body, form, key=key, log=log)
        return web.Response(body=_told(taken), content_type="application/json", status=_status(taken))


class DoormanNow(Protocol):
    """Who watches the door by the configuration in force."""

    def __call__(self) -> Doorman:
        """The doorman."""


class Unwrap(Protocol):
    """Reads an envelope."""

    def __call__(self) -> Unwrapped | None:
        """What it holds; None where it is none. Raises Unreadable."""


def named(rejects: Iterable[Reject]) -> list[dict[str, object]]:
    """Rejects as an answer shows them."""
    return [{"position": reject.position, "reason": reject.reason} for reject in rejects]


def _status(taken: Taken) -> int:
    if taken.is_refused:
        return 500
    nothing_usable = taken.rejected and not taken.events
    return 400 if nothing_usable else 200


@lru_cache(maxsize=64)  # most answers are alike
def _told(taken: Taken) -> bytes:
    told: dict[str, object] = {
        "events": taken.events,
        "matched": taken.matched,
        "unmatched": taken.unmatched,
        "rejected": taken.rejected,
        "rejects": named(taken.rejects),
    }
    if taken.lines:
        told["lines"] = taken.lines
    return msgspec.json.encode(told)
