"""The exporter's own endpoints: `GET /`, `GET /metrics`, `POST /v1/events`."""

import gzip
import html
from collections.abc import Awaitable, Iterable
from typing import Protocol

from aiohttp import hdrs, web
from prometheus_client.exposition import choose_encoder

from exporter.metrics import ExporterMetrics
from exporter.usage.engine import Counted
from toolkit.httpserver import read_body

NDJSON_TYPES = frozenset({"application/x-ndjson", "application/ndjson", "application/jsonl"})
GZIP_LEVEL = 1
"""Level 1 takes a twentieth of the time of level 9, for some tenths more bytes."""
_END = b"# EOF\n"
_LANDING = """<!doctype html><title>Tocsin exporter</title><h1>Tocsin exporter</h1>
<p><a href="{base}/metrics">Metrics</a> · <a href="{base}/-/ready">Ready</a> ·
<a href="{base}/-/healthy">Healthy</a></p>
<p>POST /v1/events takes product events; POST /-/reload reads the configuration again.</p>
"""


class Served(Protocol):
    """What the endpoints need of the exporter."""

    def count_events(self, body: bytes, ndjson: bool) -> Awaitable[Counted]:
        """Counts a body's events durably."""

    def exposition(self, openmetrics: bool) -> bytes:
        """Third-party and usage series as text."""


def routes(exporter: Served, metrics: ExporterMetrics, external_url: str) -> Iterable[web.RouteDef]:
    """The routes to add to `toolkit.httpserver.application`; `external_url` is how people reach this service."""

    async def landing(_: web.Request) -> web.Response:
        return web.Response(text=_LANDING.format(base=html.escape(external_url)), content_type="text/html")

    async def scrape(request: web.Request) -> web.Response:
        encoder, content_type = choose_encoder(request.headers.get(hdrs.ACCEPT, ""))
        openmetrics = content_type.startswith("application/openmetrics-text")
        body = exporter.exposition(openmetrics) + encoder(metrics.registry).removesuffix(_END)
        if openmetrics:
            body += _END
        headers = {hdrs.CONTENT_TYPE: content_type, hdrs.VARY: f"{hdrs.ACCEPT}, {hdrs.ACCEPT_ENCODING}"}
        if "gzip" in request.headers.get(hdrs.ACCEPT_ENCODING, ""):
            headers[hdrs.CONTENT_ENCODING] = "gzip"
            body = gzip.compress(body, GZIP_LEVEL)
        return web.Response(body=body, headers=headers)

    async def events(request: web.Request) -> web.Response:
        counted = await exporter.count_events(await read_body(request), request.content_type in NDJSON_TYPES)
        nothing_usable = counted.rejected and not counted.events
        return web.json_response(_told(counted), status=400 if nothing_usable else 200)

    return [
        web.get("/", landing),
        web.get("/metrics", scrape),
        web.post("/v1/events", events),
    ]


def _told(counted: Counted) -> dict[str, object]:
    named = [{"position": reject.position, "reason": reject.reason} for reject in counted.rejects]
    return {
        "events": counted.events,
        "matched": counted.matched,
        "unmatched": counted.unmatched,
        "rejected": counted.rejected,
        "rejects": named,
    }
