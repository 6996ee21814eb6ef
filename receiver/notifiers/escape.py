"""Words of others as data in each format: no mark-up of theirs, and links whole. Mentions are broken already. Pure."""

import html
import re
import unicodedata
from collections.abc import Callable, Iterator

from receiver.notifiers.words import ZERO_WIDTH, clip, is_link

Escape = Callable[[str], str]

_URL = re.compile(r"https?://[^\s<>\"'`|\\]+[^\s<>\"'`|\\.,;:!?)\]}]")
_MARKDOWN = re.compile(r"[\\`*_~|<>\[\]#@]|:(?=\w+:)")
# [words](url), [words][name] and <url|words>
_FALSE_LINK = re.compile(r"\](?=[(\[])|<(?=https?:)", re.IGNORECASE)
# [name]: url, which is one at the beginning of a line only
_DEFINITION = re.compile(r"^\[.*?\](?=:)")
_ASCII = {
    "\u00b7": "-",  # a middle dot
    "\u2026": "...",
    "\u2013": "-",
    "\u2014": "-",
    "\u2018": "'",
    "\u2019": "'",
    "\u201c": '"',
    "\u201d": '"',
    "\u20ac": "EUR",
    "\u00d7": "x",
    "\u2192": "->",
}


def mrkdwn(text: str) -> str:
    """For Slack: its three control characters escaped, no code, and a link where the text has one. The text object
    must be `verbatim`, so that Slack looks for nothing else in it."""
    return _with_links(text, _mrkdwn, lambda url: f"<{_slack(url)}>")


def _mrkdwn(text: str) -> str:
    return _slack(text.replace("`", "'"))


def _slack(text: str) -> str:
    return html.escape(text, quote=False)


def markdown(text: str) -> str:
    """For Discord and Adaptive Cards: every character that begins mark-up escaped, links kept."""
    return _with_links(text, _markdown, lambda url: url)


def _markdown(text: str) -> str:
    return _MARKDOWN.sub(r"\\\g<0>", text)


def unlinked(text: str) -> str:
    """For services that may read Markdown in plain text: no words of others hide where a link leads. A blank of no
    width breaks it, for Zulip and others know no backslash."""
    undefined = _DEFINITION.sub(lambda found: found.group() + ZERO_WIDTH, text)
    return _FALSE_LINK.sub(lambda found: found.group() + ZERO_WIDTH, undefined)


def html_text(text: str) -> str:
    """For HTML, as text and within a quoted attribute."""
    return html.escape(text)


def ascii_text(text: str) -> str:
    """For SMS: what is left of it in ASCII, for one other character halves the length of a segment."""
    known = "".join(_ASCII.get(one, one) for one in text)
    return unicodedata.normalize("NFKD", known).encode("ascii", "ignore").decode()


def fitted(text: str, limit: int, escape: Escape) -> str:
    """`text` escaped in at most `limit` characters; cut before it is escaped, so that no escape is cut in half."""
    escaped = escape(text)
    while len(escaped) > limit and text:
        text = clip(text, min(len(text) * limit // len(escaped), len(text) - 1))
        escaped = escape(text)
    return escaped if len(escaped) <= limit else ""


def html_linked(text: str) -> str:
    """For HTML as text, with a link where the text has one."""
    return _with_links(text, html_text, lambda url: f'<a href="{html_text(url)}">{html_text(url)}</a>')


def divided(text: str) -> Iterator[tuple[str, bool]]:
    """The parts of a text, and whether each is a link."""
    end = 0
    for found in _URL.finditer(text):
        if is_link(found.group()):
            yield text[end : found.start()], False
            yield found.group(), True
            end = found.end()
    yield text[end:], False


def _with_links(text: str, escape: Escape, link: Escape) -> str:
    return "".join(link(part) if is_url else escape(part) for part, is_url in divided(text))
