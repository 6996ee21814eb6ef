"""An incident in a Slack channel, on a server that is as strict as Slack: one message, edited, with its thread."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from receiver.delivery.outbox import Receipt
from receiver.message import Message
from receiver.notifiers import slack
from receiver.notifiers.apprise import AppriseTarget, install_recorder, url_problem
from receiver.notifiers.slack_api import PAGE_SIZE, PAGES, Pace
from tests.support.messages import PLAIN, message
from tests.support.slack import CHANNEL, TOKEN, Fault, Said, Slack, broken, done, done_but, limited, refusing

TIMEOUT = 20.0
ENDED = {"status": "resolved", "reason": "resolved", "until": PLAIN.since + 2280}


@dataclass
class Clock:
    """Seconds since the epoch; it moves only when somebody sleeps."""

    at: float = PLAIN.since + 60
    slept: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        return self.at

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.at += seconds


class Teller:
    """A target that tells of one incident, and keeps where its message stands as the outbox does."""

    def __init__(self, workspace: Slack, clock: Clock, **parameters: str) -> None:
        self.workspace, self.clock, self.url = workspace, clock, workspace.url(**parameters)
        self.pace = Pace(1.0, clock, clock.sleep)
        self.place = ""

    async def tell(self, told: Message, may_repeat: bool = False) -> Receipt:
        telling = slack.telling(self.url, told, may_repeat, self.place, TIMEOUT, self.pace)
        receipt = await asyncio.to_thread(telling)
        self.place = receipt.place or self.place
        self.clock.sleep(1.0)
        return receipt


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def workspace(clock: Clock) -> AsyncIterator[Slack]:
    async with Slack(clock).serving() as workspace:
        yield workspace


@pytest.fixture
def teller(workspace: Slack, clock: Clock) -> Teller:
    return Teller(workspace, clock)


@pytest.fixture(autouse=True)
def nothing_is_wrong_in_the_end(workspace: Slack) -> Iterator[None]:
    yield
    assert workspace.mentions == []
    assert workspace.limited == 0


def firing(**fields: Any) -> Message:
    """One with something for the thread."""
    return message(**{"first_steps": ("Pay", "Call"), "priority": "P1", "rank": "tier 1"} | fields)


def text(said: Said) -> str:
    return f"{said.text} {said.blocks}"


# --- the life of an incident


async def test_an_incident_is_one_message_with_a_thread(workspace: Slack, teller: Teller) -> None:
    receipt = await teller.tell(firing())
    (root,) = workspace.roots()
    assert receipt == Receipt("sent", "posted", 200, place=f"{CHANNEL}:{root.ts}")
    assert "[P1 FIRING] mailgun: subscription unpaid" in root.text
    assert root.metadata == {"event_type": "tocsin_incident", "event_payload": {"key": PLAIN.key, "revision": 1}}
    (details,) = workspace.thread(root)
    assert "Call" in text(details)
    assert not details.broadcast
    assert workspace.refused == []


async def test_what_has_nothing_to_add_begins_no_thread(workspace: Slack, teller: Teller) -> None:
    await teller.tell(message())
    assert len(workspace.channels[CHANNEL]) == 1


LATER: list[tuple[str, dict[str, Any], str, bool]] = [
    ("acknowledged", {"reason": "acknowledged", "acknowledged_by": "ana"}, "Acknowledged by ana", False),
    ("worse", {"reason": "severity_rose", "priority": "P0"}, "The severity rose: [P0 FIRING]", True),
    ("the cause is known", {"reason": "cause_found"}, "The probable cause was found", False),
    ("back again", {"reason": "reopened", "reopened": 1}, "It fires again", True),
    ("escalated", {"reason": "escalated"}, "Nobody has acknowledged it", True),
    ("a reason of tomorrow", {"reason": "something_else"}, "something_else: [P1 FIRING]", True),
    ("over", ENDED, "[RESOLVED] mailgun", True),
]


@pytest.mark.parametrize(("fields", "says", "aloud"), [row[1:] for row in LATER], ids=[row[0] for row in LATER])
async def test_what_happens_later_edits_the_message_and_stands_in_the_thread(
    workspace: Slack, teller: Teller, fields: dict[str, Any], says: str, aloud: bool
) -> None:
    await teller.tell(firing())
    receipt = await teller.tell(firing(revision=2, **fields))
    (root,) = workspace.roots()
    assert receipt == Receipt("sent", "edited", 200, place=f"{CHANNEL}:{root.ts}")
    assert root.edits == 1
    assert root.metadata is not None
    assert root.metadata["event_payload"] == {"key": PLAIN.key, "revision": 2}
    _, reply = workspace.thread(root)
    assert reply.text.startswith(says)
    assert reply.broadcast is aloud


async def test_the_channel_is_not_told_of_the_end_where_the_url_says_so(workspace: Slack, clock: Clock) -> None:
    teller = Teller(workspace, clock, broadcast="no")
    await teller.tell(firing())
    await teller.tell(firing(revision=2, **ENDED))
    (root,) = workspace.roots()
    assert "RESOLVED" in root.text
    assert [reply.broadcast for reply in workspace.thread(root)] == [False, False]


async def test_the_end_of_what_was_never_told_is_posted(workspace: Slack, teller: Teller) -> None:
    await teller.tell(firing(revision=2, untold=True, **ENDED))
    (root,) = workspace.roots()
    assert "hear of this for the first time" in text(root)


async def test_a_message_that_somebody_deleted_is_posted_anew(workspace: Slack, teller: Teller) -> None:
    await teller.tell(message())
    workspace.delete(workspace.roots()[0])
    receipt = await teller.tell(message(revision=2, reason="severity_rose"))
    (root,) = workspace.roots()
    assert receipt == Receipt("sent", "posted", 200, place=f"{CHANNEL}:{root.ts}")


async def test_a_place_in_another_channel_is_not_looked_for_in_this(workspace: Slack, teller: Teller) -> None:
    teller.place = "C0OTHER:1795211652.000100"
    assert (await teller.tell(message())).place == f"{CHANNEL}:{workspace.roots()[0].ts}"
    assert "chat.update" not in workspace.calls


async def test_what_may_not_be_edited_is_told_aloud_in_its_thread(workspace: Slack, teller: Teller) -> None:
    await teller.tell(message())
    workspace.faults["chat.update"].append(refusing("edit_window_closed"))
    receipt = await teller.tell(message(revision=2, reason="acknowledged", acknowledged_by="bo"))
    assert receipt.result == "sent"
    assert receipt.detail.startswith("not edited (edit_window_closed")
    (reply,) = workspace.thread(workspace.roots()[0])
    assert reply.broadcast


async def test_what_is_written_is_a_second_apart(workspace: Slack, clock: Clock) -> None:
    teller = Teller(workspace, clock)
    teller.clock.slept.clear()
    telling = slack.telling(teller.url, firing(), False, "", TIMEOUT, teller.pace)
    await asyncio.to_thread(telling)
    assert clock.slept == [pytest.approx(1.0)]


async def test_a_message_of_several_incidents_is_nobodys_place(workspace: Slack, clock: Clock) -> None:
    teller = Teller(workspace, clock, buttons="yes")
    told = firing(incident=0, revision=12, reason="digest", incident_url="http://receiver/v1/incidents")
    assert await teller.tell(told) == Receipt("sent", "posted", 200)
    assert "conversations.history" not in workspace.calls
    assert not {"Acknowledge", "Silence 2 h"} & set(buttons(workspace.roots()[0]))
    assert (await teller.tell(told, may_repeat=True)).detail == "found again, and edited"


# --- buttons


def buttons(said: Said) -> dict[str, str]:
    found = [one for block in said.blocks if block["type"] == "actions" for one in block["elements"]]
    return {one["text"]["text"]: one.get("url") or f"{one['action_id']} {one['value']}" for one in found}


async def test_buttons_open_pages_unless_somebody_takes_their_presses(workspace: Slack, clock: Clock) -> None:
    told = message(acknowledge_url="https://tocsin.example/a/x", silence_url="", incident_url="", query_url="")
    await Teller(workspace, clock).tell(told)
    await Teller(workspace, clock, buttons="yes").tell(told)
    first, second = workspace.roots()
    assert buttons(first) == {"Acknowledge": "https://tocsin.example/a/x"}
    assert buttons(second) == {"Acknowledge": "acknowledge 7", "Silence 2 h": "silence 7"}


async def test_a_message_without_a_page_has_no_row_of_buttons(workspace: Slack, teller: Teller) -> None:
    await teller.tell(message(incident_url=""))
    assert buttons(workspace.roots()[0]) == {}
    assert workspace.roots()[0].blocks


# --- what was lost is found again


async def test_a_message_whose_receipt_was_lost_is_found_and_edited(workspace: Slack, teller: Teller) -> None:
    await teller.tell(firing())
    teller.place = ""
    receipt = await teller.tell(firing(), may_repeat=True)
    (root,) = workspace.roots()
    assert receipt == Receipt("sent", "found again, and edited", 200, place=f"{CHANNEL}:{root.ts}")
    assert len(workspace.thread(root)) == 1
    assert "repeat" not in text(root)


async def test_a_thread_that_was_never_begun_is_begun(workspace: Slack, teller: Teller) -> None:
    await teller.tell(firing())
    workspace.delete(workspace.thread(workspace.roots()[0])[0])
    await teller.tell(firing(), may_repeat=True)
    assert len(workspace.thread(workspace.roots()[0])) == 1


async def test_an_end_finds_the_message_though_nobody_kept_where_it_stands(workspace: Slack, teller: Teller) -> None:
    # its own attempt is the first: what was lost is that of the firing
    await teller.tell(firing())
    teller.place = ""
    await teller.tell(firing(revision=2, untold=True, **ENDED))
    (root,) = workspace.roots()
    assert "RESOLVED" in root.text
    assert "RESOLVED" in workspace.thread(root)[-1].text


async def test_a_broadcast_reply_is_not_taken_for_the_message(workspace: Slack, teller: Teller) -> None:
    await teller.tell(message())
    await teller.tell(message(revision=2, **ENDED))
    teller.place = ""
    await teller.tell(message(revision=2, **ENDED), may_repeat=True)
    (root,) = workspace.roots()
    assert root.edits == 2
    assert len(workspace.thread(root)) == 1


async def test_another_incidents_message_is_left_alone(workspace: Slack, clock: Clock) -> None:
    await Teller(workspace, clock).tell(message(incident=8, incident_url="http://receiver/v1/incidents/8"))
    await Teller(workspace, clock).tell(message(), may_repeat=True)
    assert len(workspace.roots()) == 2


def talk(workspace: Slack, count: int) -> None:
    """So much of other people's."""
    at = float(workspace.channels[CHANNEL][-1].ts)
    workspace.channels[CHANNEL] += [Said(f"{at + n / 1000:.6f}", "hello", [], None) for n in range(1, count + 1)]


