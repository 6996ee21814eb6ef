"""Pages that lay a message out as Slack, Teams, Discord and a mail program would show it, from what each is sent.

They imitate where things stand and how texts are marked up, so that a person can judge the message; they are not those
programs.
"""

import base64
import html
import re
from collections.abc import Callable, Mapping
from typing import Any

from receiver.message import Message
from receiver.notifiers import blocks
from receiver.notifiers.render import CHANNELS
from receiver.notifiers.rendered import Rendered
from receiver.notifiers.words import Words

Json = Any
"""A part of what a service is sent."""

_PAGE = """<!doctype html><meta charset="utf-8"><style>
body {{ margin: 0; padding: 16px; width: 688px; font: 15px/1.46 "DejaVu Sans", sans-serif; font-size: 13px; {body} }}
a {{ color: {link}; text-decoration: none }} img {{ display: block; max-width: 100% }} {css}
</style><body>{content}</body>"""


def slack(message: Message, said: Words) -> str:
    """The bot's message, with its thread below."""
    css = """
    .who { display: flex; gap: 10px }
    .face { width: 36px; height: 36px; border-radius: 6px; background: #7c2d12; color: #fff; text-align: center;
    line-height: 36px; font-weight: bold; flex: none }
    .name { font-weight: bold }
    .app { background: #eee; color: #616061; font-size: 10px; padding: 1px 4px; border-radius: 3px; margin-left: 4px
    }
    .time { color: #616061; font-size: 11px; margin-left: 6px }
    .header { font-size: 16px; font-weight: bold; margin: 6px 0 }
    .dot { display: inline-block; width: 12px; height: 12px; border-radius: 6px; margin-right: 6px }
    .section { margin: 6px 0 }
    .fields { display: grid; grid-template-columns: 1fr 1fr; gap: 8px 18px; margin: 8px 0 }
    .context { color: #616061; font-size: 12px; margin: 6px 0 } .actions { margin: 8px 0 }
    .button { display: inline-block; border: 1px solid #bbb; border-radius: 4px; padding: 4px 11px; margin: 0 6px
    6px 0; font-weight: bold; color: #1d1c1d; font-size: 12px }
    .primary { background: #007a5a; border-color: #007a5a; color: #fff }
    .thread { border-left: 3px solid #ddd; margin: 8px 0 0 46px; padding-left: 12px }
    .replies { color: #1264a3; font-weight: bold; font-size: 12px; margin-left: 46px }"""
    thread = blocks.details(message, said)
    replies = ""
    if thread:
        replies = f'<div class="replies">1 reply</div><div class="thread">{_blocks(thread["blocks"])}</div>'
    content = f"""<div class="who"><div class="face">T</div><div>
    <span class="name">Tocsin</span><span class="app">APP</span>
    <span class="time">14:02</span>{_blocks(blocks.blocks(message, said=said)["blocks"])}</div></div>{replies}"""
    return _PAGE.format(body="background: #fff; color: #1d1c1d", link="#1264a3", css=css, content=content)


_DOTS = {"🔴": "#e01e5a", "🟡": "#ecb22e", "🟢": "#2eb67d", "⚪": "#bbb"}


def _blocks(shown: list[Json]) -> str:
    return "".join(_BLOCKS[block["type"]](block) for block in shown)


def _header(block: Json) -> str:
    mark, _, text = block["text"]["text"].partition(" ")
    return f'<div class="header"><span class="dot" style="background:{_DOTS[mark]}"></span>{html.escape(text)}</div>'


def _section(block: Json) -> str:
    if "fields" in block:
        return f'<div class="fields">{"".join(f"<div>{_mrkdwn(field)}</div>" for field in block["fields"])}</div>'
    return f'<div class="section">{_mrkdwn(block["text"])}</div>'


def _context(block: Json) -> str:
    return f'<div class="context">{" ".join(map(_mrkdwn, block["elements"]))}</div>'


def _actions(block: Json) -> str:
    buttons = (
        f'<span class="button {one.get("style", "")}">{html.escape(one["text"]["text"])}</span>'
        for one in block["elements"]
    )
    return f'<div class="actions">{"".join(buttons)}</div>'


_BLOCKS: Mapping[str, Callable[[Json], str]] = {
    "header": _header,
    "section": _section,
    "context": _context,
    "actions": _actions,
}


def _mrkdwn(text: Json) -> str:
    """Slack's mark-up: its text is escaped as HTML's is."""
    linked = re.sub(r"<(https?://[^|>]+)\|([^>]+)>", r'<a href="\1">\2</a>', text["text"])
    linked = re.sub(r"<(https?://[^|>\s]+)>", r'<a href="\1">\1</a>', linked)
    return re.sub(r"\*([^*\n]+)\*", r"<b>\1</b>", linked).replace("\n", "<br>")


