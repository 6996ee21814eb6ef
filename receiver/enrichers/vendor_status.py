"""What the vendor says of itself: its status page, for an alert with the label `provider`.

The exporter asks the pages of the vendors that it watches, while they fail, so its metric is asked first. For others
the configuration names the page (Atlassian Statuspage, or what speaks like it). Pages are late: that all is well there
does not mean that it is.
"""

import asyncio
import re
from collections.abc import Mapping
from urllib.parse import urljoin

import aiohttp
import msgspec

from receiver.enrichers.absence import Absent
from receiver.incidents import Incident
from receiver.message import Found
from toolkit.prometheus import Prometheus, QueryFailed
from toolkit.redaction import quoted

MAX_BYTES = 64 * 1024
METRIC_SECONDS, PAGE_SECONDS = 1.0, 1.8
"""Together less than an enrichment may take: a Prometheus that hangs does not keep the page from being asked, and the
gap names who did not answer."""
LONGEST_WORDS = 200
PATH = "/api/v2/status.json"
METRIC = "thirdparty_status_page_incident"


class _Status(msgspec.Struct):
    indicator: str
    description: str = ""


class _Page(msgspec.Struct):
    status: _Status


_page = msgspec.json.Decoder(_Page)


class VendorStatusEnricher:
    """`pages` are the configured addresses, by provider; `prometheus` is None where there is none."""

    def __init__(self, session: aiohttp.ClientSession, prometheus: Prometheus | None, pages: Mapping[str, str]) -> None:
        self._session, self._prometheus, self._pages = session, prometheus, pages

    async def __call__(self, incident: Incident) -> Found | None:
        """The page's words; None for what is of no vendor, or whose page nobody knows. Raises Absent."""
        provider = incident.leading.labels.get("provider", "")
        if not provider:
            return None
        page = self._pages.get(provider)
        said = await self._measured(provider, fails=page is None)
        if said is None and page is not None:
            said = await self._asked(page)
        return {"vendor_status": said} if said is not None else None

    async def _measured(self, provider: str, fails: bool) -> str | None:
        """What the exporter saw; None where it asks no page. Unless it `fails`, so is a Prometheus that does not
        answer: there is somebody else to ask."""
        if self._prometheus is None:
            return None
        try:
            async with asyncio.timeout(METRIC_SECONDS):
                samples = await self._prometheus.query(f"max({METRIC}{{provider={_quoted(provider)}}})")
        except (QueryFailed, TimeoutError) as error:
            if not fails:
                return None
            reason = error.reason if isinstance(error, QueryFailed) else "timeout"
            raise Absent("vendor_status", reason, str(error) or "Prometheus did not answer in time") from None
        if not samples:
            return None
        return f"{'an incident or maintenance' if samples[0].value else 'all is well'}, on its status page"

    async def _asked(self, page: str) -> str:
        try:
            async with asyncio.timeout(PAGE_SECONDS):
                status, body = await self._get(address(page))
        except TimeoutError:
            raise Absent("vendor_status", "timeout", "the status page did not answer in time") from None
        except (aiohttp.ClientError, OSError) as error:
            detail = f"the status page can't be reached ({type(error).__name__})"
            raise Absent("vendor_status", "unreachable", detail) from None
        if status != 200:
            raise Absent("vendor_status", "refused", f"the status page answered {status}")
        return words(body)

    async def _get(self, url: str) -> tuple[int, bytes]:
        async with self._session.get(url, max_redirects=3) as response:
            body = bytearray()
            async for chunk in response.content.iter_any():
                body += chunk
                if len(body) > MAX_BYTES:
                    raise Absent("vendor_status", "unreadable", f"the status page has more than {MAX_BYTES} bytes")
            return response.status, bytes(body)


def address(page: str) -> str:
    """Where a page that people read at `page` tells programs its status."""
    return page if page.endswith(".json") else urljoin(page, PATH)


def words(body: bytes) -> str:
    """`"'Partial System Outage', on its status page"`. Raises Absent for what is no Statuspage."""
    try:
        status = _page.decode(body).status
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise Absent("vendor_status", "unreadable", "the status page is none that we can read") from None
    said = " ".join(quoted(status.description or status.indicator).split())[:LONGEST_WORDS]
    return f"'{said}', on its status page"


def _quoted(value: str) -> str:
    """A string of PromQL."""
    return '"' + re.sub(r'["\\]', r"\\\g<0>", value).replace("\n", "\\n") + '"'
