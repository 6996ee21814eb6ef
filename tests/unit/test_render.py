"""What a responder reads, on every channel: within its limits, with nothing in a label that forges, pings or breaks."""

import html
import html.parser
import json
import re
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from receiver.message import Change, Message
from receiver.notifiers import blocks
from receiver.notifiers.channels import sms, teams, telegram, text
from receiver.notifiers.render import CHANNELS, channel, render
from receiver.notifiers.rendered import Rendered
from receiver.notifiers.rows import FIRST_VIEW
from receiver.notifiers.words import LINK_LIMIT, TITLE_LIMIT, clip, words
from tests.support.messages import message
from tests.support.stories import STORIES

FULL = STORIES["unpaid-bill"]
TEXT = "tests://host"


def write(name: str, told: Message, may_repeat: bool = False) -> Rendered:
    return CHANNELS[name](told, words(told, may_repeat))


def changed(**fields: object) -> Message:
    return msgspec.structs.replace(FULL, **fields)


def lines(told: Message) -> list[str]:
    return text.render(words(told)).body.splitlines()


def test_a_resolve_says_how_long_it_was_and_asks_for_nothing() -> None:
    told = text.render(words(changed(status="resolved", until=FULL.since + 192, firing_count=0)))
    assert told.title.startswith("[RESOLVED] Mailgun")
    assert "Since: 2026-11-21 14:02:11 UTC, for 3m12s" in told.body
    for asked in ("First step", "402 in 10 min", "Impact", "Pays", "Acknowledge", "Silence"):
        assert asked not in told.body


def test_who_pays_is_not_said_twice() -> None:
    assert not [line for line in lines(changed(pays="finance")) if line.startswith("Pays:")]


def test_a_possible_repeat_says_so_even_when_the_title_is_cut() -> None:
    title = text.render(words(changed(summary="x" * 500), True)).title
    assert title.endswith("· billing-api prod · 14:02 UTC (may be a repeat)")
    assert len(title) == TITLE_LIMIT


def test_a_service_that_folds_repeats_is_not_told_of_one() -> None:
    assert "repeat" not in render(FULL, "pagerduty://a@b", 1024, may_repeat=True).title
    assert "repeat" in render(FULL, TEXT, 8000, may_repeat=True).title


MISSING = [
    ("the value", {"measured": ""}, "value against its normal"),
    ("its normal", {"normal": ""}, "value against its normal"),
    ("the impact", {"impact": "", "impact_measured": ""}, "impact"),
    ("what changed", {"changes": ()}, "what changed"),
    ("the owner", {"owner": ""}, "owner"),
    ("the first step", {"first_steps": ()}, "first step"),
    ("the fallback", {"fallback": ""}, "fallback"),
    ("what an enricher could not find", {"absent": ("promql: no answer within 3 s",)}, "promql: no answer within 3 s"),
]


@pytest.mark.parametrize(("fields", "named"), [row[1:] for row in MISSING], ids=[row[0] for row in MISSING])
def test_what_is_not_known_is_named(fields: dict[str, object], named: str) -> None:
    assert f"Not known: {named}" in lines(changed(**fields))


LINES = [
    ("its priority", {"priority": "P1", "rank": "critical, shop is tier 1"}, "Priority: P1 (critical, shop is tier 1)"),
    ("what probably causes it", {"cause": "Down of db, which web needs"}, "Probable cause: Down of db, which web needs"),
    ("how far it goes", {"spread": "57 alerts of 4 services: a 20, b 37"}, "Alerts: 57 alerts of 4 services: a 20, b 37"),
    ("that it came back", {"reopened": 2}, "Reopened: 2 times"),
    ("how many fire", {"firing_count": 2}, "Alerts: 2 firing in this incident"),
    ("that it is told in another's place", {"stands_in": "chat refused it: HTTP 404"}, "You are told because: chat refused it: HTTP 404"),
    ("the date of a change, where it is another", {"changes": (Change("flag x on", FULL.since - 86_400),)}, "Changed: 2026-11-20 14:02 UTC: flag x on"),
    ("who has it", {"acknowledged_by": "ana", "acknowledged_at": FULL.since + 60, "note": "on it"}, "Acknowledged: by ana at 14:03 UTC: on it"),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "line"), [row[1:] for row in LINES], ids=[row[0] for row in LINES])
