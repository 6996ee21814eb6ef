"""The message as text: what a responder reads, and that nothing in a label can forge, ping or flood."""

import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from receiver.message import Message
from receiver.notifiers.render import TITLE_LIMIT, render

FULL = Message(
    incident=7,
    revision=1,
    status="firing",
    reason="opened",
    severity="critical",
    alert="ThirdPartyPaymentRequired",
    summary="mailgun: subscription unpaid",
    description="Retrying will not help.",
    service="signup-mails",
    environment="prod",
    owner="finance",
    since=1795211652.853,
    firing_count=2,
    measured="12 probes in a row answered as unpaid",
    normal="0",
    impact="sign-up, invoices; 120 EUR an hour",
    pays="finance, at https://app.mailgun.com/billing",
    first_steps=("Open the vendor's billing page.", "Pay."),
    fallback="Call the vendor.",
    runbook_url="http://receiver/runbooks/X",
    query_url="http://prometheus/graph?g0.expr=up",
    incident_url="http://receiver/v1/incidents/7",
    absent=("value: no answer within 3 s",),
)


def test_a_full_message() -> None:
    title, body = render(FULL, may_repeat=False)
    assert title == "[CRITICAL FIRING] mailgun: subscription unpaid · signup-mails prod · 21:54 UTC"
    assert body.splitlines() == [
        "Retrying will not help.",
        "Impact: sign-up, invoices; 120 EUR an hour",
        "Since: 2026-11-20 21:54:12 UTC",
        "Measured now: 12 probes in a row answered as unpaid (normal: 0)",
        "Owner: finance",
        "Alerts: 2 firing in this incident",
        "Pays: finance, at https://app.mailgun.com/billing",
        "First steps:",
        "  1. Open the vendor's billing page.",
        "  2. Pay.",
        "If that fails: Call the vendor.",
        "Runbook: http://receiver/runbooks/X",
        "Query: http://prometheus/graph?g0.expr=up",
        "Incident: http://receiver/v1/incidents/7",
        "Not known: value: no answer within 3 s",
    ]


def changed(**fields: object) -> Message:
    return Message(**{**{name: getattr(FULL, name) for name in FULL.__struct_fields__}, **fields})


def test_a_resolve_says_how_long_it_was_and_asks_for_nothing() -> None:
    title, body = render(changed(status="resolved", until=FULL.since + 192, firing_count=0), may_repeat=False)
    assert title.startswith("[RESOLVED] mailgun: subscription unpaid")
    assert "Since: 2026-11-20 21:54:12 UTC, for 3m12s" in body
    assert "First steps" not in body
    assert "Retrying" not in body
    assert "Impact" not in body
    assert "Pays" not in body


def test_who_pays_is_not_said_twice() -> None:
    _, body = render(changed(pays="finance"), may_repeat=False)
    assert "Owner: finance" in body
    assert "Pays:" not in body


def test_a_possible_repeat_says_so_even_when_the_title_is_cut() -> None:
    title, _ = render(changed(summary="x" * 500), may_repeat=True)
    assert title.endswith("… (may be a repeat)")
    assert len(title) == TITLE_LIMIT


HOSTILE = [
    ("a channel mention", "<!channel> look", "<!channel"),
    ("a user mention", "<@U123> look", "<@U"),
    ("everyone", "@everyone look", "@everyone"),
    ("here, in capitals", "@HERE look", "@HERE"),
    ("a forged line", "x\nOwner: attacker", "\nOwner: attacker"),
    ("a carriage return", "x\rOwner: attacker", "\r"),
    ("an escape sequence", "x\x1b[2Jy", "\x1b"),
    ("text that runs backwards", "x\u202egnp.exe", "\u202e"),
]


@pytest.mark.parametrize(("value", "forbidden"), [row[1:] for row in HOSTILE], ids=[row[0] for row in HOSTILE])
def test_a_hostile_label_is_only_data(value: str, forbidden: str) -> None:
    message = changed(
        summary=value,
        description=value,
        service=value,
        owner=value,
        impact=value,
        pays=value,
        measured=value,
        fallback=value,
        first_steps=(value,),
    )
    title, body = render(message, may_repeat=False)
    assert forbidden not in title
    assert forbidden not in body


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "file:///etc/passwd", "http://", "nonsense", "http://[", "http://x/" + "q" * 300]
)
def test_a_link_that_is_none_or_too_long_is_left_out(url: str) -> None:
    _, body = render(changed(runbook_url=url, query_url=url), may_repeat=False)
    assert "Runbook:" not in body
    assert "Query:" not in body


@given(value=st.text(max_size=2000))
def test_any_text_gives_a_short_title_on_one_line(value: str) -> None:
    title, body = render(changed(summary=value, description=value, first_steps=(value,) * 4), may_repeat=True)
    assert len(title) <= TITLE_LIMIT
    assert "\n" not in title
    assert len(body) < 8000
    assert not re.search(r"<!|<@|@(here|channel|everyone)\b", title + body, re.IGNORECASE)


LINES = [
    ("its priority", {"priority": "P1", "rank": "critical, shop is tier 1"}, "Priority: P1 (critical, shop is tier 1)"),
    ("what probably causes it", {"cause": "Down of db, which web needs"}, "Probable cause: Down of db, which web needs"),
    ("how far it goes", {"spread": "57 alerts of 4 services: a 20, b 37"}, "Alerts: 57 alerts of 4 services: a 20, b 37"),
    ("that it came back", {"reopened": 2}, "Reopened: 2 times"),
    ("that it is told in another's place", {"stands_in": "chat refused it: HTTP 404"}, "You are told because chat refused it: HTTP 404"),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "line"), [row[1:] for row in LINES], ids=[row[0] for row in LINES])
def test_a_message_says(fields: dict[str, object], line: str) -> None:
    _, body = render(msgspec.structs.replace(FULL, **fields), may_repeat=False)
    assert line in body.splitlines()


def test_an_end_in_doubt_is_no_resolve() -> None:
    doubted = msgspec.structs.replace(FULL, status="resolved", reason="source_lost", until=FULL.since + 60)
    title, body = render(doubted, may_repeat=False)
    assert title.startswith("[SOURCE LOST] mailgun")
    assert "Nobody knows whether it has ended" in body
