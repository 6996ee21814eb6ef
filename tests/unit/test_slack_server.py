"""The Slack that tests talk to is as strict as its documents, so that a test there can fail."""

import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

import aiohttp
import pytest

from tests.support import block_kit
from tests.support.slack import CHANNEL, TOKEN, Slack

PLAIN = {"type": "plain_text", "text": "x"}


def section(text: str = "x", **more: Any) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}, **more}


def button(**more: Any) -> dict[str, Any]:
    return {"type": "actions", "elements": [{"type": "button", "text": PLAIN, "action_id": "a", **more}]}


def header(length: int) -> dict[str, Any]:
    return {"type": "header", "text": {"type": "plain_text", "text": "x" * length}}


def fields(count: int, length: int = 1) -> dict[str, Any]:
    return {"type": "section", "fields": [{"type": "mrkdwn", "text": "x" * length}] * count}


ALLOWED: list[tuple[str, list[Any]]] = [
    ("as much as a header holds", [header(150)]),
    ("as much as a section holds", [section("x" * 3000)]),
    ("as many fields as a section holds", [fields(10)]),
    ("as much as a field holds", [fields(1, 2000)]),
    ("as many blocks as a message holds", [{"type": "divider"}] * 50),
    ("a button with all that it may have", [button(value="7", url="https://x.example", style="primary")]),
    ("a context", [{"type": "context", "elements": [{"type": "mrkdwn", "text": "x", "verbatim": True}]}]),
]
FORBIDDEN: list[tuple[str, Any]] = [
    ("a header that is too long", [header(151)]),
    ("an empty header", [header(0)]),
    ("a header with mark-up", [{"type": "header", "text": {"type": "mrkdwn", "text": "x"}}]),
    ("a section that is too long", [section("x" * 3001)]),
    ("an empty section", [section("")]),
    ("a section of nothing", [{"type": "section"}]),
    ("a field too many", [fields(11)]),
    ("a field that is too long", [fields(1, 2001)]),
    ("a block too many", [{"type": "divider"}] * 51),
    ("a block of no kind", [{"type": "table"}]),
    ("an unknown field", [section(colour="red")]),
    ("an unknown field of a text", [{"type": "section", "text": {"type": "mrkdwn", "text": "x", "emoji": True}}]),
    ("a button that says too much", [button(text={"type": "plain_text", "text": "x" * 76})]),
    ("an action id that is too long", [button(action_id="x" * 256)]),
    ("a value that is too long", [button(value="x" * 2001)]),
    ("an address that is too long", [button(url="https://x.example/" + "x" * 3000)]),
    ("an address that is none", [button(url="javascript:alert(1)")]),
    ("a style that is none", [button(style="red")]),
    ("no elements", [{"type": "actions", "elements": []}]),
    ("two buttons of one name", [{"type": "actions", "elements": button()["elements"] * 2}]),
    ("a block id twice", [section(block_id="a"), section(block_id="a")]),
    ("no list", {}),
]


@pytest.mark.parametrize("blocks", [row[1] for row in ALLOWED], ids=[row[0] for row in ALLOWED])
def test_what_slack_allows_is_allowed(blocks: Any) -> None:
    block_kit.check(blocks)


@pytest.mark.parametrize("blocks", [row[1] for row in FORBIDDEN], ids=[row[0] for row in FORBIDDEN])
def test_what_slack_forbids_is_refused(blocks: Any) -> None:
    with pytest.raises(block_kit.InvalidBlocks):
        block_kit.check(blocks)


def test_too_much_in_all_is_refused() -> None:
    with pytest.raises(block_kit.TooLong):
        block_kit.check([section("x" * 3000) for _ in range(5)])


def test_whoever_would_be_pinged_is_counted() -> None:
    said = (
        "<!channel> and <!here|here>",
        "<@U0123ABCD>, @everyone, @Here",
        "<!subteam^S1>",
        "&lt;!channel&gt; @hereby",
    )
    assert len(block_kit.mentions(*said)) == 6
    assert block_kit.mentions("<https://x.example/@channel|there>") == []


# --- the server


@pytest.fixture
async def workspace() -> AsyncIterator[Slack]:
    now = time.time()
    async with Slack(lambda: now).serving() as workspace:
        workspace.channels |= {"C0CLOSED1": [], "C0STRANGE": []}
        workspace.archived.add("C0CLOSED1")
        workspace.not_in.add("C0STRANGE")
        yield workspace


async def call(
    workspace: Slack, method: str, arguments: Mapping[str, Any], token: str = TOKEN
) -> tuple[int, dict[str, Any]]:
    headers = {"Content-Type": "application/json; charset=utf-8"} | (
        {"Authorization": f"Bearer {token}"} if token else {}
    )
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{workspace.api}/{method}", json=arguments, headers=headers) as response,
    ):
        return response.status, await response.json()