def test_a_message_says(fields: dict[str, object], line: str) -> None:
    assert line in lines(changed(**fields))


def test_the_first_view_stays_short_whatever_is_known() -> None:
    body = text.render(words(changed(cause="x", absent=("logs: no answer within 3 s",)))).body
    assert len(body.split("\n\n")[0].splitlines()) <= FIRST_VIEW


def test_an_end_in_doubt_is_no_resolve() -> None:
    told = text.render(words(changed(status="resolved", reason="source_lost", until=FULL.since + 60)))
    assert told.title.startswith("[SOURCE LOST] Mailgun")
    assert "Nobody knows whether it has ended" in told.body


@pytest.mark.parametrize(
    "url",
    ["javascript:alert(1)", "file:///etc/passwd", "nonsense", "http://[", "http://x/" + "q" * LINK_LIMIT, "http://x/>|<!channel>", "https://x/ y", 'https://x/"onclick='],
)  # fmt: skip
def test_a_link_that_is_none_or_too_long_is_left_out_everywhere(url: str) -> None:
    told = changed(runbook_url=url, query_url=url, changes=(Change("deploy", 1.0, url, url),))
    for name in CHANNELS:
        shown = write(name, told)
        native = {} if name == "json" else shown.native  # json:// is for programs, which get the fields as they are
        assert url not in shown.body + json.dumps(native)


# --- every channel, whatever stands in a label


HOSTILE = [
    "<!channel> look",
    "<@U123> look",
    "<!subteam^S1> look",
    "@everyone look",
    "@HERE look",
    "<@&4711> and <@4711> and <#4711>",
    "<at>all</at>",
    '<at user_id="all">all</at> <users/all>',
    "@room and @alice, (@bob) https://evil.example/,@carol",
    "x[a](https://evil.example)@**all** @_**bo** @*team*",
    "x\nOwner: attacker",
    "x\rOwner: attacker",
    "x\x1b[2Jy",
    "x\u202egnp.exe",
    "</b></div><script>alert(1)</script><img src=x onerror=alert(1)>",
    "[click](https://evil.example) **bold** `code` ```block``` ||spoiler|| > quote # head",
    "<https://evil.example|Runbook>",
    "&lt;!channel&gt; &amp;",
    "https://evil.example/@everyone https://evil.example/<!channel>",
    "💥" * 400,
    "&" * 3000,
    "'\"" * 1000,
    "{{ 7 * 7 }} {% raw %} ${x} %s {0}",
]


def hostile(value: str) -> Message:
    found: dict[str, Any] = {}
    for name in FULL.__struct_fields__:
        held = getattr(FULL, name)
        if name.endswith("_url") or name in ("chart", "digest", "status", "severity", "priority", "reason"):
            continue
        if isinstance(held, str):
            found[name] = value
        elif isinstance(held, tuple):
            found[name] = (value,) * 6
    return msgspec.structs.replace(FULL, **{**found, "changes": (Change(value, FULL.since),) * 4})


PING = re.compile(r"<([!@#]|/?at\b|users/)|@(here|channel|everyone|all|room)\b|@_?\*|[ (,]@\w", re.IGNORECASE)


