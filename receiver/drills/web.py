"""The endpoints of drills: start one, end it, ask how far it has come."""

from typing import Any

import msgspec
from aiohttp import web

from receiver.drills.driller import Driller, Refused, UnknownTarget
from toolkit.httpserver import read_body


class _Order(msgspec.Struct, forbid_unknown_fields=True):
    target: str = ""


_order = msgspec.json.Decoder(_Order)


class DrillEndpoints:
    """The handlers. `routes` lists them."""

    def __init__(self, driller: Driller) -> None:
        self._driller = driller

    def routes(self) -> list[web.RouteDef]:
        """What to add to `toolkit.httpserver.application`."""
        return [
            web.post("/v1/drills", self.start),
            web.get("/v1/drills/current", self.current),
            web.delete("/v1/drills/current", self.end),
        ]

    async def start(self, request: web.Request) -> web.Response:
        """Begins a drill: `{"target": "chat"}`, or an empty body for every target. 201, 400, or 409 while none can."""
        body = await read_body(request)
        try:
            drill = await self._driller.start(_order.decode(body or b"{}").target)
        except (msgspec.DecodeError, UnicodeError, UnknownTarget) as error:
            return web.Response(status=400, text=f"{error}\n")
        except Refused as error:
            return web.Response(status=409, text=f"{error}\n")
        return _json(drill, 201)

    async def current(self, _: web.Request) -> web.Response:
        """The last drill and its hops; 404 before the first."""
        report = await self._driller.report()
        if report is None:
            raise web.HTTPNotFound(text="there has been no drill\n")
        return _json(report, 200)

    async def end(self, _: web.Request) -> web.Response:
        """Ends the drill under way; none is as good. 204."""
        await self._driller.end()
        return web.Response(status=204)


def _json(value: Any, status: int) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), status=status, content_type="application/json")
