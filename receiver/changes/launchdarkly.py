"""LaunchDarkly's webhooks: an entry of its audit log each. Pure.

It knows no services of ours: `?service=` in the webhook's URL names one, and without it a flag may concern any.
"""

import re
from urllib.parse import urljoin

import msgspec

from receiver.changes.change import Ignored, Kind, Post, ToldChange

SITE = "https://app.launchdarkly.com"
_KINDS: dict[str, Kind] = {"flag": "flag", "segment": "flag", "environment": "config"}
"""What of LaunchDarkly's changes what programs do; members, tokens and webhooks do not."""
_ENVIRONMENT = re.compile(r":env/([^:;]+)")


class _Link(msgspec.Struct):
    href: str = ""


class _Links(msgspec.Struct):
    site: _Link = msgspec.field(default_factory=_Link)


class _Access(msgspec.Struct):
    resource: str = ""


class _Member(msgspec.Struct):
    first_name: str = msgspec.field(name="firstName", default="")
    last_name: str = msgspec.field(name="lastName", default="")
    email: str = ""


class _Named(msgspec.Struct):
    name: str = ""


class _Entry(msgspec.Struct):
    id: str = msgspec.field(name="_id")
    date: float
    kind: str
    name: str
    verb: str = msgspec.field(name="titleVerb", default="")
    links: _Links = msgspec.field(name="_links", default_factory=_Links)
    accesses: list[_Access] = []
    member: _Member | None = None
    token: _Named | None = None


_entry = msgspec.json.Decoder(_Entry)


def read(post: Post) -> tuple[ToldChange, ...] | Ignored:
    """The flag that an entry tells of. Raises msgspec.DecodeError."""
    entry = _entry.decode(post.body)
    if entry.kind not in _KINDS:
        return Ignored(f"a change of a '{entry.kind[:40]}' changes no service")
    environments = [found[1] for access in entry.accesses if (found := _ENVIRONMENT.search(access.resource))]
    page = urljoin(SITE, entry.links.site.href) if entry.links.site.href.startswith("/") else entry.links.site.href
    return (
        ToldChange(
            source="launchdarkly",
            key=entry.id,
            at=entry.date / 1000,
            kind=_KINDS[entry.kind],
            title=f"{entry.name} {entry.verb or 'changed'}",
            service=post.service,
            environment=post.environment or (environments[0] if environments else ""),
            author=_author(entry),
            url=page,
            undo_url=page if entry.kind == "flag" else "",
        ),
    )


def _author(entry: _Entry) -> str:
    """A person's name before the address, which would go out with every message; a token's name where it was none."""
    member = entry.member or _Member()
    named = f"{member.first_name} {member.last_name}".strip() or member.email
    return named or (entry.token.name if entry.token else "")