def strings(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [found for one in value.values() for found in strings(one)]
    if isinstance(value, list | tuple):
        return [found for one in value for found in strings(one)]
    return [value] if isinstance(value, str) else []


@pytest.mark.parametrize("value", HOSTILE, ids=[value[:20].encode("unicode_escape").decode() for value in HOSTILE])
@pytest.mark.parametrize("name", [name for name in CHANNELS if name != "json"])
def test_a_hostile_label_is_only_data(name: str, value: str) -> None:
    told = write(name, hostile(value))
    shown = [told.title, told.body, *strings(told.native)]
    for one in shown:
        assert name in ("sms", "voice") or not PING.search(one), one  # nobody is pinged by a phone
        assert not re.search("[\x00-\x08\x0b-\x1f\u202a-\u202e]", one)
        assert "\nOwner: attacker" not in one
    within_limits(name, told.native)
    digest = write(name, changed(digest=(value,) * 40))
    assert name in ("sms", "voice") or not any(map(PING.search, [digest.title, digest.body, *strings(digest.native)]))
    within_limits(name, digest.native)


NO_MENTIONS = [
    "ana@example.com and bo@web-1.internal",
    "ssh deploy@db1",
    "https://social.example.com/@ana/1 says so",
    "image app@sha256:4f8a",
    "at 5 @ 3",
]


@pytest.mark.parametrize("value", NO_MENTIONS)
def test_what_mentions_nobody_can_be_copied_as_it_is(value: str) -> None:
    assert f"Owner: {value}" in lines(changed(owner=value, on_call=""))


FALSE_LINKS = [
    ("with the address behind it", "[Acknowledge](https://evil.example)"),
    ("a picture", "![Acknowledge](https://evil.example/x.png)"),
    ("with the address below", "[Acknowledge][1]"),
    ("the address below", "[1]: https://evil.example"),
    ("both", "[Acknowledge](https://evil.example) ]: https://evil.example"),
    ("as Slack and Rocket.Chat write it", "<https://evil.example|Acknowledge>"),
]


@pytest.mark.parametrize("value", [row[1] for row in FALSE_LINKS], ids=[row[0] for row in FALSE_LINKS])
@pytest.mark.parametrize("service", ["mmost", "zulip", "ryver", "rocket", "gchat"])
def test_no_words_of_a_label_hide_where_a_link_leads(service: str, value: str) -> None:
    for one in (hostile(value), changed(digest=(value,)), changed(summary=value, priority="")):
        told = render(one, f"{service}://host", 4000)
        for line in (told.title, *told.body.splitlines()):
            assert not re.search(r"\][(\[]|^\[[^\]]*\]:|<https?:", line), line


def within_limits(name: str, native: Any) -> None:
    if name == "slack":
        slack_takes(native)
    if name == "discord":
        discord_takes(native)
    if name == "teams":
        assert len(json.dumps(native).encode()) <= teams.CARD_LIMIT


def slack_takes(payload: Any) -> None:
    assert len(payload["text"]) <= 3000
    assert len(payload["blocks"]) <= 50
    for block in payload["blocks"]:
        if block["type"] == "header":
            assert 0 < len(block["text"]["text"]) <= 150
        for field in block.get("fields", []):
            assert 0 < len(field["text"]) <= 2000
        if block["type"] == "section" and "text" in block:
            assert 0 < len(block["text"]["text"]) <= 3000
        assert len(block.get("fields", [])) <= 10
        texts = [block.get("text", {}), *block.get("fields", []), *block.get("elements", [])]
        for one in (part["text"] for part in texts if part.get("type") == "mrkdwn"):
            for found in re.findall(r"&(?!amp;|lt;|gt;)", one):
                raise AssertionError(f"an escape cut in half: {found}")


def discord_takes(payload: Any) -> None:
    (embed,) = payload["embeds"]
    assert len(payload["content"]) <= 2000
    assert payload["allowed_mentions"] == {"parse": []}
    assert len(embed["fields"]) <= 25
    for field in embed["fields"]:
        assert 0 < len(field["name"]) <= 256
        assert 0 < len(field["value"]) <= 1024
    texts = [embed.get("description", ""), *(field["name"] + field["value"] for field in embed["fields"])]
    assert sum(map(len, texts)) <= 6000


@given(value=st.text(max_size=2000))
def test_any_text_fits_everywhere(value: str) -> None:
    told = hostile(value)
    for name in CHANNELS:
        shown = write(name, told, may_repeat=True)
        assert len(shown.title) <= TITLE_LIMIT
        assert "\n" not in shown.title
        assert len(shown.body) <= text.BODY_LIMIT or name in ("mail", "opsgenie")
        within_limits(name, shown.native)
    slack_takes(blocks.blocks(told))
    slack_takes({"text": "", **(blocks.details(told) or {"blocks": []})})
    assert len(write("telegram", told).body) <= telegram.LIMIT
    message_text = write("sms", told).body
    assert len(message_text) <= sms.LIMIT
    assert message_text.isascii()


class Tags(html.parser.HTMLParser):
    """The tags and attributes of a page, each opened and closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen |= {tag, *(name for name, _ in attrs)}
        if tag not in ("img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("name", ["mail", "telegram"])
@given(value=st.one_of(st.sampled_from(HOSTILE), st.text(alphabet="<>&\"'/=ab @!", max_size=300)))
def test_html_holds_only_our_own_tags(name: str, value: str) -> None:
    tags = Tags()
    tags.feed(write(name, hostile(value)).body)
    assert tags.open == []
    assert tags.seen <= {"div", "h2", "p", "table", "tr", "td", "b", "ol", "li", "a", "img", "br", "style", "href", "src", "alt", "width"}  # fmt: skip


def test_a_text_is_cut_at_whole_lines_and_keeps_the_useful_ones() -> None:
    for limit in range(40, 2500, 7):
        told = text.render(words(FULL), limit).body
        assert len(told) <= limit
        whole = set(text.render(words(FULL)).body.splitlines())
        if limit > 250:
            assert set(told.splitlines()) <= whole
            assert [line for line in told.splitlines() if line.startswith("First step: ")]


LINKED = "see https://example.com/a/long/path?with=query, and go on"


@pytest.mark.parametrize("limit", range(1, len(LINKED) + 2))
def test_a_link_is_never_cut_in_half(limit: int) -> None:
    cut = clip(LINKED, limit)
    assert len(cut) <= limit
    assert "://" not in cut or "https://example.com/a/long/path?with=query" in cut


CHOICES = [
    ("a Slack webhook", "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#alerts", 35000, "slack"),
    ("Teams", "workflows://prod.logic.azure.com/workflow/signature", 1000, "teams"),
    ("mail", "mailtos://a:b@example.com", 32768, "mail"),
    ("SMS by Twilio", "twilio://AC123:token@15551234567/15557654321", 160, "sms"),
    ("a call by Twilio", "twilio://AC123:token@15551234567/15557654321?method=call", 4000, "voice"),
    ("SMS by a service that we don't know", "clicksend://user:pass@15557654321", 160, "sms"),
    ("JSON", "jsons://localhost/x", 32768, "json"),
    ("something else", "rocket://user:pass@host/#room", 1000, "text"),
]


@pytest.mark.parametrize(("url", "limit", "chosen"), [row[1:] for row in CHOICES], ids=[row[0] for row in CHOICES])
def test_the_scheme_chooses_the_channel(url: str, limit: int, chosen: str) -> None:
    assert channel(url, limit) == chosen


def test_a_service_with_a_small_limit_is_told_within_it() -> None:
    assert len(render(FULL, "rocket://user:pass@host/#room", 840).body) <= 840


def test_the_chart_goes_along_while_it_fires_only() -> None:
    ended = changed(status="resolved", until=FULL.since + 60)
    for name in ("discord", "telegram", "mail", "ntfy", "json"):
        assert [one.name for one in write(name, FULL).attachments] == ["chart.png"]
        assert write(name, ended).attachments == ()


def test_a_chart_too_large_for_teams_is_left_out_of_the_card() -> None:
    card = write("teams", changed(chart=b"x" * 30_000)).native
    assert card is not None
    assert "data:image" not in json.dumps(card)
    assert "First step" in json.dumps(card)


def test_a_long_digest_is_cut_at_whole_lines_on_every_channel() -> None:
    digest = changed(
        chart=b"", digest=tuple(f"critical firing · #{number} · {'deadlock ' * 20}" for number in range(300))
    )
    for name in CHANNELS:
        shown = write(name, digest)
        within_limits(name, shown.native)
        assert "#0 " in shown.title + shown.body + str(shown.native) or name in ("sms", "voice")
    slack_takes(blocks.blocks(digest))


def test_a_short_message_needs_no_more_than_its_title() -> None:
    for name in CHANNELS:
        assert "subscription unpaid" in (write(name, message()).title + write(name, message()).body)


def test_html_is_escaped_once() -> None:
    assert html.escape("won't") in write("mail", FULL).body
    assert "&amp;#x27;" not in write("mail", FULL).body
