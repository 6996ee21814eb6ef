"""The endpoints of rotas: who is on call now, and each rota's calendar."""

import secrets
from typing import Any, Protocol

import msgspec
from aiohttp import web

from receiver.links import BadLink, sign, verify
from receiver.oncall.feed import feed
from receiver.oncall.rota import Shift, on_call
from receiver.pipeline import Pipeline
from receiver.store import Store
from toolkit.clock import Now
from toolkit.httpserver import proves_itself

KEY = "rota_calendar_key"
"""The sign that keeps the key of the calendars' addresses: their own, so that a new one breaks no other link."""
PURPOSE = "rota"


class Served(Protocol):
    """What the endpoints need of the receiver."""

    store: Store
    pipeline: Pipeline


class RotaEndpoints:
    """The handlers. `routes` lists them."""

    def __init__(self, receiver: Served, now: Now) -> None:
        self._receiver, self._now = receiver, now

    def routes(self) -> list[web.RouteDef]:
        """What to add to `toolkit.httpserver.application`."""
        return [web.get("/v1/rotas", self.rotas), web.get("/v1/rotas/{name}.ics", self.calendar)]

    async def rotas(self, _: web.Request) -> web.Response:
        """Who is on call now, layer by layer, and the address of each rota's calendar."""
        key, now, settings = await self._key(), self._now(), self._receiver.pipeline.settings
        found = [
            {
                "name": name,
                "on_call": [_shown(shift) for shift in on_call(rota, now)],
                "calendar_url": f"{settings.external_url}/v1/rotas/{name}.ics?token={sign(key, PURPOSE, name)}",
            }
            for name, rota in settings.config.rotas.items()
        ]
        return web.Response(body=msgspec.json.encode({"rotas": found}), content_type="application/json")

    @proves_itself
    async def calendar(self, request: web.Request) -> web.Response:
        """A rota as iCalendar. Calendar programs can send no header, so the address holds a token that is for this rota
        alone: 403 for another. 404 for a rota that is no longer in the configuration."""
        name, now = request.match_info["name"], self._now()
        try:
            is_theirs = verify(await self._key(), PURPOSE, request.query.get("token", ""), now) == name
        except BadLink as error:
            raise web.HTTPForbidden(text=f"{error} GET /v1/rotas tells the right one.\n") from None
        if not is_theirs:
            raise web.HTTPForbidden(text="This link is for another rota.\n")
        config = self._receiver.pipeline.settings.config
        if name not in config.rotas:
            raise web.HTTPNotFound(text="there is no such rota any more\n")
        return web.Response(body=feed(name, config.rotas[name], config.people, now), content_type="text/calendar")

    async def _key(self) -> bytes:
        found = await self._receiver.store.signs.first(KEY, self._now(), secrets.token_hex(32))
        return bytes.fromhex(found.detail)


def _shown(shift: Shift) -> dict[str, Any]:
    return {"layer": shift.layer, "person": shift.person, "reason": shift.reason, "until": shift.until}
