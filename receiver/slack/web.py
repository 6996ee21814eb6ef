"""`POST /slack/actions`: somebody has pressed a button of a message."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

import aiohttp
from aiohttp import web

from receiver.desk import Refused
from receiver.slack.press import FLAWS, Flaw, Malformed, Press, early_flaw, flaw, is_hook, parse
from receiver.slack.settings import SlackSettings
from toolkit.clock import Now
from toolkit.httpserver import proves_itself, read_body
from toolkit.logs import Logger
from toolkit.redaction import printable
from toolkit.secretfile import SecretUnreadable
from toolkit.service import Spawn
from toolkit.storage import StorageUnavailable

MAX_BODY_BYTES = 64 * 1024
"""Ten times what a press of one of our messages takes. Whoever posts it is not known before it is read."""
ANSWER_SECONDS = 2.0
"""Slack shows a warning after 3 s. What takes longer goes on by itself."""
REPLY_SECONDS = 5.0
SILENCE_SECONDS = 7200.0
"""What the button says."""
VIA = "slack"
UNREADABLE = "the signing secret can't be read at the moment\n"
FAILED = "That did not work: the receiver can't do it at the moment. Press again in a moment."


class Done(Protocol):
    """What came of it."""

    @property
    def said(self) -> str:
        """What the person is told."""


class Desk(Protocol):
    """Does what people want done to an incident. `by` is who, by our name, or by Slack's with its id; `via` how it
    reached us. Each method raises Refused in words for the person, or StorageUnavailable."""

    def acknowledge(self, incident: int, by: str, via: str) -> Awaitable[Done]:
        """`by` has it."""

    def silence(self, incident: int, by: str, seconds: float, via: str) -> Awaitable[Done]:
        """Nobody is told of it for so long."""


class SlackEndpoints:
    """The handler. `routes` lists it."""

    def __init__(
        self,
        desk: Desk,
        settings: Callable[[], SlackSettings | None],
        people: Callable[[], Mapping[str, str]],
        session: aiohttp.ClientSession,
        spawn: Spawn,
        now: Now,
        log: Logger,
    ) -> None:
        """`people`: our names of Slack's users, by their id."""
        self._desk, self._settings, self._people, self._session = desk, settings, people, session
        self._spawn, self._now, self._log = spawn, now, log

    def routes(self) -> list[web.RouteDef]:
        """What to add to `toolkit.httpserver.application`."""
        return [web.post("/slack/actions", self.act)]

    @proves_itself
    async def act(self, request: web.Request) -> web.Response:
        """Checks that Slack has sent it, and answers in time; what came of it is told to the person alone."""
        settings = self._settings()
        if settings is None:
            raise web.HTTPNotFound(text="the configuration has no section slack\n")
        self._refuse(early_flaw(request.headers, self._now()))
        body = await read_body(request.clone(client_max_size=MAX_BODY_BYTES))
        self._refuse(flaw(self._secret(settings), request.headers, body, self._now()))
        try:
            press = parse(body)
        except Malformed as error:
            raise web.HTTPBadRequest(text=f"{error}\n") from None
        if press is not None:
            doing = self._spawn(self._do(press, settings), "a press in Slack")
            await asyncio.wait({doing}, timeout=ANSWER_SECONDS)
        return web.Response()

    def _secret(self, settings: SlackSettings) -> str:
        try:
            return settings.signing_secret_file.read()
        except SecretUnreadable as error:
            self._log.error("a press can't be checked", reason=str(error))
            raise web.HTTPServiceUnavailable(text=UNREADABLE) from None

    def _refuse(self, found: Flaw | None) -> None:
        if found is not None:
            self._log.warning("a press was refused", reason=found)
            raise web.HTTPUnauthorized(text=f"{FLAWS[found]}\n")

    async def _do(self, press: Press, settings: SlackSettings) -> None:
        # a stranger chooses their name in Slack, so it must not pass for one of ours
        by = self._people().get(press.user, f"{press.name} (Slack {press.user})")
        self._log.info("a button was pressed", deed=press.deed, incident=press.incident, by=by, user=press.user)
        try:
            if press.deed == "acknowledge":
                done = await self._desk.acknowledge(press.incident, by, VIA)
            else:
                done = await self._desk.silence(press.incident, by, SILENCE_SECONDS, VIA)
            said = done.said
        except Refused as refused:
            said = str(refused)
        except StorageUnavailable as error:
            self._log.error("a press came to nothing", incident=press.incident, reason=error.reason)
            said = FAILED
        except Exception:  # noqa: BLE001 - a defect of ours must not leave whoever pressed in the dark
            self._log.exception("a press came to nothing", incident=press.incident)
            said = FAILED
        await self._reply(press, said, settings)

    async def _reply(self, press: Press, said: str, settings: SlackSettings) -> None:
        if not is_hook(press.answer_to, settings.hooks):
            self._log.warning("a press can't be answered: its address is not Slack's", incident=press.incident)
            return
        text = printable(said).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        words = {"response_type": "ephemeral", "replace_original": False, "text": text}
        limit = aiohttp.ClientTimeout(total=REPLY_SECONDS)
        try:
            async with self._session.post(
                press.answer_to, json=words, timeout=limit, allow_redirects=False
            ) as response:
                if response.status != 200:
                    self._log.warning("Slack did not take the answer to a press", http_status=response.status)
        except (aiohttp.ClientError, TimeoutError) as error:
            self._log.warning("Slack did not take the answer to a press", reason=type(error).__name__)
