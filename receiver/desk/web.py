"""The endpoints by which people act on incidents: `POST /v1/incidents/ID/ack` and so on, each with a JSON body."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Literal, Protocol

import msgspec
from aiohttp import web

from receiver.desk.deeds import Refused, Why
from receiver.desk.desk import Desk, Done
from receiver.pipeline import Pipeline
from receiver.services import ServiceGraph
from receiver.web import shown
from toolkit.clock import parse_duration
from toolkit.httpserver import read_body

STATUS: Mapping[Why, int] = {
    "unknown_incident": 404,
    "ended": 409,
    "malformed": 400,
    "unknown_person": 400,
    "not_silenced": 502,
    "busy": 503,
}
"""What is answered to what is refused."""


class _Deed(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What every body holds: who does it."""

    by: str
    via: Literal["api", "cli"] = "api"


class _Ack(_Deed):
    take_over: bool = False
    note: str = ""

    def done_at(self, desk: Desk, number: int) -> Awaitable[Done]:
        return desk.acknowledge(number, self.by, self.via, take_over=self.take_over, note=self.note)


class _Resolve(_Deed):
    note: str = ""

    def done_at(self, desk: Desk, number: int) -> Awaitable[Done]:
        return desk.resolve(number, self.by, self.via, note=self.note)


class _Assign(_Deed):
    to: str
    note: str = ""

    def done_at(self, desk: Desk, number: int) -> Awaitable[Done]:
        return desk.assign(number, self.to, self.by, self.via, note=self.note)


class _Note(_Deed):
    note: str

    def done_at(self, desk: Desk, number: int) -> Awaitable[Done]:
        return desk.note(number, self.note, self.by, self.via)


class _Snooze(_Deed):
    lasting: str = msgspec.field(name="for")
    note: str = ""

    def done_at(self, desk: Desk, number: int) -> Awaitable[Done]:
        return desk.snooze(number, self.by, parse_duration(self.lasting), self.via, note=self.note)


class _Silence(_Deed):
    lasting: str = msgspec.field(name="for", default="2h")
    reason: str = ""

    def done_at(self, desk: Desk, number: int) -> Awaitable[Done]:
        return desk.silence(number, self.by, parse_duration(self.lasting), self.via, reason=self.reason)


class _Reclassify(_Deed):
    reason: str
    severity: str = ""
    owner: str = ""
    kind: str = msgspec.field(name="class", default="")

    def done_at(self, desk: Desk, number: int) -> Awaitable[Done]:
        return desk.reclassify(
            number, self.by, self.reason, self.via, severity=self.severity, owner=self.owner, kind=self.kind
        )


DEEDS: Mapping[str, type[Any]] = {
    "ack": _Ack,
    "resolve": _Resolve,
    "assign": _Assign,
    "note": _Note,
    "snooze": _Snooze,
    "silence": _Silence,
    "reclassify": _Reclassify,
}
"""By the last part of the path: what the body holds."""


class Served(Protocol):
    """What the endpoints need of the receiver."""

    desk: Desk
    pipeline: Pipeline


class DeskEndpoints:
    """The handlers. `routes` lists them."""

    def __init__(self, receiver: Served) -> None:
        self._receiver = receiver

    def routes(self) -> list[web.RouteDef]:
        """What to add to `toolkit.httpserver.application`."""
        return [web.post(rf"/v1/incidents/{{id:[0-9]{{1,9}}}}/{name}", self._handler(name)) for name in DEEDS]

    def _handler(self, name: str) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def handler(request: web.Request) -> web.Response:
            return await self._act(request, DEEDS[name])

        return handler

    async def _act(self, request: web.Request, deed: type[Any]) -> web.Response:
        """Does it and answers with the incident, what there is to say, and whether anything was changed."""
        number = int(request.match_info["id"])
        try:
            wanted = msgspec.json.decode(await read_body(request), type=deed)
            done: Done = await wanted.done_at(self._receiver.desk, number)
        except (msgspec.DecodeError, UnicodeError) as error:
            raise web.HTTPBadRequest(text=f"{error}; expected are: {_expected(deed)}\n") from None
        except Refused as refused:
            return web.Response(status=STATUS[refused.why], text=f"{refused}\n")
        except ValueError as error:
            raise web.HTTPBadRequest(text=f"for: {error}\n") from None
        return web.json_response(body=_answer(done, self._receiver.pipeline.settings.rules.graph))


def _expected(deed: type[Any]) -> str:
    fields = sorted(msgspec.structs.fields(deed), key=lambda one: not one.required)
    return ", ".join(one.encode_name if one.required else f"[{one.encode_name}]" for one in fields)


def _answer(done: Done, graph: ServiceGraph) -> bytes:
    return msgspec.json.encode({**shown(done.incident, graph), "said": done.said, "changed": done.changed})
