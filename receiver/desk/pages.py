"""The pages behind a message's links: `GET /a/TOKEN` shows an incident and changes nothing, for mail scanners open
links; `POST /a/TOKEN` does what the person confirms. The token says who may: nobody is asked for a password."""

import html
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol
from urllib.parse import parse_qs

from aiohttp import hdrs, web

from receiver.desk.deeds import LONGEST_NAME, Refused
from receiver.desk.desk import LINK, Desk, Done
from receiver.desk.web import STATUS
from receiver.incidents import Incident
from receiver.links import BadLink, Signer
from receiver.pipeline import Pipeline
from receiver.redact import MessageRedactor
from receiver.stages.plan import began
from receiver.store import Store
from toolkit.clock import Now, format_duration, format_utc
from toolkit.httpserver import proves_itself, read_body
from toolkit.redaction import printable, unnumbered

MOST_FIELDS = 10
HEADERS = {
    hdrs.CACHE_CONTROL: "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex",
    "X-Content-Type-Options": "nosniff",
}
"""The page is nobody's but the reader's, runs nothing, sends its address nowhere, and stands in no frame."""
_TEMPLATE = (Path(__file__).parent / "page.html").read_text(encoding="utf-8")

_PLACE = re.compile(r"\{(?:title|body)\}")


class Served(Protocol):
    """What the pages need of the receiver."""

    store: Store
    desk: Desk
    pipeline: Pipeline

    @property
    def redact(self) -> MessageRedactor:
        """What may not leave: whoever holds a link sees no more than the messages tell."""


class LinkPages:
    """The handlers. `routes` lists them."""

    def __init__(self, receiver: Served, now: Now) -> None:
        self._receiver, self._now = receiver, now

    def routes(self) -> list[web.RouteDef]:
        """What to add to `toolkit.httpserver.application`."""
        return [web.get("/a/{token}", self.show), web.post("/a/{token}", self.act)]

    @proves_itself
    async def show(self, request: web.Request) -> web.Response:
        """What happened, and a form that asks who wants to do what."""
        try:
            incident = await self._incident(request)
        except BadLink as bad:
            return _bad(bad)
        silence_first, redact = request.query.get("do") == "silence", self._receiver.redact
        return _page(incident, redact, _details(incident, redact, self._now()) + _form(incident, redact, silence_first))

    @proves_itself
    async def act(self, request: web.Request) -> web.Response:
        """Does it: `do` is `acknowledge` or `silence`, `by` a name; with `take_over` also what somebody else has."""
        redact = self._receiver.redact
        try:
            incident = await self._incident(request)
        except BadLink as bad:
            return _bad(bad)
        try:
            done = await self._done(incident, _fields(await read_body(request)))
        except Refused as refused:
            said = f'<p class="no">Nothing was done: {_text(redact.text(str(refused), unnumbered))}.</p>'
            return _page(incident, redact, said + _form(incident, redact, False), STATUS[refused.why])
        said = f'<p class="yes">{_text(redact.text(done.said, unnumbered))}</p>'
        offered = "" if done.changed else _form(done.incident, redact, False)
        return _page(done.incident, redact, said + _details(done.incident, redact, self._now()) + offered)

    async def _incident(self, request: web.Request) -> Incident:
        """The incident of the token, or the one that it is part of by now. Raises BadLink."""
        signer: Signer = self._receiver.pipeline.settings.signer
        number = signer.incident(request.match_info["token"], self._now())
        found = await self._receiver.store.incident(number)
        while found is not None and found.merged_into is not None:
            found = await self._receiver.store.incident(found.merged_into)
        if found is None:
            raise web.HTTPNotFound(text=f"there is no incident {number}\n")
        return found

    async def _done(self, incident: Incident, fields: Mapping[str, str]) -> Done:
        number, by, desk = incident.id or 0, fields.get("by", ""), self._receiver.desk
        wanted = fields.get("do", "")
        if wanted == "silence":
            return await desk.silence(number, by, via=LINK)
        if wanted != "acknowledge":
            raise Refused("malformed", "the form was sent incompletely")
        return await desk.acknowledge(number, by, LINK, take_over=fields.get("take_over") == "yes")


