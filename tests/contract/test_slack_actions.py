"""Presses as Slack posts them: signed instead of with a token, answered in time, and the person is told."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import structlog
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client import CollectorRegistry

from receiver.desk import Refused
from receiver.metrics import ReceiverMetrics
from receiver.slack import web as slack_web
from receiver.slack.settings import SlackSettings
from receiver.slack.web import FAILED, SlackEndpoints
from tests.contract.conftest import Client, Clock, StartReceiver
from tests.contract.test_receiver import alert, post
from tests.support.processes import until
from tests.support.slack import Slack
from tests.unit.test_slack_press import NOW, SECRET, body, sign
from toolkit.httpserver import Authenticator, Probes, application
from toolkit.secretfile import SecretFile
from toolkit.service import Background
from toolkit.storage import StorageUnavailable

PATH = "/slack/actions"
LONG_SECONDS = 120.0
"""Longer than a body is waited for."""


@dataclass
class Desk:
    """Notes what is asked of it, and says what it is told to say, once `free`."""

    says: str | Exception = "You have incident 7."
    done: list[tuple[Any, ...]] = field(default_factory=list)
    free: asyncio.Event = field(default_factory=asyncio.Event)

    async def acknowledge(self, incident: int, by: str, via: str) -> "Desk":
        return await self._do("acknowledge", incident, by, via)

    async def silence(self, incident: int, by: str, seconds: float, via: str) -> "Desk":
        return await self._do("silence", incident, by, seconds, via)

    async def _do(self, *what: Any) -> "Desk":
        await self.free.wait()
        self.done.append(what)
        if isinstance(self.says, Exception):
            raise self.says
        return self

    @property
    def said(self) -> str:
        return str(self.says)


@dataclass
class Door:
    """The endpoint behind a server that asks everybody else for a token, and the address that Slack is answered at."""

    client: Client
    desk: Desk
    hooks: str
    heard: list[dict[str, Any]]

    def press(self, **fields: Any) -> bytes:
        return body(**{"response_url": f"{self.hooks}/actions/T1/2/3", **fields})

    async def post(self, posted: bytes, **headers: str) -> tuple[int, str]:
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        async with self.client.post(PATH, data=posted, headers={**form, **sign(posted), **headers}) as answer:
            return answer.status, await answer.text()

    async def told(self) -> dict[str, Any]:
        await until(lambda: bool(self.heard), "the person is told", pause=0.01)
        return self.heard[0]


@asynccontextmanager
async def hooks(heard: list[dict[str, Any]]) -> AsyncIterator[str]:
    async def take(request: web.Request) -> web.Response:
        heard.append(await request.json())
        return web.Response(text="ok")

    app = web.Application()
    app.add_routes([web.post("/actions/{rest:.*}", take)])
    async with TestServer(app) as server:
        yield str(server.make_url("")).rstrip("/")


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[Door]:
    (tmp_path / "token").write_text("a-token")
    (tmp_path / "secret").write_text(SECRET)
    heard: list[dict[str, Any]] = []
    desk, background = Desk(), Background()
    desk.free.set()
    authenticator = Authenticator(tokens=(SecretFile(tmp_path / "token"),))
    probes = Probes(lambda: True, lambda: asyncio.sleep(0), lambda: None, lambda: authenticator)
    async with hooks(heard) as at, aiohttp.ClientSession() as session:
        settings = SlackSettings.model_construct(signing_secret_file=SecretFile(tmp_path / "secret"), hooks=at)
        app = application(probes, ReceiverMetrics(CollectorRegistry()))
        people = {"U0123ABCD": "ana"}
        log = structlog.get_logger()
        endpoints = SlackEndpoints(desk, lambda: settings, lambda: people, session, background.spawn, lambda: NOW, log)
        app.add_routes([*endpoints.routes(), web.get("/guarded", _never)])
        async with TestClient(TestServer(app)) as client:
            yield Door(client, desk, at, heard)
        assert not background.failed.done()
        await background.close()


async def _never(_: web.Request) -> web.Response:
    raise AssertionError


async def test_an_acknowledgement_needs_a_signature_and_no_token(door: Door) -> None:
    assert await door.post(door.press()) == (200, "")
    assert door.desk.done == [("acknowledge", 7, "ana", "slack")]
    words = {"response_type": "ephemeral", "replace_original": False, "text": "You have incident 7."}
    assert await door.told() == words
    async with door.client.get("/guarded") as answer:
        assert answer.status == 401


async def test_a_silence_is_as_long_as_its_button_says(door: Door) -> None:
    user = {"id": "U0NOBODY1", "username": "bo"}
    await door.post(door.press(action={"action_id": "silence", "value": "12"}, user=user))
    assert door.desk.done == [("silence", 12, "bo (Slack U0NOBODY1)", 7200.0, "slack")]


async def test_a_stranger_with_the_name_of_one_of_ours_is_told_apart(door: Door) -> None:
    await door.post(door.press(user={"id": "U0NOBODY1", "username": "ana"}))
    assert door.desk.done == [("acknowledge", 7, "ana (Slack U0NOBODY1)", "slack")]


REFUSED: list[tuple[str, Callable[[bytes], dict[str, str]], int]] = [
    ("no signature", lambda _: {"X-Slack-Signature": ""}, 401),
    ("another app's", lambda posted: sign(posted, secret="another"), 401),
    ("a recording", lambda posted: sign(posted, NOW - 1000), 401),
]


@pytest.mark.parametrize(("headers", "status"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
async def test_what_slack_did_not_sign_is_refused(
    door: Door, headers: Callable[[bytes], dict[str, str]], status: int
) -> None:
    posted = door.press()
    answered, text = await door.post(posted, **headers(posted))
    assert answered == status
    assert SECRET not in text
    assert (door.desk.done, door.heard) == ([], [])


@pytest.mark.parametrize("headers", [{}, sign(b"", NOW - 1000)], ids=["unsigned", "a recording"])
async def test_who_can_not_be_slack_is_refused_before_the_body_is_read(door: Door, headers: dict[str, str]) -> None:
    reader, writer = await asyncio.open_connection(door.client.host, door.client.port)
    head = {"Host": "x", "Content-Length": "60000", **headers}
    lines = [f"POST {PATH} HTTP/1.1", *(f"{name}: {value}" for name, value in head.items())]
    writer.write("\r\n".join([*lines, "", ""]).encode())
    answer = await asyncio.wait_for(reader.readline(), LONG_SECONDS)  # a body that is waited for is a 408
    writer.close()
    await writer.wait_closed()
    assert answer == b"HTTP/1.1 401 Unauthorized\r\n"


async def test_no_more_is_read_than_a_press_takes(door: Door) -> None:
    padded = door.press(token="x" * slack_web.MAX_BODY_BYTES)
    assert (await door.post(padded))[0] == 413
    assert door.desk.done == []


async def test_what_is_signed_and_no_press_is_refused(door: Door) -> None:
    assert (await door.post(b"{}"))[0] == 400


async def test_a_button_that_opens_a_page_is_answered(door: Door) -> None:
    assert await door.post(door.press(action={"action_id": "open_runbook"})) == (200, "")
    assert door.desk.done == []


async def test_what_takes_long_is_answered_in_time_and_goes_on(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slack_web, "ANSWER_SECONDS", 0.05)
    door.desk.free.clear()
    assert await door.post(door.press()) == (200, "")
    assert door.desk.done == []
    door.desk.free.set()
    await door.told()
    assert len(door.desk.done) == 1


@pytest.mark.parametrize("error", [StorageUnavailable("locked"), ValueError("a defect")])
async def test_a_desk_that_fails_is_told_to_whoever_pressed(door: Door, error: Exception) -> None:
    door.desk.says = error
    assert await door.post(door.press()) == (200, "")
    assert (await door.told())["text"] == FAILED


async def test_what_the_desk_refuses_is_told_in_its_words(door: Door) -> None:
    door.desk.says = Refused("ended", "incident 7 has ended: it is resolved")
    await door.post(door.press())
    assert (await door.told())["text"] == "incident 7 has ended: it is resolved"


async def test_the_desks_words_ping_nobody(door: Door) -> None:
    door.desk.says = "<!channel> & <@U1> have it"
    await door.post(door.press())
    assert (await door.told())["text"] == "&lt;!channel&gt; &amp; &lt;@U1&gt; have it"


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/actions/x", "https://evil.example/x", ""])
async def test_nobody_but_slack_is_told(door: Door, url: str) -> None:
    assert await door.post(door.press(response_url=url)) == (200, "")
    assert len(door.desk.done) == 1
    assert door.heard == []


# --- with the receiver itself


async def test_without_a_secret_no_press_is_believed(folder: Path, start_receiver: StartReceiver) -> None:
    client, receiver = await start_receiver("{}")
    pressed = body()
    async with client.post(PATH, data=pressed, headers=sign(pressed, 1000.0)) as answer:
        assert answer.status == 404
    (folder / "secret").write_text(SECRET)
    (folder / "receiver.yml").write_text("slack: {signing_secret_file: secret}\n")
    await receiver.reload()
    (folder / "secret").unlink()
    async with client.post(PATH, data=pressed, headers=sign(pressed, 1000.0)) as answer:
        told = await answer.text()
        assert (answer.status, SECRET in told, str(folder) in told) == (503, False, False)


async def test_a_press_edits_the_message_and_calls_nobody_more(
    folder: Path, start_receiver: StartReceiver, clock: Clock
) -> None:
    (folder / "secret").write_text(SECRET)
    heard: list[dict[str, Any]] = []
    async with Slack().serving() as workspace, hooks(heard) as at:
        client, receiver = await start_receiver(
            f"""
slack: {{signing_secret_file: secret, hooks: '{at}'}}
people: {{ana: {{slack: U0123ABCD}}}}
targets: [{{name: chat, url: '{workspace.url(buttons="yes")}'}}]
"""
        )
        await post(client, alert())
        await receiver.pipeline.process()
        await until(lambda: bool(workspace.roots()), "it is posted")
        (root,) = workspace.roots()
        (button,) = [one for one in root.blocks[-1]["elements"] if one["action_id"] == "acknowledge"]
        pressed = body(action=button, response_url=f"{at}/actions/x")
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        async with client.post(PATH, data=pressed, headers={**form, **sign(pressed, clock())}) as answer:
            assert answer.status == 200
        await until(lambda: "ACKNOWLEDGED" in root.text, "the message says who has it")
        await until(lambda: len(workspace.thread(root)) == 2, "so does the thread")
        assert workspace.thread(root)[-1].text.startswith("Acknowledged by ana")
        assert not workspace.thread(root)[-1].broadcast
        assert heard[0]["text"].startswith("You have incident 1")
        assert (workspace.refused, workspace.limited, len(workspace.roots())) == ([], 0, 1)