GOOD = {"channel": CHANNEL, "text": "hello"}
TAG = {"event_type": "a", "event_payload": {"key": "k"}}
POSTS: list[tuple[str, dict[str, Any], str]] = [
    ("an argument that is none", GOOD | {"colour": "red"}, "invalid_arguments"),
    ("no channel", {"text": "x"}, "invalid_arguments"),
    ("an unknown channel", GOOD | {"channel": "C0NOWHERE"}, "channel_not_found"),
    ("a channel's name", GOOD | {"channel": "#general"}, "channel_not_found"),
    ("a channel that it is not in", GOOD | {"channel": "C0STRANGE"}, "not_in_channel"),
    ("a channel that is archived", GOOD | {"channel": "C0CLOSED1"}, "is_archived"),
    ("no text", {"channel": CHANNEL, "blocks": [section()]}, "no_text"),
    ("too much text", GOOD | {"text": "x" * 40_001}, "msg_too_long"),
    ("blocks that are none", GOOD | {"blocks": [{"type": "section"}]}, "invalid_blocks"),
    ("too many blocks in all", GOOD | {"blocks": [section("x" * 3000) for _ in range(5)]}, "msg_blocks_too_long"),
    ("a thread that is none", GOOD | {"thread_ts": "1.000001"}, "thread_not_found"),
    ("a broadcast of no thread", GOOD | {"reply_broadcast": True}, "invalid_arguments"),
    ("metadata of no shape", GOOD | {"metadata": {"key": "k"}}, "invalid_metadata_format"),
    ("metadata of no kind", GOOD | {"metadata": TAG | {"event_type": "a b"}}, "invalid_metadata_schema"),
    ("too much metadata", GOOD | {"metadata": TAG | {"event_payload": {"k": "x" * 20_000}}}, "metadata_too_large"),
]


@pytest.mark.parametrize(("arguments", "error"), [row[1:] for row in POSTS], ids=[row[0] for row in POSTS])
async def test_a_post_that_slack_refuses_is_refused(workspace: Slack, arguments: dict[str, Any], error: str) -> None:
    status, answer = await call(workspace, "chat.postMessage", arguments)
    assert (status, answer["ok"], answer["error"]) == (200, False, error)
    assert workspace.refused == [("chat.postMessage", error)]
    assert not any(workspace.channels.values())


async def test_the_token_and_its_scopes_are_asked_for(workspace: Slack) -> None:
    assert (await call(workspace, "auth.test", {}))[1]["ok"]
    assert (await call(workspace, "auth.test", {}, token="xoxb-other"))[1]["error"] == "invalid_auth"
    assert (await call(workspace, "auth.test", {}, token=""))[1]["error"] == "not_authed"
    workspace.scopes.clear()
    assert (await call(workspace, "chat.postMessage", GOOD))[1]["needed"] == "chat:write"


async def test_a_second_post_within_the_second_is_too_fast(workspace: Slack) -> None:
    assert (await call(workspace, "chat.postMessage", GOOD))[0] == 200
    assert (await call(workspace, "chat.postMessage", GOOD))[0] == 429
    now = workspace.clock() + 1.0
    workspace.clock = lambda: now
    assert (await call(workspace, "chat.postMessage", GOOD))[0] == 200
    assert (workspace.limited, len(workspace.roots())) == (1, 2)


async def test_too_many_edits_a_minute_are_too_fast(workspace: Slack) -> None:
    _, answer = await call(workspace, "chat.postMessage", GOOD)
    edit = GOOD | {"ts": answer["ts"], "parse": "none"}
    assert [(await call(workspace, "chat.update", edit))[0] for _ in range(51)] == [200] * 50 + [429]


async def test_an_edit_is_of_what_is_there_and_keeps_the_metadata(workspace: Slack) -> None:
    _, answer = await call(workspace, "chat.postMessage", GOOD | {"metadata": TAG})
    edit = GOOD | {"ts": answer["ts"], "text": "new", "parse": "none"}
    assert (await call(workspace, "chat.update", edit | {"ts": "1.000001"}))[1]["error"] == "message_not_found"
    assert (await call(workspace, "chat.update", edit | {"text": "x" * 4001}))[1]["error"] == "msg_too_long"
    assert not (await call(workspace, "chat.update", GOOD | {"ts": answer["ts"]}))[1]["ok"]
    assert (await call(workspace, "chat.update", edit))[1]["ok"]
    (root,) = workspace.roots()
    assert (root.text, root.edits, root.metadata) == ("new", 1, TAG)


async def test_metadata_is_given_only_to_who_asks_for_it(workspace: Slack) -> None:
    await call(workspace, "chat.postMessage", GOOD | {"metadata": TAG})
    _, without = await call(workspace, "conversations.history", {"channel": CHANNEL})
    _, with_it = await call(workspace, "conversations.history", {"channel": CHANNEL, "include_all_metadata": "true"})
    assert "metadata" not in without["messages"][0]
    assert with_it["messages"][0]["metadata"] == TAG
