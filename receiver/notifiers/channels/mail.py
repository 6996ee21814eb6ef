"""E-mail: HTML with the chart in its place, and headers by which a mail program keeps an incident's mails together.
Pure. Apprise makes the plain text beside it."""

from collections.abc import Iterator

from receiver.message import Message
from receiver.notifiers.channels.chart import NAME, chart
from receiver.notifiers.escape import html_linked, html_text
from receiver.notifiers.rendered import Rendered
from receiver.notifiers.words import Fact, Link, Words, state

COLOURS = {"FIRING": "#b42318", "ACKNOWLEDGED": "#946200", "RESOLVED": "#1a7f37", "SOURCE LOST": "#57606a"}
_FONT = "font-family:-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif;font-size:15px;line-height:1.45"
_LABEL = "padding:3px 14px 3px 0;color:#57606a;vertical-align:top;white-space:nowrap"
_BUTTON = "display:inline-block;margin:0 8px 8px 0;padding:7px 14px;border-radius:6px;text-decoration:none"


def render(message: Message, said: Words) -> Rendered:
    """The subject, the HTML, the chart that the HTML shows as `cid:chart.png`, and the headers."""
    thread = f"<{message.key}@tocsin>"
    return Rendered(
        said.title,
        "".join(_page(message, said)),
        "html",
        chart(message),
        headers={"In-Reply-To": thread, "References": thread, "Auto-Submitted": "auto-generated"},
    )


def _page(message: Message, said: Words) -> Iterator[str]:
    colour = next(colour for end, colour in COLOURS.items() if state(message).endswith(end))
    yield f'<div style="{_FONT};color:#1f2328;max-width:640px">'
    yield f'<h2 style="margin:0 0 10px;padding-left:12px;border-left:5px solid {colour};font-size:18px">'
    yield f"{html_text(said.title)}</h2>\n"
    if said.lead:
        yield f'<p style="margin:0 0 10px">{html_linked(said.lead)}</p>\n'
    yield from _table(said.facts)
    yield from _steps(said)
    if said.unknown:
        yield f'<p style="margin:0 0 10px;color:#57606a">Not known: {html_text(said.unknown)}</p>\n'
    if said.actions or said.links:
        yield f'<p style="margin:0 0 4px">{"".join(_buttons(said))}</p>\n'
    if chart(message):
        yield f'<p style="margin:0 0 10px"><img src="cid:{NAME}" alt="{html_text(_alt(said))}" width="600"></p>\n'
    yield from _table(said.more)
    yield from _written_out(said)
    yield "</div>"


def _steps(said: Words) -> Iterator[str]:
    if said.steps:
        items = "".join(f"<li>{html_linked(step)}</li>\n" for step in said.steps)
        yield f'<p style="margin:0"><b>First step{"s" * (len(said.steps) > 1)}</b></p>\n'
        yield f'<ol style="margin:0 0 10px;padding-left:24px">\n{items}</ol>\n'
    if said.fallback:
        yield f'<p style="margin:0 0 10px"><b>If that fails:</b> {html_linked(said.fallback)}</p>\n'


def _table(facts: tuple[Fact, ...]) -> Iterator[str]:
    if not facts:
        return
    yield '<table style="border-collapse:collapse;margin:0 0 10px">\n'
    for fact in facts:
        text = " · ".join([html_linked(fact.text), *map(_link, fact.links)])
        yield f'<tr><td style="{_LABEL}">{html_text(_label(fact))}</td><td style="padding:3px 0">{text}</td></tr>\n'
    yield "</table>\n"


def _label(fact: Fact) -> str:
    return f"{fact.label}:" if fact.label else ""


def _buttons(said: Words) -> Iterator[str]:
    for link in said.actions[:1]:
        yield _link(link, f"{_BUTTON};background:#0969da;color:#ffffff") + " "
    for link in (*said.actions[1:], *said.links):
        yield _link(link, f"{_BUTTON};border:1px solid #d0d7de;color:#1f2328") + " "


def _written_out(said: Words) -> Iterator[str]:
    """The links again, to be read: the plain text beside the HTML is made of what can be read."""
    links = (*said.actions, *said.links, *(link for fact in (*said.facts, *said.more) for link in fact.links))
    lines = "<br>\n".join(f"{html_text(link.label)}: {html_text(link.url)}" for link in links)
    if lines:
        yield f'<p style="margin:14px 0 0;color:#57606a;font-size:11px">{lines}</p>\n'


def _link(link: Link, style: str = "color:#0969da") -> str:
    return f'<a href="{html_text(link.url)}" style="{style}">{html_text(link.label)}</a>'


def _alt(said: Words) -> str:
    measured = next((fact.text for fact in said.facts if fact.label == "Measured now"), "")
    return measured or "The value of the last hours against its normal"
