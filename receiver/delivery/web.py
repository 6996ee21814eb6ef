"""The outbox over HTTP: `GET /v1/outbox` shows messages, `POST /v1/outbox/replay` plans dead ones anew."""

from collections.abc import Collection
from typing import Any, Protocol, get_args

import msgspec
from aiohttp import web

from receiver.delivery.outbox import State
from receiver.store import Store
from toolkit.clock import Now
from toolkit.httpserver import read_body

SHOWN = 100
MOST_SHOWN = 1000


class Outbox(Protocol):
    """What the endpoints need of the receiver."""

    store: Store

    @property
    def targets(self) -> Collection[str]:
        """The names of the targets that are served."""

    def wake(self) -> None:
        """Lets what is due be sent now."""


class Wanted(msgspec.Struct, forbid_unknown_fields=True):
    """The body of `POST /v1/outbox/replay`: which dead messages. Exactly one of the first three says so."""

    ids: list[int] = []
    target: str = ""
    all: bool = False
    dry_run: bool = False

    def __post_init__(self) -> None:
        if [bool(self.ids), bool(self.target), self.all].count(True) != 1:
            raise ValueError("say which messages: either ids, or a target, or all")

    def takes(self, id_: int, target: str) -> bool:
        """Whether this message is meant."""
        return self.all or id_ in self.ids or target == self.target


class OutboxEndpoints:
    """The handlers. `routes` lists them."""

    def __init__(self, receiver: Outbox, now: Now) -> None:
        self._receiver, self._letters, self._now = receiver, receiver.store.outbox.dead_letters, now

    def routes(self) -> list[web.RouteDef]:
        """What to add to `toolkit.httpserver.application`."""
        return [web.get("/v1/outbox", self.outbox), web.post("/v1/outbox/replay", self.replay)]

    async def outbox(self, request: web.Request) -> web.Response:
        """The newest messages as JSON: `state`, `target` and `limit` say which, and how many."""
        state, target, limit = (request.query.get(name) for name in ("state", "target", "limit"))
        if state is not None and state not in get_args(State):
            raise web.HTTPBadRequest(text=f"state is one of {', '.join(get_args(State))}\n")
        if limit is not None and not (limit.isascii() and limit.isdigit() and 0 < int(limit[:9]) <= MOST_SHOWN):
            raise web.HTTPBadRequest(text=f"limit is a number from 1 to {MOST_SHOWN}\n")
        found = await self._letters.listed(state, target, int(limit) if limit else SHOWN)  # type: ignore[arg-type]  # a State, as was just seen
        return _json({"messages": [_shown(row) for row in found]})

    async def replay(self, request: web.Request) -> web.Response:
        """Plans dead messages anew; answers which, and which have no target any more."""
        try:
            wanted = msgspec.json.decode(await read_body(request), type=Wanted)
        except (msgspec.DecodeError, UnicodeError) as error:
            raise web.HTTPBadRequest(text=f"{error}\n") from None
        dead = [(id_, target) for id_, target in await self._letters.dead() if wanted.takes(id_, target)]
        ids = [id_ for id_, target in dead if target in self._receiver.targets]
        if not wanted.dry_run:
            ids = await self._letters.replay(ids, self._now())
            self._receiver.wake()
        gone = sorted({target for _, target in dead if target not in self._receiver.targets})
        return _json({"ids": ids, "dry_run": wanted.dry_run, "targets_gone": gone})


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    shown = {name: value for name, value in row.items() if name != "message_json"}
    return {**shown, "message": msgspec.Raw(row["message_json"].encode())}


def _json(value: Any) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), content_type="application/json")