def discord(message: Message, said: Words) -> str:
    """The webhook's message with its embed."""
    css = """
    .who { display: flex; gap: 14px }
    .face { width: 40px; height: 40px; border-radius: 20px; background: #7c2d12; color: #fff; text-align: center;
    line-height: 40px; font-weight: bold; flex: none }
    .name { font-weight: bold; color: #f2f3f5 }
    .app { background: #5865f2; color: #fff; font-size: 10px; padding: 1px 4px; border-radius: 3px }
    .embed { background: #2b2d31; border-left: 4px solid; border-radius: 4px; padding: 10px 14px; margin-top: 6px;
    max-width: 560px }
    .fields { display: flex; flex-wrap: wrap; gap: 8px 16px; margin-top: 8px } .field { width: 100% }
    .inline { width: 46% } .label { font-weight: bold; color: #f2f3f5; font-size: 12px }
    .embed img { margin-top: 10px; border-radius: 4px }"""
    native = CHANNELS["discord"](message, said).native or {}
    (embed,) = native["embeds"]
    fields = "".join(
        f'<div class="field {"inline" if field["inline"] else ""}">'
        f'<div class="label">{html.escape(field["name"])}</div>'
        f"{_markdown(field['value'])}</div>"
        for field in embed["fields"]
    )
    lead = f"<div>{_markdown(embed['description'])}</div>" if "description" in embed else ""
    picture = f'<img src="{_data(message)}">' if "image" in embed else ""
    content = f"""<div class="who"><div class="face">T</div><div>
    <span class="name">Tocsin</span> <span class="app">APP</span>
    <div>{_markdown(native["content"])}</div><div class="embed" style="border-color:#{embed["color"]:06x}">{lead}
    <div class="fields">{fields}</div>{picture}</div></div></div>"""
    return _PAGE.format(body="background: #313338; color: #dbdee1", link="#00a8fc", css=css, content=content)


def _markdown(text: str) -> str:
    linked = re.sub(r"\[([^\]]+)\]\(&lt;(.+?)&gt;\)", r'<a href="\2">\1</a>', html.escape(text))
    linked = re.sub(r"(?<![\"\w])(https?://[^\s<]+[^\s<.,;:])", r'<a href="\1">\1</a>', linked)
    bold = re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", linked)
    return re.sub(r"\\([^a-zA-Z0-9\s])", r"\1", bold).replace("\n", "<br>")


def teams(message: Message, said: Words) -> str:
    """The Adaptive Card."""
    css = """
    .card { background: #fff; border: 1px solid #d1d1d1; border-radius: 6px; padding: 0 16px 12px; overflow: hidden
    }
    .container { margin: 0 -16px; padding: 12px 16px } .attention { background: #fde7e9; color: #8e192e }
    .warning { background: #fff4ce; color: #835c00 } .good { background: #dff6dd; color: #0e700e }
    .block { margin-top: 8px } .small { margin-top: 4px } .accent { color: #5b5fc7 } .card img { margin: 8px 0 }
    .button { display: inline-block; border: 1px solid #d1d1d1; border-radius: 4px; padding: 4px 12px; margin: 12px
    8px 0 0; font-weight: bold; font-size: 12px; color: #242424 }
    .name { color: #616161; font-size: 12px; margin: 0 0 6px 4px }"""
    native = CHANNELS["teams"](message, said).native or {}
    card = native["attachments"][0]["content"]
    buttons = "".join(f'<span class="button">{html.escape(one["title"])}</span>' for one in card["actions"])
    body = "".join(map(_element, card["body"]))
    content = f'<div class="name">Workflows &nbsp; 14:02</div><div class="card">{body}{buttons}</div>'
    return _PAGE.format(body="background: #f5f5f5; color: #242424", link="#5b5fc7", css=css, content=content)


def _element(element: Json) -> str:
    if element["type"] == "Container":
        return f'<div class="container {element["style"]}">{"".join(map(_element, element["items"]))}</div>'
    if element["type"] == "Image":
        return f'<img src="{element["url"]}">'
    return f'<div class="{element.get("spacing", "block").lower()}">{"".join(map(_run, element["inlines"]))}</div>'


def _run(run: Json) -> str:
    text = html.escape(run["text"])
    text = f"<b>{text}</b>" if run.get("weight") == "Bolder" else text
    return f'<span class="accent">{text}</span>' if run.get("color") == "Accent" else text


def mail(message: Message, said: Words) -> str:
    """The mail's HTML, below its headers."""
    rendered = CHANNELS["mail"](message, said)
    css = """
    .head { border-bottom: 1px solid #ddd; padding-bottom: 8px; margin-bottom: 14px; color: #57606a }
    h1 { font-size: 16px; margin: 0 0 6px; color: #1f2328 }"""
    shown = rendered.body.replace("cid:chart.png", _data(message))
    content = f"""<div class="head"><h1>{html.escape(rendered.title)}</h1>
    Tocsin &lt;tocsin@example.com&gt; to on-call</div>
    {shown}"""
    return _PAGE.format(body="background: #fff; color: #1f2328", link="#0969da", css=css, content=content)


def _data(message: Message) -> str:
    return f"data:image/png;base64,{base64.b64encode(message.chart).decode()}"


def plain(rendered: Rendered) -> str:
    """What any other service is sent, as it is."""
    shown = "\n\n".join(html.escape(part) for part in (rendered.title, rendered.body) if part)
    content = f'<pre style="white-space: pre-wrap; font: inherit">{shown}</pre>'
    return _PAGE.format(body="background: #fff; color: #1f2328", link="#0969da", css="", content=content)


LOOKS: Mapping[str, Callable[[Message, Words], str]] = {
    "slack": slack,
    "teams": teams,
    "mail": mail,
    "discord": discord,
}
