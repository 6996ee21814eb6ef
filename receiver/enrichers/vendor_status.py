"""What the vendor says of itself: its status page, for an alert with the label `provider`.

The exporter asks the pages of the vendors that it watches, while they fail, so its metric has the first word. For
others the configuration names the page (Atlassian Statuspage, or what speaks like it). Pages are late: that all is well
there does not mean that it is.
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
from toolkit.httpclient import TooLong, read_at_most
from toolkit.prometheus import Prometheus, QueryFailed
from toolkit.redaction import quoted

MAX_BYTES = 64 * 1024
ANSWER_SECONDS = 2.5
"""Less than an enrichment may take, so that the gap names who did not answer."""
METRIC_SECONDS = 0.2
"""How much longer than the page Prometheus is waited for: one that hangs keeps nobody from hearing the page's words."""
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
        if page is None:
            said = await self._measured(provider)
        else:
            said = await self._either(provider, page)
        return {"vendor_status": said} if said is not None else None

    async def _either(self, provider: str, page: str) -> str:
        """What the exporter saw, where it saw something in time, else the page's words. Both are asked at once."""
        measured = asyncio.ensure_future(self._measured(provider))
        asked = asyncio.ensure_future(self._asked(page))
        try:
            await asyncio.wait({measured, asked}, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait({measured}, timeout=METRIC_SECONDS)
            seen = measured.result() if measured.done() and measured.exception() is None else None
            return seen if seen is not None else await asked
        finally:
            for task in (measured, asked):
                task.cancel()
            await asyncio.gather(measured, asked, return_exceptions=True)

    async def _measured(self, provider: str) -> str | None:
        """What the exporter saw; None where it asks no page."""
        if self._prometheus is None:
            return None
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                samples = await self._prometheus.query(f"max({METRIC}{{provider={_quoted(provider)}}})")
        except (QueryFailed, TimeoutError) as error:
            reason = error.reason if isinstance(error, QueryFailed) else "timeout"
            raise Absent("vendor_status", reason, str(error) or "Prometheus did not answer in time") from None
        if not samples:
            return None
        return f"{'an incident or maintenance' if samples[0].value else 'all is well'}, on its status page"

    async def _asked(self, page: str) -> str:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                status, body = await self._get(address(page))
        except TimeoutError:
            raise Absent("vendor_status", "timeout", "the status page did not answer in time") from None
        except TooLong as error:
            raise Absent("vendor_status", "unreadable", f"the status page has {error}") from None
        except (aiohttp.ClientError, OSError) as error:
            detail = f"the status page can't be reached ({type(error).__name__})"
            raise Absent("vendor_status", "unreachable", detail) from None
        if status != 200:
            raise Absent("vendor_status", "refused", f"the status page answered {status}")
        return words(body)

    async def _get(self, url: str) -> tuple[int, bytes]:
        async with self._session.get(url, max_redirects=3) as response:
            return response.status, await read_at_most(response, MAX_BYTES)


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
