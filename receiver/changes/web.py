"""Changes over HTTP: `POST /v1/changes` takes them, `GET /v1/changes` and what Grafana asks show them."""

import re
from collections.abc import Callable, Collection
from typing import Any, Protocol

import msgspec
from aiohttp import hdrs, web

from receiver.changes.annotations import answer, question, row
from receiver.changes.change import ChangeError, Post, ToldChange
from receiver.changes.parse import Parsed, parse, source_of
from receiver.changes.settings import ChangeSources
from receiver.changes.signature import HEADERS, is_signed
from receiver.metrics import ReceiverMetrics
from receiver.store import Store
from toolkit.clock import Now
from toolkit.httpserver import Authenticator, proves_itself, read_body, unauthorized
from toolkit.secretfile import SecretFile, SecretUnreadable

MAX_BODY_BYTES = 1024 * 1024
MOST_SHOWN = 1000
SHOWN_SECONDS = 86400.0
"""How far back is looked unless told."""
_MILLISECONDS = re.compile("[0-9]{1,15}")


class Served(Protocol):
    """What the endpoints need of the receiver."""

    store: Store

    @property
    def change_sources(self) -> ChangeSources:
        """How those show who they are who can't send a token."""

    @property
    def secrets(self) -> Collection[str]:
        """What must not be stored."""


class ChangeEndpoints:
    """The handlers. `routes` lists them. `authenticator` gives the one in force."""

    def __init__(
        self, receiver: Served, authenticator: Callable[[], Authenticator], metrics: ReceiverMetrics, now: Now
    ) -> None:
        self._receiver, self._authenticator = receiver, authenticator
        self._metrics, self._now = metrics, now

    def routes(self) -> list[web.RouteDef]:
        """What to add to `toolkit.httpserver.application`."""
        return [
            web.post("/v1/changes", self.take),
            web.get("/v1/changes", self.show),
            web.post("/v1/changes/annotations", self.annotations),
        ]

    @proves_itself
    async def take(self, request: web.Request) -> web.Response:
        """Stores what was changed and says how much of it is new. 400 with the field that is wrong; 401 without token
        and signature."""
        body = await self._body_of_a_friend(request)
        if body is None:
            return unauthorized()
        parsed = self._parsed(request, body)
        new = await self._receiver.store.changes.add(parsed.changes, self._now())
        self._metrics.changes.labels("new").inc(new)
        self._metrics.changes.labels("known").inc(len(parsed.changes) - new)
        self._metrics.changes.labels("ignored").inc(bool(parsed.ignored))
        return _json({"new": new, **({"ignored": parsed.ignored} if parsed.ignored else {})})

    def _parsed(self, request: web.Request, body: bytes) -> Parsed:
        """What is in the body; answers 400 when it is refused."""
        event = request.headers.get("X-GitHub-Event", "")
        post = Post(body, self._now(), event, _word(request, "service"), _word(request, "environment"))
        try:
            return parse(source_of(request.headers, _word(request, "source")), post, self._receiver.secrets)
        except ChangeError as error:
            self._metrics.changes.labels("refused").inc()
            raise web.HTTPBadRequest(text=f"{error}\n") from None

    async def show(self, request: web.Request) -> web.Response:
        """The changes `from` and `to` (milliseconds since the epoch, as Grafana gives them; the last day unless told),
        of a `service` if it is named, the latest first, as a list with the columns of an annotation."""
        now = self._now()
        since, until = _time(request, "from", now - SHOWN_SECONDS), _time(request, "to", now)
        service = _word(request, "service")
        return _json([row(change) for change in await self._between(since, until, service)])

    async def annotations(self, request: web.Request) -> web.Response:
        """The same for a Grafana data source that asks as "Simple JSON" does."""
        try:
            asked = question(await read_body(request))
        except ChangeError as error:
            raise web.HTTPBadRequest(text=f"{error}\n") from None
        return _json([answer(change, asked) for change in await self._between(asked.since, asked.until, asked.service)])

    async def _between(self, since: float, until: float, service: str) -> list[ToldChange]:
        wanted = [service] if service else None
        return await self._receiver.store.changes.between(since, until, MOST_SHOWN, wanted)

    async def _body_of_a_friend(self, request: web.Request) -> bytes | None:
        """The body, of who is known by a token or by the body's signature; None of anybody else."""
        signature = self._signature(request)
        if signature is None and not await self._authenticator().allows(request.headers.get(hdrs.AUTHORIZATION)):
            return None
        if request.content_length is not None and request.content_length > MAX_BODY_BYTES:
            raise web.HTTPRequestEntityTooLarge(MAX_BODY_BYTES, request.content_length)
        body = await read_body(request.clone(client_max_size=MAX_BODY_BYTES))
        return body if signature is None or is_signed(body, *signature) else None

    def _signature(self, request: web.Request) -> tuple[str, str] | None:
        """(secret, signature) of a request that is signed by somebody whose secret we have; it then counts alone."""
        sources = self._receiver.change_sources
        files = {"github": sources.github_secret_file, "launchdarkly": sources.launchdarkly_secret_file}
        for source, file in files.items():
            given = request.headers.get(HEADERS[source])
            if given is not None and file is not None:
                return _read(file), given
        return None


def _read(file: SecretFile) -> str:
    """The secret. Answers 503 when it can't be read, so that the post comes again."""
    try:
        return file.read()
    except SecretUnreadable:  # whose message names the file, and anybody may ask
        raise web.HTTPServiceUnavailable(text="the secret of this signature can't be read\n") from None


def _word(request: web.Request, name: str) -> str:
    """A value of the query, in what a database takes; empty when it is not there."""
    return request.query.get(name, "").encode(errors="replace").decode().replace("\0", "\ufffd")


def _time(request: web.Request, name: str, default: float) -> float:
    given = request.query.get(name)
    if given is None:
        return default
    if not _MILLISECONDS.fullmatch(given):
        raise web.HTTPBadRequest(text=f"{name}: milliseconds since the epoch are expected\n")
    return int(given) / 1000


def _json(value: Any) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), content_type="application/json")
