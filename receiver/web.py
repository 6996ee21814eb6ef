"""The receiver's own endpoints: the webhook, incidents as JSON, runbooks as pages, metrics."""

import html
import re
from collections.abc import Awaitable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

import msgspec
from aiohttp import hdrs, web
from markdown_it import MarkdownIt
from prometheus_client.exposition import choose_encoder

from receiver.drills.driller import Driller
from receiver.enrichers.absence import Absent
from receiver.enrichers.runbook import read
from receiver.explain import Facts, explained, report, told_of
from receiver.incidents import Incident
from receiver.metrics import ReceiverMetrics
from receiver.payload import PayloadError
from receiver.pipeline import Pipeline
from receiver.rank import rank
from receiver.services import ServiceGraph
from receiver.store import Store
from toolkit.clock import Now
from toolkit.configfile import nearest
from toolkit.httpserver import read_body
from toolkit.redaction import printable
from toolkit.storage import StorageUnavailable

INCIDENTS_SHOWN = 100
INCIDENTS_EXPLAINED = 3
CHANGES_SHOWN_SECONDS = 7 * 86400.0
_NUMBER = re.compile("[0-9]{1,9}")
"""An incident's number fits PostgreSQL's integer, and `str.isdigit` holds for what `int` refuses."""
_SOURCE = re.compile("[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}")
"""As in `alertmanagers` of the configuration."""
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
    driller: Driller
    ready: bool

    @property
    def runbooks(self) -> Path | None:
        """The folder of runbooks."""

    def watchdog_seen(self) -> Awaitable[float | None]:
        """When the Watchdog last came, in seconds since the epoch; None: never."""


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
            web.get(r"/v1/incidents/{id:[0-9]{1,9}}", self.incident),
            web.get("/v1/explain/{what}", self.explain),
            web.get("/v1/report", self.report),
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
        source = request.query.get("source", "")
        if source and not _SOURCE.fullmatch(source):
            self._metrics.rejected.labels("malformed").inc()
            raise web.HTTPBadRequest(text="source: a name of letters, digits, '_', '.' and '-' is expected\n")
        body = await self._body(request)
        try:
            new = await self._receiver.pipeline.accept(body, source)
        except PayloadError as error:
            self._metrics.rejected.labels(error.reason).inc()
            await self._receiver.store.keep_refused(body, error.reason, str(error), self._now())
            return web.Response(status=400, text=f"{error}\n")
        except StorageUnavailable as error:
            self._metrics.rejected.labels("overloaded" if error.reason == "overloaded" else "storage").inc()
            raise
        return web.json_response({"new": new})

    async def _body(self, request: web.Request) -> bytes:
        try:
            return await read_body(request)
        except web.HTTPRequestEntityTooLarge:
            self._metrics.rejected.labels("too_large").inc()
            raise
        except web.HTTPBadRequest:
            self._metrics.rejected.labels("malformed").inc()
            raise
        except web.HTTPRequestTimeout:
            self._metrics.rejected.labels("timeout").inc()
            raise

    async def incidents(self, _: web.Request) -> web.Response:
        """The newest incidents, as JSON."""
        found = await self._receiver.store.incidents(INCIDENTS_SHOWN)
        graph = self._receiver.pipeline.settings.rules.graph
        return _json({"incidents": [shown(incident, graph) for incident in found]})

    async def incident(self, request: web.Request) -> web.Response:
        """One incident with its notices and every attempt to deliver them, as JSON."""
        number = int(request.match_info["id"])
        found = await self._receiver.store.incident(number)
        if found is None:
            raise web.HTTPNotFound(text=f"there is no incident {number}\n")
        notices = await self._receiver.store.notices(number)
        return _json(
            {
                **shown(found, self._receiver.pipeline.settings.rules.graph),
                "notices": [_notice(row) for row in notices],
                "actions": await self._receiver.store.actions.of(number),
            }
        )

    async def explain(self, request: web.Request) -> web.Response:
        """Why an incident (by its number) or an alert (by its name or fingerprint) was told or not, as JSON."""
        # PostgreSQL takes no NUL, and no stored text has one
        wanted, store = request.match_info["what"].replace("\0", "\ufffd"), self._receiver.store.explained
        if _NUMBER.fullmatch(wanted) and (facts := await store.facts(int(wanted))) is not None:
            return _json([_explained(facts)])
        heard = await store.alert(wanted)
        if not heard and _NUMBER.fullmatch(wanted):
            raise web.HTTPNotFound(text=f"there is no incident {wanted}\n")
        if not heard:
            near = nearest(wanted, await store.names())
            raise web.HTTPNotFound(text=f"nothing is on record of '{printable(wanted)[:100]}'{near}\n")
        parts = [{"title": f"Alert {printable(wanted)}", "entries": [told_of(one) for one in heard]}]
        for incident in sorted({one.incident for one in heard if one.incident is not None})[-INCIDENTS_EXPLAINED:]:
            found = await store.facts(incident)
            parts += [_explained(found)] if found is not None else []
        return _json(parts)

    async def report(self, request: web.Request) -> web.Response:
        """How much came in and was told in the last `seconds` (a day unless told), in lines for people."""
        given = request.query.get("seconds", "86400")
        if not _NUMBER.fullmatch(given):
            raise web.HTTPBadRequest(text="seconds: a whole number of seconds is expected\n")
        now = self._now()
        return _json({"lines": report(await self._receiver.store.explained.summary(now - int(given)), now)})

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
        self._metrics.watchdog_last_seen.set(await self._receiver.watchdog_seen() or 0.0)
        self._metrics.drill_started.set(await self._receiver.driller.started())
        now = self._now()
        latest = await self._receiver.store.changes.latest(now - CHANGES_SHOWN_SECONDS, now)
        self._metrics.changed(latest, self._receiver.pipeline.settings.config.services)
        encoder, content_type = choose_encoder(request.headers.get(hdrs.ACCEPT, ""))
        return web.Response(body=encoder(self._metrics.registry), headers={hdrs.CONTENT_TYPE: content_type})


def _json(value: Any) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), content_type="application/json")


def shown(incident: Incident, graph: ServiceGraph) -> dict[str, Any]:
    """An incident as the API shows it."""
    ranked = rank(incident, graph) if incident.alerts else None
    lead = incident.leading if incident.alerts else None
    return {
        "id": incident.id,
        "state": incident.state,
        "severity": incident.severity,
        "priority": ranked.priority if ranked else "",
        "rank": ranked.reason if ranked else "",
        "summary": (lead.annotations.get("summary") or lead.name) if lead else "",
        "firing": len(incident.firing),
        "opened_at": incident.opened_at,
        "resolved_at": incident.resolved_at,
        "revision": incident.revision,
        "acknowledged_at": incident.acknowledged_at,
        "acknowledged_by": incident.acknowledged_by,
        "assigned_to": incident.assigned_to,
        "snoozed_until": incident.snoozed_until,
        "owner": incident.owner,
        "kind": incident.kind,
        "reopened": incident.reopened,
        "merged_into": incident.merged_into,
        "alerts": [asdict(alert) for alert in incident.alerts],
    }


def _explained(facts: Facts) -> dict[str, Any]:
    return {"title": f"Incident {facts.incident}: {facts.state}, {facts.severity}", "entries": explained(facts)}


def _notice(row: Any) -> dict[str, Any]:
    shown = {name: value for name, value in row.items() if name not in ("message_json", "incident_id")}
    return {**shown, "message": msgspec.Raw(row["message_json"].encode())}