def _fields(body: bytes) -> dict[str, str]:
    """The first value of each field of a form. Raises Refused."""
    try:
        found = parse_qs(body.decode("ascii"), max_num_fields=MOST_FIELDS, errors="strict")
    except (ValueError, UnicodeError):
        raise Refused("malformed", "the form can't be read") from None
    return {name: values[0] for name, values in found.items()}


def _page(incident: Incident, redact: MessageRedactor, body: str, status: int = 200) -> web.Response:
    lead = incident.leading if incident.alerts else None
    title = (lead.annotations.get("summary") or lead.name) if lead is not None else f"Incident {incident.id}"
    return _response(redact.text(title), body, status)


def _bad(bad: BadLink) -> web.Response:
    advice = (
        "Nothing was done. Open the newest message of the incident, or acknowledge with tocsin-receiver incidents ack."
    )
    status = 410 if bad.flaw == "expired" else 403
    return _response("This link can't be used", f'<p class="no">{_text(str(bad))}</p><p>{advice}</p>', status)


def _response(title: str, body: str, status: int) -> web.Response:
    parts = {"{title}": _text(title), "{body}": body}
    page = _PLACE.sub(lambda place: parts[place[0]], _TEMPLATE)
    return web.Response(text=page, status=status, content_type="text/html", headers=HEADERS)


def _details(incident: Incident, redact: MessageRedactor, now: float) -> str:
    rows = "".join(f"<dt>{name}</dt><dd>{_text(value)}</dd>" for name, value in _facts(incident, redact, now))
    return f"<dl>{rows}</dl>"


def _facts(incident: Incident, redact: MessageRedactor, now: float) -> Iterator[tuple[str, str]]:
    yield "Incident", f"{incident.id}, {incident.severity}"
    yield "State", redact.text(_state(incident), unnumbered)
    if incident.alerts:
        lead, since = incident.leading, began(incident)
        where = " ".join(lead.labels.get(name, "") for name in ("service", "environment"))
        yield (
            "Alert",
            f"{redact.text(lead.name)}{f' and {len(incident.firing) - 1} more' if len(incident.firing) > 1 else ''}",
        )
        if where.strip():
            yield "Service", redact.text(where.strip())
        lasted = format_duration(max((incident.resolved_at or now) - since, 0))
        yield "Since", f"{format_utc(since)}, for {lasted}"
    if incident.snoozed_until is not None and incident.snoozed_until > now:
        yield "Put off", f"until {format_utc(incident.snoozed_until)}"


def _state(incident: Incident) -> str:
    if incident.state == "acknowledged":
        return f"{incident.acknowledged_by} has it, since {format_utc(incident.acknowledged_at or 0)}"
    if incident.live:
        handed = f"; handed to {incident.assigned_to}" if incident.assigned_to else ""
        return f"firing, and nobody has acknowledged it{handed}"
    return f"ended: {incident.state}"


def _form(incident: Incident, redact: MessageRedactor, silence_first: bool) -> str:
    """Who, and what; nothing for what has ended."""
    if not incident.live:
        return ""
    taken = incident.state == "acknowledged"
    take_over = (
        f'<label class="check"><input type="checkbox" name="take_over" value="yes"> '
        f"Take it over from {_text(redact.text(incident.acknowledged_by or '', unnumbered))}</label>"
    )
    buttons = [
        '<button name="do" value="acknowledge">Acknowledge</button>',
        '<button name="do" value="silence">Silence for 2 h</button>',
    ]
    # the first button is what the Enter key presses
    ordered = "".join(reversed(buttons) if silence_first else buttons)
    return (
        f'<form method="post"><label>Your name <input name="by" required maxlength="{LONGEST_NAME}" '
        f'autocomplete="name" autofocus></label>{take_over if taken else ""}<p>{ordered}</p></form>'
    )


def _text(text: str) -> str:
    """Words of others, as text of a page."""
    return html.escape(printable(text))
