"""Slack's Web API, as far as an incident's message needs it. It blocks, and belongs in a thread of its own."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import requests

from receiver.message import Message
from receiver.notifiers.answers import retry_after

EVENT_TYPE = "tocsin_incident"
"""What our messages are known by in Slack's metadata."""
PAGES = 5
PAGE_SIZE = 200
"""A lost message is looked for among the last PAGES * PAGE_SIZE of its channel, or of its thread."""
_PAUSE_SECONDS = 10.0
"""How long a limit is heeded where Slack doesn't say."""

_JSON = {"Content-Type": "application/json; charset=utf-8"}  # without the charset Slack warns

Content = dict[str, Any]
"""`{"text": ..., "blocks": [...]}`."""

_REASONS: Mapping[str, tuple[int, str]] = {
    "invalid_auth": (401, "the token is wrong"),
    "not_authed": (401, "the token is missing"),
    "token_expired": (401, "the token has expired"),
    "token_revoked": (401, "the token was revoked"),
    "account_inactive": (401, "the app was removed from the workspace"),
    "access_denied": (403, "the app may not do this"),
    "missing_scope": (403, "the app lacks a scope"),
    "not_in_channel": (403, "the app is not in the channel: /invite it there"),
    "channel_not_found": (404, "there is no such channel, or the app is not in it"),
    "message_not_found": (404, "the message is gone"),
    "thread_not_found": (404, "the thread is gone"),
    "cant_update_message": (403, "the message is another app's"),
    "edit_window_closed": (403, "the workspace does not let messages be edited any more"),
    "is_archived": (410, "the channel is archived"),
    "is_inactive": (410, "the channel is archived"),
    "msg_too_long": (413, "the text is too long"),
    "msg_blocks_too_long": (413, "the blocks are too long"),
    "metadata_too_large": (413, "the metadata is too large"),
    "invalid_blocks": (400, "Slack can't show these blocks"),
    "invalid_blocks_format": (400, "Slack can't read these blocks"),
    "ratelimited": (429, "too many messages at once"),
    "rate_limited": (429, "too many messages at once"),
    "message_limit_exceeded": (429, "the workspace's limit of messages is reached"),
    "service_unavailable": (503, "Slack is unavailable"),
    "request_timeout": (503, "Slack did not get the whole request"),
    "team_added_to_org": (503, "the workspace is being moved"),
    "internal_error": (500, "an error within Slack; it may have done it"),
    "fatal_error": (500, "an error within Slack; it may have done it"),
}
"""What Slack's answers mean, with the HTTP status that says so elsewhere: Slack's own is nearly always 200."""


class Refused(Exception):
    """Slack did not say yes. `reason` is its own word ("not_in_channel"), `status` the HTTP status that means it,
    `retry_after` the seconds it asked for. The message is fit to be shown."""

    def __init__(self, reason: str, needed: str = "", retry_after: float | None = None) -> None:
        self.reason, self.retry_after = reason, retry_after
        self.status, words = _REASONS.get(reason, (400, ""))
        if self.status == 429 and retry_after is None:
            self.retry_after = _PAUSE_SECONDS
        super().__init__(reason + (f": {words}" if words else "") + (f" ({needed})" if needed else ""))

    @property
    def may_have_arrived(self) -> bool:
        """Whether Slack may have done it all the same."""
        return self.status in (500, 504)

    @property
    def lasting(self) -> bool:
        """Whether the same request will be refused again."""
        return self.status < 500 and self.status != 429


class Unintelligible(Refused):
    """No answer of Slack's: a gateway's page, or a redirect."""

    def __init__(self, status: int, retry_after: float | None) -> None:
        super().__init__(f"HTTP {status}, and no answer of Slack's", retry_after=retry_after)
        self.status = status if status >= 400 else 502


@dataclass(frozen=True)
class Posted:
    """A message of ours that stands in Slack, as of `revision`. `thread` is "" where it stands in the channel."""

    ts: str
    thread: str
    key: str
    revision: int