async def test_it_is_found_some_pages_back(workspace: Slack, teller: Teller) -> None:
    await teller.tell(message())
    teller.place = ""
    talk(workspace, PAGES * PAGE_SIZE - 1)
    assert (await teller.tell(message(), may_repeat=True)).detail == "found again, and edited"
    assert workspace.calls.count("conversations.history") == PAGES


async def test_it_is_not_looked_for_without_end(workspace: Slack, teller: Teller) -> None:
    await teller.tell(message())
    teller.place = ""
    talk(workspace, 2 * PAGES * PAGE_SIZE)
    receipt = await teller.tell(message(), may_repeat=True)
    assert receipt.detail == "posted"
    assert workspace.calls.count("conversations.history") == PAGES
    assert "(may be a repeat)" in workspace.channels[CHANNEL][-1].text


async def test_without_leave_to_read_the_channel_it_is_told_twice_and_marked(workspace: Slack, teller: Teller) -> None:
    workspace.scopes.remove("channels:history")
    await teller.tell(message())
    teller.place = ""
    assert (await teller.tell(message(), may_repeat=True)).result == "sent"
    assert ["(may be a repeat)" in root.text for root in workspace.roots()] == [False, True]


# --- what goes wrong


REFUSED: list[tuple[str, Fault, str, int, float | None, str]] = [
    ("a wrong token", refusing("invalid_auth"), "failed", 401, None, "invalid_auth: the token is wrong"),
    ("not invited", refusing("not_in_channel"), "failed", 403, None, "not_in_channel: the app is not in the channel"),
    ("no channel", refusing("channel_not_found"), "failed", 404, None, "channel_not_found: there is no such channel"),
    ("archived", refusing("is_archived"), "failed", 410, None, "is_archived: the channel is archived"),
    ("too long", refusing("msg_too_long"), "failed", 413, None, "msg_too_long: the text is too long"),
    ("a scope", refusing("missing_scope", needed="chat:write"), "failed", 403, None, "missing_scope: the app lacks a scope (chat:write)"),
    ("an error of tomorrow", refusing("no_such_thing"), "failed", 400, None, "no_such_thing"),
    ("an error that holds the token", refusing(f"oops {TOKEN}"), "failed", 400, None, "oops ***"),
    ("too fast", limited(16.2), "failed", 429, 17.0, "ratelimited: too many messages at once"),
    ("too fast, in another way", refusing("ratelimited"), "failed", 429, 10.0, "ratelimited"),
    ("it is down", broken(503), "failed", 503, None, "HTTP 503, and no answer of Slack's"),
    ("a gateway gave up", broken(504), "unknown", 504, None, "HTTP 504"),
    ("a proxy's page", broken(200), "failed", 502, None, "HTTP 200"),
    ("an error within", refusing("internal_error"), "unknown", 500, None, "internal_error: an error within Slack"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("fault", "result", "status", "retry_after", "detail"),
    [row[1:] for row in REFUSED],
    ids=[row[0] for row in REFUSED],
)
async def test_what_slack_refuses_is_told_in_words(
    workspace: Slack, teller: Teller, fault: Fault, result: str, status: int, retry_after: float | None, detail: str
) -> None:
    workspace.faults["chat.postMessage"].append(fault)
    receipt = await teller.tell(message())
    assert (receipt.result, receipt.http_status, receipt.retry_after) == (result, status, retry_after)
    assert receipt.detail.startswith(detail)
    assert receipt.place == ""
    assert TOKEN not in str(receipt)


LOST: list[tuple[str, Fault]] = [
    ("a gateway gave up on what was done", broken(504, does_it=True)),
    ("an error within, and it was done", done_but("internal_error")),
    ("a fatal error, and it was done", done_but("fatal_error")),
]


@pytest.mark.parametrize("fault", [row[1] for row in LOST], ids=[row[0] for row in LOST])
async def test_what_may_have_been_posted_is_not_posted_twice(workspace: Slack, teller: Teller, fault: Fault) -> None:
    workspace.faults["chat.postMessage"].append(fault)
    assert (await teller.tell(firing())).result == "unknown"
    assert (await teller.tell(firing(), may_repeat=True)).result == "sent"
    (root,) = workspace.roots()
    assert len(workspace.thread(root)) == 1


CUT_OFF: list[tuple[str, Fault, int]] = [
    ("too fast", limited(1), 429),
    ("down", broken(503), 503),
    ("done, and not told so", broken(504, does_it=True), 504),
]


@pytest.mark.parametrize(("fault", "status"), [row[1:] for row in CUT_OFF], ids=[row[0] for row in CUT_OFF])
async def test_a_thread_that_fails_is_taken_up_where_the_message_stands(
    workspace: Slack, teller: Teller, clock: Clock, fault: Fault, status: int
) -> None:
    workspace.faults["chat.postMessage"] += [done, fault]
    receipt = await teller.tell(firing())
    (root,) = workspace.roots()
    assert (receipt.result, receipt.http_status, receipt.place) == ("unknown", status, f"{CHANNEL}:{root.ts}")
    clock.sleep(2)
    assert (await teller.tell(firing(), may_repeat=True)).result == "sent"
    assert workspace.roots() == [root]
    assert len(workspace.thread(root)) == 1


async def test_a_thread_that_is_refused_does_not_hold_the_message_up(workspace: Slack, teller: Teller) -> None:
    workspace.faults["chat.postMessage"] += [done, refusing("restricted_action_thread_locked")]
    receipt = await teller.tell(firing())
    assert receipt.result == "sent"
    assert receipt.detail == "posted; its thread was refused: restricted_action_thread_locked"


async def test_what_slack_can_not_show_is_told_as_text(workspace: Slack, teller: Teller) -> None:
    workspace.faults["chat.postMessage"].append(refusing("invalid_blocks"))
    clock = teller.clock
    assert (await teller.tell(message())).result == "sent"
    assert workspace.roots()[0].blocks == []
    clock.sleep(1)
    workspace.faults["chat.update"].append(refusing("msg_blocks_too_long"))
    assert (await teller.tell(message(revision=2, **ENDED))).detail == "edited"
    assert "RESOLVED" in workspace.roots()[0].text


async def test_nobody_there_was_surely_not_told() -> None:
    url = f"slackbot://{TOKEN}/{CHANNEL}?api=http://127.0.0.1:1/api"
    receipt = slack.telling(url, message(), False, "", TIMEOUT, Pace(0))()
    assert receipt == Receipt("failed", "no answer (ConnectionError)")


async def test_a_url_that_was_spoilt_meanwhile_is_refused() -> None:
    receipt = slack.telling("slackbot://x/y", message(), False, "", TIMEOUT, Pace(0))()
    assert receipt.result == "failed"
    assert "xoxb" in receipt.detail


# --- by way of the target


async def test_a_target_hands_over_the_message_and_its_place(workspace: Slack, clock: Clock) -> None:
    install_recorder()
    target = AppriseTarget(workspace.url, TIMEOUT)
    first = await target.send(message(), may_repeat=False)
    clock.sleep(1)
    second = await target.send(message(revision=2, **ENDED), may_repeat=False, place=first.place)
    (root,) = workspace.roots()
    assert (second.result, second.place) == ("sent", f"{CHANNEL}:{root.ts}")
    assert "RESOLVED" in root.text


async def test_a_slack_that_never_answers_is_cut_off(workspace: Slack) -> None:
    install_recorder()
    workspace.hold("chat.postMessage")
    receipt = await AppriseTarget(workspace.url, 0.3).send(message(), may_repeat=False)
    assert receipt.result == "unknown"
    assert len(workspace.roots()) == 1


PROBLEMS: list[tuple[str, str, str]] = [
    ("a name for the channel", f"slackbot://{TOKEN}/general", "not with its name"),
    ("no token", "slackbot://C0123ABCD", "begins with the app's token"),
    ("a token of another kind", "slackbot://xapp-1-a-2-b/C0123ABCD", "begins with the app's token"),
    ("a misspelt parameter", f"slackbot://{TOKEN}/{CHANNEL}?brodcast=no", "did you mean 'broadcast'?"),
    ("a switch that is neither", f"slackbot://{TOKEN}/{CHANNEL}?buttons=maybe", "buttons is yes or no"),
    ("an address that is none", f"slackbot://{TOKEN}/{CHANNEL}?api=slack.com", "api is an http"),
]


@pytest.mark.parametrize(("url", "problem"), [row[1:] for row in PROBLEMS], ids=[row[0] for row in PROBLEMS])
def test_a_url_that_can_not_be_used_is_refused_without_being_shown(url: str, problem: str) -> None:
    told = url_problem(url)
    assert told is not None
    assert problem in told
    assert TOKEN not in told


def test_a_good_url_has_no_problem() -> None:
    assert url_problem(f"slackbot://{TOKEN}/{CHANNEL}?broadcast=no&buttons=yes") is None
