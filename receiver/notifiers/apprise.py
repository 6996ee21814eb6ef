"""Sends through Apprise, one URL at a time, and finds out what came of it.

Apprise tells success or failure; the HTTP status, Retry-After and the sink's words are only in its DEBUG log, which
prints secrets. So `requests.Session.send`, which its plugins end in, is wrapped once and notes what each send
came to.
"""

import asyncio
import contextlib
import contextvars
import functools
import logging
import threading
from collections.abc import Callable
from typing import Any, Literal

import apprise
import requests
from apprise.attachment.memory import AttachMemory

from receiver.delivery.outbox import Receipt, Result
from receiver.message import Message, Unwritable
from receiver.notifiers import connections, natives, opsgenie, slack
from receiver.notifiers.answers import Outcome, may_have_arrived, retry_after
from receiver.notifiers.channels import text
from receiver.notifiers.connections import Connections
from receiver.notifiers.folding import with_key, with_parameters
from receiver.notifiers.render import render
from receiver.notifiers.rendered import Attachment, Rendered
from receiver.notifiers.style import Style
from receiver.notifiers.words import TITLE_LIMIT
from toolkit.configfile import nearest
from toolkit.redaction import Redactor, printable, secret_parts

MOST_HUNG_SENDS = 4
"""A send that outlasts its timeout has its connections cut; past this many that still don't end, none is begun."""
_DETAIL_LIMIT = 300

_outcomes: contextvars.ContextVar[list[Outcome] | None] = contextvars.ContextVar("outcomes", default=None)


