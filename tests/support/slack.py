"""Slack's Web API as a strict server on loopback: it keeps what it is told, and refuses what Slack's documents forbid."""

import asyncio
import json
import time
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.support import block_kit

TOKEN = "xoxb-4711-Canary-0123456789AbC"
CHANNEL = "C0123ABCD"
TEXT_LIMIT, EDIT_TEXT_LIMIT = 40_000, 4_000
METADATA_LIMIT = 16_000
APART_SECONDS = 1.0
"""One message a second and channel."""
TIERS: Mapping[str, int] = {
    "chat.update": 50,
    "conversations.history": 50,
    "conversations.replies": 50,
    "auth.test": 100,
}
"""Calls a minute, by Slack's tiers."""

Answer = dict[str, Any]
Do = Callable[[], Answer]
Fault = Callable[[Do], Awaitable[web.StreamResponse]]
"""Given what would be done and answered, does what a bad day makes of it."""


class Refusal(Exception):
    """An answer that is not ok. `more` stands beside the error."""

    def __init__(self, error: str, **more: Any) -> None:
        super().__init__(error)
        self.error, self.more = error, more


@dataclass
class Said:
    """A message in a channel. `edits` counts how often it was changed, `said` holds all that it ever said."""

    ts: str
    text: str
    blocks: list[Any]
    metadata: Mapping[str, Any] | None
    thread_ts: str = ""
    broadcast: bool = False
    edits: int = 0
    said: list[str] = field(default_factory=list)

    def shown(self, with_metadata: bool) -> dict[str, Any]:
        """As `conversations.history` gives it."""
        found: dict[str, Any] = {"type": "message", "ts": self.ts, "text": self.text, "blocks": self.blocks}
        found |= {"thread_ts": self.thread_ts} if self.thread_ts else {}
        found |= {"subtype": "thread_broadcast"} if self.broadcast else {}
        found |= {"metadata": self.metadata} if with_metadata and self.metadata else {}
        return found


ARGUMENTS: Mapping[str, tuple[set[str], set[str]]] = {
    "chat.postMessage": (
        {"channel"},
        {
            *(
                "text",
                "blocks",
                "attachments",
                "metadata",
                "thread_ts",
                "reply_broadcast",
                "unfurl_links",
                "unfurl_media",
            ),
            *("parse", "link_names", "mrkdwn", "markdown_text", "icon_emoji", "icon_url", "username", "as_user"),
        },
    ),
    "chat.update": (
        {"channel", "ts"},
        {
            *("text", "blocks", "attachments", "metadata", "parse", "link_names", "reply_broadcast"),
            *("file_ids", "as_user", "markdown_text", "unfurled_attachments"),
        },
    ),
    "conversations.history": (
        {"channel"},
        {"cursor", "include_all_metadata", "inclusive", "latest", "limit", "oldest"},
    ),
    "conversations.replies": (
        {"channel", "ts"},
        {"cursor", "include_all_metadata", "inclusive", "latest", "limit", "oldest"},
    ),
    "auth.test": (set(), set()),
}
"""By method: the arguments that must be given, and those that may."""
FLAGS = {"reply_broadcast", "unfurl_links", "unfurl_media", "link_names", "mrkdwn", "as_user"}


