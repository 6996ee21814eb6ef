"""The exporter's own endpoints: what Prometheus asks (`/metrics`, `/probe`, `/sd`), what services post (`/v1/...`)."""

import asyncio
import gzip
import html
from collections.abc import Awaitable, Iterable
from itertools import chain
from typing import Protocol
from urllib.parse import urlencode

from aiohttp import hdrs, web
from prometheus_client.exposition import choose_encoder

from exporter.config import Provider
from exporter.exposition import render
from exporter.metrics import ExporterMetrics
from exporter.observations import Observed, TooMany
from exporter.providers import report
from exporter.providers.history import State
from exporter.providers.kinds import Kind
from exporter.providers.monitor import Monitor
from exporter.usage.sources.http import NDJSON_TYPES, named
from exporter.wanted import Wanted
from toolkit.clock import format_duration
from toolkit.configfile import nearest
from toolkit.httpserver import read_body
from toolkit.redaction import printable

TEXT_FORMAT = "text/plain; version=0.0.4; charset=utf-8"
SCRAPE_TIMEOUT = "X-Prometheus-Scrape-Timeout-Seconds"
GZIP_LEVEL = 1
"""Level 1 takes a twentieth of the time of level 9, for some tenths more bytes."""
_END = b"# EOF\n"
_LANDING = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Tocsin exporter</title>
<meta name="viewport" content="width=device-width"><style>
body {{ font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem }}
table {{ border-collapse: collapse; width: 100% }}
th, td {{ border-bottom: 1px solid #8884; padding: .4rem 1rem .4rem 0; text-align: left; vertical-align: top }}
td:nth-child(-n+3) {{ white-space: nowrap }} .bad {{ color: #c00; font-weight: 600 }}
@media (prefers-color-scheme: dark) {{
body {{ background: #111; color: #ddd }} a {{ color: #8cf }} .bad {{ color: #f77 }} }}
</style><h1>Tocsin exporter</h1>
<p><a href="{base}/metrics">Metrics</a> · <a href="{base}/sd">Targets for http_sd</a> ·
<a href="{base}/-/ready">Ready</a> · <a href="{base}/-/healthy">Healthy</a></p>
<table><tr><th>Provider<th>Verdict<th>For<th>Why</tr>{rows}</table>
<p>A provider's name looks at it now and shows every step. Services post product events to <code>/v1/events</code> and
what their own calls got from vendors to <code>/v1/observations</code>; <code>POST /-/reload</code> reads the
configuration again.</p>
"""


class Served(Protocol):
    """What the endpoints need of the exporter."""

    @property
    def monitor(self) -> Monitor:
        """Third-party health."""

    def observe(self, body: bytes, ndjson: bool) -> Awaitable[Observed]:
        """Takes what programs were answered by vendors. Raises TooMany."""

    def exposition(self, wanted: Wanted, openmetrics: bool) -> Awaitable[bytes]:
        """Third-party and usage series as text."""


class Endpoints:
    """The routes to add to `toolkit.httpserver.application`; `external_url` is how people reach this service."""

    def __init__(self, exporter: Served, metrics: ExporterMetrics, external_url: str) -> None:
        self._exporter, self._metrics, self._external_url = exporter, metrics, external_url

    def routes(self) -> Iterable[web.RouteDef]:
        """Every route of the exporter's own."""
        return [
            web.get("/", self.landing),
            web.get("/metrics", self.scrape),
            web.get("/probe", self.probe),
            web.get("/sd", self.discovery),
            web.post("/v1/observations", self.observations),
        ]

    async def landing(self, _: web.Request) -> web.Response:
        """Every provider with its verdict, for people."""
        monitor = self._exporter.monitor
        base = html.escape(self._external_url)
        rows = "".join(_row(provider, state, base, now) for provider, state, now in monitor.latest())
        page = _LANDING.format(base=base, rows=rows or "<tr><td colspan=4>None is configured.</tr>")
        return web.Response(text=page, content_type="text/html")

    async def scrape(self, request: web.Request) -> web.Response:
        """Everything, in the format that is asked for."""
        try:
            wanted = Wanted.parse(request.query)
        except ValueError as error:
            return web.Response(status=400, text=f"{error}\n")
        encoder, content_type = choose_encoder(request.headers.get(hdrs.ACCEPT, ""))
        openmetrics = content_type.startswith("application/openmetrics-text")
        body = await self._exporter.exposition(wanted, openmetrics)
        if wanted.includes("self") and not wanted.names:
            body += encoder(self._metrics.registry).removesuffix(_END)
        if openmetrics:
            body += _END
        headers = {hdrs.CONTENT_TYPE: content_type, hdrs.VARY: f"{hdrs.ACCEPT}, {hdrs.ACCEPT_ENCODING}"}
        if "gzip" in request.headers.get(hdrs.ACCEPT_ENCODING, ""):
            headers[hdrs.CONTENT_ENCODING] = "gzip"
            body = await asyncio.to_thread(gzip.compress, body, GZIP_LEVEL)
        return web.Response(body=body, headers=headers)

    async def probe(self, request: web.Request) -> web.Response:
        """One look at a provider now, for Prometheus (its series) or, with `debug=true`, for people (its steps)."""
        name, monitor = request.query.get("provider", ""), self._exporter.monitor
        provider = monitor.providers.get(name)
        if provider is None:
            return web.Response(status=400, text=f"no provider is named {name!r}{nearest(name, monitor.providers)}\n")
        try:
            limit = report.time_limit(provider, request.headers.get(SCRAPE_TIMEOUT))
        except ValueError as error:
            return web.Response(status=400, text=f"{error}\n")
        found, state = await monitor.probe(provider, limit)
        text = render(chain(report.families(found, state), monitor.families_of(provider)), openmetrics=False)
        if request.query.get("debug") == "true":
            return web.Response(text=report.explained(provider, found, state, limit, text.decode()))
        return web.Response(body=text, headers={hdrs.CONTENT_TYPE: TEXT_FORMAT})

    async def discovery(self, request: web.Request) -> web.Response:
        """The providers as targets of Prometheus's http_sd."""
        return web.json_response([_target(one, request.host) for one in self._exporter.monitor.providers.values()])

    async def observations(self, request: web.Request) -> web.Response:
        """What programs were answered by vendors."""
        try:
            observed = await self._exporter.observe(await read_body(request), request.content_type in NDJSON_TYPES)
        except TooMany as error:
            return web.Response(status=413, text=f"{error}\n")
        taken = len(observed.observations)
        told = {"observations": taken, "rejected": observed.rejected, "rejects": named(observed.rejects)}
        return web.json_response(told, status=400 if observed.rejected and not taken else 200)


def _target(provider: Provider, address: str) -> dict[str, object]:
    """A provider as Prometheus's http_sd wants it: scraped at `/probe`, wherever this service was just reached."""
    labels = {
        "__metrics_path__": "/probe",
        "__param_provider": provider.name,
        "__meta_tocsin_scheduled": str(provider.scheduled).lower(),
        "__meta_tocsin_vendor": provider.vendor,
        "__meta_tocsin_owner": provider.owner,
        "__meta_tocsin_service": provider.service,
        "instance": provider.name,
    }
    return {"targets": [address], "labels": labels}


def _row(provider: Provider, state: State | None, base: str, now: float) -> str:
    query = urlencode({"provider": provider.name, "debug": "true"})
    name = f'<a href="{base}/probe?{html.escape(query)}">{html.escape(provider.name)}</a>'
    if state is None:
        return f"<tr><td>{name}<td>not looked at yet<td><td></tr>"
    kind = html.escape(state.kind.replace("_", " "))
    verdict = kind if state.kind is Kind.OK else f'<span class="bad">{kind}</span>'
    lasted = format_duration(max(now - state.since, 0.0))
    return f"<tr><td>{name}<td>{verdict}<td>{lasted}<td>{html.escape(printable(state.reason))}</tr>"