def install_recorder() -> None:
    """Prepares Apprise, once a process: wraps `requests.Session.send`, so that each send's HTTP answers can be read,
    and puts our plugins in the place of its own."""
    logging.getLogger("apprise").setLevel(logging.CRITICAL)  # its lines hold URLs; receipts tell what happened
    if getattr(requests.Session.send, "_tocsin", False):
        return
    opsgenie.install()
    natives.install()
    slack.install()
    connections.install()
    original = requests.Session.send

    @functools.wraps(original)
    def send(self: requests.Session, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        outcomes = _outcomes.get()
        try:
            response = original(self, request, **options)
        except requests.RequestException as error:
            if outcomes is not None:
                outcomes.append(error)
            raise
        if outcomes is not None:
            outcomes.append(response)
        return response

    send._tocsin = True  # type: ignore[attr-defined]  # the mark that says it is already wrapped
    requests.Session.send = send  # type: ignore[method-assign]  # there is no hook for this in requests


def url_problem(url: str) -> str | None:
    """Why Apprise can't use `url`, in words that don't show it; None when it can."""
    scheme = url.partition("://")[0].lower()
    slack.install()
    known = apprise.Apprise().details()["schemas"]
    schemes = {name for schema in known for kind in ("protocols", "secure_protocols") for name in schema[kind] or ()}
    if scheme not in schemes:
        shown = scheme if scheme.isalnum() and len(scheme) < 20 else "that"
        return f"Apprise knows no service '{shown}://'{nearest(scheme, schemes) if shown == scheme else ''}"
    if slack.is_for(url):
        return slack.url_problem(url)
    if apprise.Apprise.instantiate(url, asset=_asset()) is None:
        return f"Apprise can't use this {scheme}:// URL; compare it with the service's page in Apprise's documentation"
    return None


def rate_of(url: str, usual: float) -> float:
    """How many messages a second the sink at `url` takes, as far as that is known to be less than `usual`."""
    return min(usual, slack.RATE) if slack.is_for(url) else usual


class AppriseTarget:
    """One Apprise URL."""

    def __init__(
        self,
        read_url: Callable[[], str],
        timeout: float,
        apart: float = 0.0,
        style: Callable[[], Style] = Style,
    ) -> None:
        """`read_url` is asked at each send, so that a replaced secret is used at once; `timeout` in seconds. `apart`:
        how many seconds lie between two posts, where one message takes several. `style`: how messages are written,
        asked at each send too."""
        self._read_url, self._timeout, self._style = read_url, timeout, style
        self._pace = slack.Pace(apart)
        self._hung = 0

    async def send(self, message: Message, *, may_repeat: bool, place: str = "") -> Receipt:
        """One attempt. `may_repeat`: an earlier copy may have arrived. `place`: where the incident's message stands
        already. Raises SecretUnreadable or Unwritable; anything the sink does is in the receipt."""
        if self._hung >= MOST_HUNG_SENDS:
            return Receipt("failed", f"{self._hung} earlier sends still hang")
        tell = self._telling(self._read_url(), message, may_repeat, place)
        self._hung += 1
        opened = Connections()

        def work() -> Receipt:
            connections.follow(opened)
            return tell()

        sending = asyncio.ensure_future(_in_thread(work))
        sending.add_done_callback(functools.partial(self._ended, opened))
        done, _ = await asyncio.wait({sending}, timeout=self._timeout)
        if not done:
            opened.cut()
            return Receipt("unknown", f"no end after {self._timeout:g} s; it may have arrived")
        return sending.result()

    def _telling(self, url: str, message: Message, may_repeat: bool, place: str) -> Callable[[], Receipt]:
        """What is to be done in the thread. Raises Unwritable."""
        try:
            style = self._style()
            message = style.redact(message)
            if slack.is_for(url):
                return slack.telling(url, message, may_repeat, place, self._timeout, self._pace, style.say)
            rendered = render(message, url, _limit(url), may_repeat, style.say)
        except Exception as error:  # whatever it is, nothing was sent: a defect of ours, not the sink's
            raise Unwritable(type(error).__name__) from error
        return functools.partial(_send, url, rendered, message, self._timeout)

    def _ended(self, opened: Connections, _: object) -> None:
        opened.close()
        self._hung -= 1


def _asset() -> apprise.AppriseAsset:
    # no timeout of Apprise's own: it would leave the thread behind where we can't count it
    return apprise.AppriseAsset(app_id="Tocsin", app_desc="Tocsin", service_timeout=0, async_mode=False)


def _limit(url: str) -> int:
    """How many characters the service at `url` takes as a body, the title among them where it makes one of both."""
    service = apprise.Apprise.instantiate(url, asset=_asset())
    if not isinstance(service, apprise.NotifyBase):
        return text.BODY_LIMIT
    folds_title = service.title_maxlen == 0 or service.overflow_amalgamate_title
    return int(service.body_maxlen) - (TITLE_LIMIT + 2 if folds_title and service.body_maxlen > TITLE_LIMIT * 3 else 0)


def _send(url: str, rendered: Rendered, message: Message, timeout: float) -> Receipt:
    kind: Literal["failure", "success"] = "success" if message.status == "resolved" else "failure"
    outcomes: list[Outcome] = []
    _outcomes.set(outcomes)
    sender = apprise.Apprise(asset=_asset())
    if not sender.add(with_parameters(with_key(url, message.key), rendered.parameters)):
        return Receipt("failed", "Apprise can't use the URL")
    for service in sender:
        # Apprise gives up on a socket after 4 s of its own, and a slow sink would get the message again and again
        service.socket_connect_timeout = service.socket_read_timeout = timeout
        natives.equip(service, rendered)
    sent = bool(
        sender.notify(
            body=rendered.body,
            title=rendered.title,
            notify_type=kind,
            body_format=apprise.NotifyFormat(rendered.format),
            attach=[_attachment(one) for one in rendered.attachments],
        )
    )
    return _receipt(sent, outcomes, Redactor(secret_parts(url)))


def _attachment(attachment: Attachment) -> AttachMemory:
    return AttachMemory(content=attachment.content, name=attachment.name, mimetype=attachment.mimetype)


def _receipt(sent: bool, outcomes: list[Outcome], redact: Redactor) -> Receipt:
    if not outcomes:
        return Receipt("sent" if sent else "failed", "" if sent else "the service refused or could not be reached")
    last = outcomes[-1]
    reached = any(isinstance(one, requests.Response) and one.ok for one in outcomes)
    failed: Result = "unknown" if reached or any(map(may_have_arrived, outcomes)) else "failed"
    if isinstance(last, requests.Response):
        words = printable(redact(last.text.strip()))[:_DETAIL_LIMIT]
        return Receipt("sent" if sent else failed, words, last.status_code, retry_after(last))
    return Receipt("sent" if sent else failed, "" if sent else f"no answer ({type(last).__name__})")


async def _in_thread(work: Callable[[], Receipt]) -> Receipt:
    """Runs `work` in a thread of its own that doesn't keep the process alive: a hung sink must not delay the stop."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Receipt] = loop.create_future()

    def settle(receipt: Receipt) -> None:
        if not future.done():
            future.set_result(receipt)

    def run() -> None:
        try:
            receipt = work()
        except Exception as error:  # noqa: BLE001 - a plugin may raise anything; the outbox tries again
            receipt = Receipt("failed", f"Apprise raised {type(error).__name__}")
        with contextlib.suppress(RuntimeError):  # the loop is closed: we were told to stop and didn't wait
            loop.call_soon_threadsafe(settle, receipt)

    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=(run,), name="apprise", daemon=True).start()
    return await future