class Slack:
    """One workspace. `channels` holds what was said, the oldest first.

    `clock`: seconds since the epoch, by which messages are named and limits are kept. `faults`: by method, what happens
    to its next calls. `scopes`: what the app may do.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.clock = clock
        self.channels: dict[str, list[Said]] = {CHANNEL: []}
        self.archived: set[str] = set()
        self.not_in: set[str] = set()
        self.scopes = {"chat:write", "channels:history"}
        self.faults: dict[str, deque[Fault]] = defaultdict(deque)
        self.refused: list[tuple[str, str]] = []
        """(method, error), in order; what was too fast not among them."""
        self.limited = 0
        self.mentions: list[str] = []
        self.calls: list[str] = []
        self.holding = asyncio.Event()
        """Set once somebody waits for an answer that `hold` keeps back."""
        self.api = ""
        self._over = asyncio.Event()
        self._posted_at: dict[str, float] = {}
        self._called_at: dict[str, deque[float]] = defaultdict(deque)
        self._last_ts = 0.0

    def url(self, channel: str = CHANNEL, **parameters: str) -> str:
        """For Apprise."""
        query = "&".join(f"{name}={value}" for name, value in {"api": self.api, **parameters}.items())
        return f"slackbot://{TOKEN}/{channel}?{query}"

    def roots(self, channel: str = CHANNEL) -> list[Said]:
        """What stands in the channel by itself."""
        return [said for said in self.channels[channel] if not said.thread_ts]

    def thread(self, root: Said, channel: str = CHANNEL) -> list[Said]:
        """The replies to a message."""
        return [said for said in self.channels[channel] if said.thread_ts == root.ts]

    def delete(self, said: Said, channel: str = CHANNEL) -> None:
        """As a person does."""
        self.channels[channel].remove(said)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["Slack"]:
        """Listens while the block runs; `api` is its address."""
        app = web.Application(client_max_size=16 * 1024**2)
        app.add_routes([web.route("*", "/api/{method}", self._serve)])
        async with TestServer(app) as server:
            self.api = str(server.make_url("/api"))
            try:
                yield self
            finally:
                self._over.set()

    # --- one call

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        method = request.match_info["method"]
        self.calls.append(method)
        arguments = await self._arguments(request)
        authorization = request.headers.get("Authorization", "")

        def do() -> Answer:
            try:
                return {"ok": True, **self._do(method, authorization, arguments)}
            except Refusal as refusal:
                self.refused.append((method, refusal.error))
                return {"ok": False, "error": refusal.error, **refusal.more}

        if self.faults[method]:
            return await self.faults[method].popleft()(do)
        wait = self._wait(method, arguments)
        if wait > 0:
            self.limited += 1
            return await limited(wait)(do)
        return web.json_response(do())

    async def _arguments(self, request: web.Request) -> Any:
        if request.method == "GET":
            return dict(request.query)
        if request.content_type != "application/json" or request.charset != "utf-8":
            return None
        try:
            body = await request.text()
            body.encode()
            return json.loads(body)
        except ValueError:
            return None

    def _wait(self, method: str, arguments: Any) -> float:
        """For how many seconds the caller is too fast."""
        now = self.clock()
        if method == "chat.postMessage" and isinstance(arguments, dict):
            channel = str(arguments.get("channel"))
            since = now - self._posted_at.get(channel, float("-inf"))
            if 0 <= since < APART_SECONDS:
                return APART_SECONDS - since
            self._posted_at[channel] = now
        called = self._called_at[method]
        while called and called[0] <= now - 60:
            called.popleft()
        if len(called) >= TIERS.get(method, 10**6):
            return called[0] + 60 - now
        called.append(now)
        return 0.0

    def _do(self, method: str, authorization: str, arguments: Any) -> Answer:
        if method not in ARGUMENTS:
            raise Refusal("unknown_method")
        if not authorization:
            raise Refusal("not_authed")
        if authorization != f"Bearer {TOKEN}":
            raise Refusal("invalid_auth")
        self._see(isinstance(arguments, dict), "invalid_json")
        required, optional = ARGUMENTS[method]
        self._see(required <= set(arguments) <= required | optional, "invalid_arguments")
        handlers: Mapping[str, Callable[[Mapping[str, Any]], Answer]] = {
            "chat.postMessage": self._post,
            "chat.update": self._update,
            "conversations.history": self._history,
            "conversations.replies": self._replies,
            "auth.test": lambda _: {"user_id": "U0BOT", "team_id": "T0", "bot_id": "B0"},
        }
        self._in_scope("channels:history" if method.startswith("conversations") else "chat:write")
        return handlers[method](arguments)

    def _in_scope(self, scope: str) -> None:
        if scope not in self.scopes:
            raise Refusal("missing_scope", needed=scope, provided=",".join(sorted(self.scopes)))

    @staticmethod
    def _see(holds: bool, error: str, **more: Any) -> None:
        if not holds:
            raise Refusal(error, **more)

    def _channel(self, arguments: Mapping[str, Any]) -> list[Said]:
        name = arguments["channel"]
        self._see(name in self.channels, "channel_not_found")
        self._see(name not in self.not_in, "not_in_channel")
        return self.channels[name]

    # --- writing

    def _post(self, arguments: Mapping[str, Any]) -> Answer:
        said = self._channel(arguments)
        self._see(arguments["channel"] not in self.archived, "is_archived")
        content = self._content(arguments, TEXT_LIMIT)
        thread = arguments.get("thread_ts", "")
        self._see(bool(thread) or not arguments.get("reply_broadcast"), "invalid_arguments")
        self._see(not thread or any(one.ts == thread and not one.thread_ts for one in said), "thread_not_found")
        broadcast = bool(arguments.get("reply_broadcast"))
        said.append(Said(self._name(), **content, thread_ts=thread, broadcast=broadcast, said=[content["text"]]))
        return {"channel": arguments["channel"], "ts": said[-1].ts, "message": said[-1].shown(False)}

    def _update(self, arguments: Mapping[str, Any]) -> Answer:
        said = self._channel(arguments)
        self._see(arguments["channel"] not in self.archived, "is_inactive")
        content = self._content(arguments, EDIT_TEXT_LIMIT)
        # left out, an edit is read as a person's typing: names in it are linked
        self._see(arguments.get("parse") == "none", "an edit without parse=none")
        found = next((one for one in said if one.ts == arguments["ts"]), None)
        if found is None:
            raise Refusal("message_not_found")
        found.text, found.blocks = content["text"], content["blocks"]
        found.metadata = content["metadata"] or found.metadata
        found.edits += 1
        found.said.append(found.text)
        return {"channel": arguments["channel"], "ts": found.ts, "text": found.text}

    def _content(self, arguments: Mapping[str, Any], limit: int) -> dict[str, Any]:
        for name in FLAGS & set(arguments):
            self._see(isinstance(arguments[name], bool), "invalid_arguments")
        text, blocks = arguments.get("text"), arguments.get("blocks", [])
        self._see(isinstance(text, str) and bool(text.strip()), "no_text")
        assert isinstance(text, str)
        self._see(len(text) <= limit, "msg_too_long")
        try:
            block_kit.check(blocks)
        except block_kit.InvalidBlocks as problem:
            raise Refusal("invalid_blocks", response_metadata={"messages": [f"[ERROR] {problem}"]}) from None
        except block_kit.TooLong:
            raise Refusal("msg_blocks_too_long") from None
        self.mentions += block_kit.mentions(text, *block_kit.texts(blocks))
        return {"text": text, "blocks": blocks, "metadata": self._metadata(arguments.get("metadata"))}

    def _metadata(self, metadata: Any) -> Mapping[str, Any] | None:
        if metadata is None:
            return None
        shape = isinstance(metadata, dict) and set(metadata) == {"event_type", "event_payload"}
        self._see(shape and isinstance(metadata["event_payload"], dict), "invalid_metadata_format")
        self._see(str(metadata["event_type"]).replace("_", "a").isalnum(), "invalid_metadata_schema")
        self._see(len(json.dumps(metadata)) <= METADATA_LIMIT, "metadata_too_large")
        found: Mapping[str, Any] = metadata
        return found

    def _name(self) -> str:
        """A timestamp that no other message has."""
        self._last_ts = max(self.clock(), self._last_ts + 0.000_01)
        return f"{self._last_ts:.6f}"

    # --- reading

    def _history(self, arguments: Mapping[str, str]) -> Answer:
        oldest = float(arguments.get("oldest", 0))
        # a reply stands in the channel only where it was broadcast
        said = [one for one in self._channel(arguments) if not one.thread_ts or one.broadcast]
        return self._page([one for one in reversed(said) if float(one.ts) > oldest], arguments, 100, 999)

    def _replies(self, arguments: Mapping[str, str]) -> Answer:
        said = self._channel(arguments)
        root = next((one for one in said if one.ts == arguments["ts"]), None)
        if root is None:
            raise Refusal("thread_not_found")
        return self._page([root, *(one for one in said if one.thread_ts == root.ts)], arguments, 1000, 1000)

    def _page(self, found: list[Said], arguments: Mapping[str, str], usual: int, most: int) -> Answer:
        limit, begin = int(arguments.get("limit", usual)), int(arguments.get("cursor") or 0)
        self._see(1 <= limit <= most, "invalid_limit")
        with_metadata = arguments.get("include_all_metadata") in ("true", "1")
        end = begin + limit
        more = end < len(found)
        return {
            "messages": [one.shown(with_metadata) for one in found[begin:end]],
            "has_more": more,
            "response_metadata": {"next_cursor": str(end) if more else ""},
        }

    # --- faults that belong to one workspace

    def hold(self, method: str) -> None:
        """The next call of `method` is done, and its answer never comes."""
        self.holding.clear()

        async def held(do: Do) -> web.StreamResponse:
            do()
            self.holding.set()
            await self._over.wait()
            return web.Response(status=503)

        self.faults[method].append(held)


async def done(do: Do) -> web.StreamResponse:
    """No fault: a call that is not counted against a limit."""
    return web.json_response(do())


def refusing(error: str, **more: Any) -> Fault:
    """Answers with this error and does nothing."""

    async def fault(_: Do) -> web.StreamResponse:
        return web.json_response({"ok": False, "error": error, **more})

    return fault


def limited(seconds: float) -> Fault:
    """429, and when to come again."""

    async def fault(_: Do) -> web.StreamResponse:
        headers = {"Retry-After": str(max(1, round(seconds + 0.5)))}
        return web.json_response({"ok": False, "error": "ratelimited"}, status=429, headers=headers)

    return fault


def broken(status: int, does_it: bool = False) -> Fault:
    """A gateway's page; `does_it`: behind it the call was done."""

    async def fault(do: Do) -> web.StreamResponse:
        if does_it:
            do()
        return web.Response(status=status, text="<html>no Slack here</html>", content_type="text/html")

    return fault


def done_but(error: str) -> Fault:
    """Does it, and answers with an error all the same."""

    async def fault(do: Do) -> web.StreamResponse:
        do()
        return web.json_response({"ok": False, "error": error})

    return fault
