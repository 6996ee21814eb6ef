"""The receiver's own endpoints: the webhook, incidents as JSON, runbooks as pages, metrics."""

import html
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

import msgspec
from aiohttp import hdrs, web
from markdown_it import MarkdownIt
from prometheus_client.exposition import choose_encoder

from receiver.enrichers.absence import Absent
from receiver.enrichers.runbook import read
from receiver.incidents import Incident
from receiver.intake import Overloaded
from receiver.metrics import ReceiverMetrics
from receiver.payload import PayloadError
from receiver.pipeline import Pipeline
from receiver.store import Store
from toolkit.clock import Now
from toolkit.httpserver import read_body
from toolkit.storage import StorageUnavailable

INCIDENTS_SHOWN = 100
_LANDING = """<!doctype html><title>Tocsin receiver</title><h1>Tocsin receiver</h1>
<p><a href="v1/incidents">Incidents</a> · <a href="metrics">Metrics</a> · <a href="-/ready">Ready</a> ·
<a href="-/healthy">Healthy</a></p>
<p>Alertmanager posts to /webhook/alertmanager; POST /-/reload reads the configuration again.</p>
"""
_PAGE = """<!doctype html><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title><style>body{{font:16px/1.5 system-ui,sans-serif;max-width:44rem;margin:2rem auto;padding:0 1rem}}
code,pre{{background:#f2f2f2;padding:.1em .3em}}pre{{padding:.6em;overflow:auto}}</style>
{body}"""


class Served(Protocol):
    """What the endpoints need of the receiver."""

    store: Store
    pipeline: Pipeline
    ready: bool

    @property
    def runbooks(self) -> Path | None:
        """The folder of runbooks."""


class Endpoints:
    """The handlers. `routes` lists them."""

    def __init__(self, receiver: Served, metrics: ReceiverMetrics, now: Now) -> None:
        self._receiver, self._metrics, self._now = receiver, metrics, now

    def routes(self) -> list[web.RouteDef]:
        """What to add to `toolkit.httpserver.application`."""
        return [
            web.get("/", self.landing),
            web.get("/metrics", self.scrape),
            web.post("/webhook/alertmanager", self.webhook),
            web.get("/v1/incidents", self.incidents),
            web.get(r"/v1/incidents/{id:\d{1,15}}", self.incident),
            web.get("/runbooks/{name}", self.runbook),
        ]

    async def landing(self, _: web.Request) -> web.Response:
        """A page of links."""
        return web.Response(text=_LANDING, content_type="text/html")

    async def webhook(self, request: web.Request) -> web.Response:
        """Stores Alertmanager's alerts, then answers 200.

        Alertmanager tries again after a 5xx and gives up on a 4xx, 429 included, so whatever may pass is a 503.
        """
        if not self._receiver.ready:
            self._metrics.rejected.labels("shutting_down").inc()
            return web.Response(status=503, text="stopping\n")
        body = await self._body(request)
        try:
            new = await self._receiver.pipeline.accept(body)
        except PayloadError as error:
            self._metrics.rejected.labels(error.reason).inc()
            await self._receiver.store.keep_refused(body, error.reason, str(error), self._now())
            return web.Response(status=400, text=f"{error}\n")
        except StorageUnavailable:
            self._metrics.rejected.labels("storage").inc()
            raise
        except Overloaded:
            self._metrics.rejected.labels("overloaded").inc()
            return web.Response(status=503, text="overloaded\n", headers={hdrs.RETRY_AFTER: "1"})
        return web.json_response({"new": new})

    async def _body(self, request: web.Request) -> bytes:
        try:
            return await read_body(request)
        except web.HTTPRequestEntityTooLarge:
            self._metrics.rejected.labels("too_large").inc()
            raise
        except web.HTTPRequestTimeout:
            self._metrics.rejected.labels("timeout").inc()
            raise

    async def incidents(self, _: web.Request) -> web.Response:
        """The newest incidents, as JSON."""
        found = await self._receiver.store.incidents(INCIDENTS_SHOWN)
        return _json({"incidents": [_shown(incident) for incident in found]})

    async def incident(self, request: web.Request) -> web.Response:
        """One incident with its notices and every attempt to deliver them, as JSON."""
        number = int(request.match_info["id"])
        found = await self._receiver.store.incident(number)
        if found is None:
            raise web.HTTPNotFound(text=f"there is no incident {number}\n")
        notices = await self._receiver.store.notices(number)
        return _json({**_shown(found), "notices": [_notice(row) for row in notices]})

    async def runbook(self, request: web.Request) -> web.Response:
        """A runbook as a page."""
        name, folder = request.match_info["name"], self._receiver.runbooks
        try:
            text = read(folder, name.removesuffix(".md")) if folder else None
        except Absent as absent:
            raise web.HTTPNotFound(text=f"{absent}\n") from None
        if text is None:
            raise web.HTTPNotFound(text="there is no such runbook\n")
        page = _PAGE.format(title=html.escape(name), body=MarkdownIt("js-default").render(text))
        return web.Response(text=page, content_type="text/html")

    async def scrape(self, request: web.Request) -> web.Response:
        """The self-metrics."""
        self._metrics.show(await self._receiver.store.figures())
        encoder, content_type = choose_encoder(request.headers.get(hdrs.ACCEPT, ""))
        return web.Response(body=encoder(self._metrics.registry), headers={hdrs.CONTENT_TYPE: content_type})


def _json(value: Any) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), content_type="application/json")


def _shown(incident: Incident) -> dict[str, Any]:
    return {
        "id": incident.id,
        "state": incident.state,
        "severity": incident.severity,
        "opened_at": incident.opened_at,
        "resolved_at": incident.resolved_at,
        "revision": incident.revision,
        "alerts": [asdict(alert) for alert in incident.alerts],
    }


def _notice(row: Any) -> dict[str, Any]:
    shown = {name: value for name, value in row.items() if name not in ("message_json", "incident_id")}
    return {**shown, "message": msgspec.Raw(row["message_json"].encode())}
