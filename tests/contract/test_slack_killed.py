"""The real command, killed with SIGKILL while Slack holds its answer back: the channel has one message all the same."""

import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.support.processes import Process, running, until
from tests.support.receivers import receivers, records, sqlite
from tests.support.slack import Said, Slack, done

POST, UPDATE = "chat.postMessage", "chat.update"


@dataclass(frozen=True)
class Chain:
    """A receiver that tells a channel."""

    receiver: Process
    workspace: Slack
    session: aiohttp.ClientSession
    storage: str

    async def hear(self, status: str) -> None:
        """As from Alertmanager."""
        alert = {
            "status": status,
            "labels": {"alertname": "Down", "severity": "critical", "service": "shop"},
            "annotations": {"summary": "The shop is down <!channel>"},
            "startsAt": "2026-11-20T10:00:00Z",
            "endsAt": "2026-11-20T11:00:00Z" if status == "resolved" else "0001-01-01T00:00:00Z",
            "fingerprint": hashlib.sha256(b"Down").hexdigest()[:16],
        }
        body = json.dumps({"version": "4", "alerts": [alert], "externalURL": "http://am"})
        async with self.session.post(f"{self.receiver.url}/webhook/alertmanager", data=body) as answer:
            assert answer.status == 200

    def hold(self, *methods: str) -> None:
        """The last of the next calls of these methods is done, and its answer is held back."""
        *passing, last = methods
        for method in passing:
            self.workspace.faults[method].append(done)
        self.workspace.hold(last)

    async def die(self) -> None:
        """Killed while an answer is held back, and started again."""
        await until(self.workspace.holding.is_set, "an answer is held back")
        await self.receiver.kill()
        await self.receiver.start()
        await until(self.receiver.ready, "it is ready again")

    async def told(self) -> None:
        """Waits until nothing is left to do."""

        async def idle() -> bool:
            found = await records(self.storage)
            return found.idle and bool(found.rows)

        await until(idle, f"everything is told: {self.receiver.log_end()}")


@asynccontextmanager
async def chain(folder: Path) -> AsyncIterator[Chain]:
    storage = sqlite(folder)
    async with Slack().serving() as workspace, aiohttp.ClientSession() as session:
        config = {"targets": [{"name": "chat", "url": workspace.url()}]}
        (receiver,) = receivers(1, config, storage, folder, session)
        async with running(receiver):
            yield Chain(receiver, workspace, session, storage)


def revisions(said: list[Said]) -> list[Any]:
    return [one.metadata["event_payload"]["revision"] for one in said if one.metadata]


FIRING: list[tuple[str, tuple[str, ...]]] = [
    ("while the message is posted", (POST,)),
    ("while its thread is begun", (POST, POST)),
]
ENDING: list[tuple[str, tuple[str, ...]]] = [
    ("while the message is edited", (UPDATE,)),
    ("while the end is said in the thread", (POST,)),
]


@pytest.mark.parametrize("methods", [row[1] for row in FIRING], ids=[row[0] for row in FIRING])
async def test_killed_when_it_fires_the_message_is_found_again(tmp_path: Path, methods: tuple[str, ...]) -> None:
    async with chain(tmp_path) as at:
        at.hold(*methods)
        await at.hear("firing")
        await at.die()
        await at.told()
        (root,) = at.workspace.roots()
        assert root.edits == 1
        assert "FIRING" in root.text
        assert revisions(at.workspace.thread(root)) == [1]
        assert "conversations.history" in at.workspace.calls
        await at.hear("resolved")
        await until(lambda: "RESOLVED" in root.text, "the end edits the message")
        await at.told()
        judge(at.workspace, root)


@pytest.mark.parametrize("methods", [row[1] for row in ENDING], ids=[row[0] for row in ENDING])
async def test_killed_when_it_ends_the_message_is_edited(tmp_path: Path, methods: tuple[str, ...]) -> None:
    async with chain(tmp_path) as at:
        await at.hear("firing")
        await until(lambda: bool(at.workspace.roots()), "it is posted")
        await at.told()
        at.hold(*methods)
        await at.hear("resolved")
        await at.die()
        await at.told()
        (root,) = at.workspace.roots()
        judge(at.workspace, root)


async def test_the_end_of_what_was_cut_off_edits_it(tmp_path: Path) -> None:
    # the end is told in the place of the firing, whose own outcome nobody knows
    async with chain(tmp_path) as at:
        at.hold(POST)
        await at.hear("firing")
        await until(at.workspace.holding.is_set, "an answer is held back")
        await at.hear("resolved")

        async def waits() -> bool:
            return [row.status for row in (await records(at.storage)).rows] == ["firing", "resolved"]

        await until(waits, "the end waits behind it")
        await at.die()
        await at.told()
        (root,) = at.workspace.roots()
        judge(at.workspace, root)
        assert [row.state for row in (await records(at.storage)).rows] == ["superseded", "sent"]


def judge(workspace: Slack, root: Said) -> None:
    """One message, at its end; nothing said twice; nothing refused."""
    assert workspace.roots() == [root]
    assert root.text.startswith("[RESOLVED] The shop is down")
    thread = workspace.thread(root)
    assert len(revisions(thread)) == len(set(revisions(thread)))
    assert thread[-1].text.startswith("[RESOLVED]")
    assert thread[-1].broadcast
    assert not any("may be a repeat" in said for one in (root, *thread) for said in one.said)
    assert (workspace.refused, workspace.mentions, workspace.limited) == ([], [], 0)