class Pace:
    """Keeps what is written to a channel apart: Slack takes one message a second. One for each target, whose sends
    come one after the other."""

    def __init__(
        self,
        seconds: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._seconds, self._clock, self._sleep = seconds, clock, sleep
        self._free_at = 0.0

    def wait(self) -> None:
        """Returns when something may be written."""
        pause = self._free_at - self._clock()
        if pause > 0:
            self._sleep(pause)

    def used(self) -> None:
        """Something was written."""
        self._free_at = self._clock() + self._seconds


class Slack:
    """One channel. Every method raises Refused, or what requests raises."""

    def __init__(
        self, session: requests.Session, api: str, token: str, channel: str, timeout: float, pace: Pace
    ) -> None:
        """`api` is the address before the method's name; `timeout` in seconds, for each wait on the network."""
        self._session, self._api, self._token, self._channel = session, api.rstrip("/"), token, channel
        self._timeout, self._pace = timeout, pace

    def post(self, message: Message, content: Content, thread: str = "", broadcast: bool = False) -> str:
        """Posts, into the thread of that message where one is given; returns the timestamp that is its name."""
        where = {"thread_ts": thread, "reply_broadcast": broadcast} if thread else {}
        looks = {"unfurl_links": False, "unfurl_media": False}
        ts = self._write("chat.postMessage", message, content, where | looks).get("ts")
        if not isinstance(ts, str) or not ts:
            raise Unintelligible(500, None)
        return ts

    def edit(self, message: Message, content: Content, ts: str) -> None:
        """Puts `content` in the place of what the message `ts` said."""
        # an edit looks for names in the text unless it is told not to; a post does not
        self._write("chat.update", message, content, {"ts": ts, "parse": "none"})

    def attach(self, image: bytes, name: str, thread: str) -> None:
        """Puts a picture into the thread of that message. Needs the scope files:write."""
        to = self._ask("GET", "files.getUploadURLExternal", params={"filename": name, "length": str(len(image))})
        address, file = str(to.get("upload_url")), str(to.get("file_id"))
        if urlsplit(address).scheme != urlsplit(self._api).scheme:
            raise Unintelligible(502, None)
        sent = self._session.post(address, data=image, timeout=self._timeout, allow_redirects=False)
        if sent.status_code != 200:
            raise Unintelligible(sent.status_code, retry_after(sent))
        self._pace.wait()
        where = {"files": [{"id": file, "title": name}], "channel_id": self._channel, "thread_ts": thread}
        try:
            self._ask("POST", "files.completeUploadExternal", json=where)
        finally:
            self._pace.used()

    def _write(self, method: str, message: Message, content: Content, more: Mapping[str, Any]) -> dict[str, Any]:
        payload = {"key": message.key, "revision": message.revision}
        metadata = {"event_type": EVENT_TYPE, "event_payload": payload}
        self._pace.wait()
        try:
            return self._ask("POST", method, json={"channel": self._channel, **content, **more, "metadata": metadata})
        finally:
            self._pace.used()

    def in_channel(self, since: float) -> Iterator[Posted]:
        """Ours among the channel's messages since then (seconds since the epoch), the newest first."""
        return self._pages("conversations.history", {"oldest": f"{max(since, 0.0):.6f}"})

    def in_thread(self, ts: str) -> Iterator[Posted]:
        """Ours in the thread of the message `ts`."""
        return (found for found in self._pages("conversations.replies", {"ts": ts}) if found.thread)

    def _pages(self, method: str, which: Mapping[str, str]) -> Iterator[Posted]:
        asked = {"channel": self._channel, "include_all_metadata": "true", "limit": str(PAGE_SIZE), **which}
        for _ in range(PAGES):
            answer = self._ask("GET", method, params=asked)
            yield from filter(None, map(_posted, answer.get("messages") or ()))
            cursor = (answer.get("response_metadata") or {}).get("next_cursor")
            if not cursor:
                return
            asked["cursor"] = cursor

    def _ask(self, verb: str, method: str, **arguments: Any) -> dict[str, Any]:
        response = self._session.request(
            verb,
            f"{self._api}/{method}",
            headers={"Authorization": f"Bearer {self._token}", **(_JSON if verb == "POST" else {})},
            timeout=self._timeout,
            allow_redirects=False,  # the token is for Slack alone
            **arguments,
        )
        return _understood(response)


def _understood(response: requests.Response) -> dict[str, Any]:
    if response.status_code == 429:
        raise Refused("ratelimited", retry_after=retry_after(response))
    try:
        answer = response.json()
    except ValueError:
        answer = None
    if not isinstance(answer, dict) or "ok" not in answer:
        raise Unintelligible(response.status_code, retry_after(response))
    if answer["ok"] is not True:
        raise Refused(str(answer.get("error"))[:100], str(answer.get("needed") or "")[:100])
    return answer


def _posted(found: Any) -> Posted | None:
    """A message of Slack's, as far as it is ours."""
    try:
        ts, metadata = str(found["ts"]), found["metadata"]
        payload = metadata["event_payload"]
        if metadata["event_type"] != EVENT_TYPE:
            return None
        thread = str(found.get("thread_ts", ts))
        return Posted(ts, "" if thread == ts else thread, str(payload["key"]), int(payload["revision"]))
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
