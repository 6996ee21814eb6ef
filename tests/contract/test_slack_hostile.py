"""A thousand incidents whose words want to ping and to break, in one channel of a Slack that forgives nothing."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from receiver.delivery.outbox import Receipt
from receiver.message import Message
from receiver.notifiers import slack
from receiver.notifiers.slack_api import Pace
from tests.support import block_kit
from tests.support.hostile_words import Villain
from tests.support.messages import PLAIN
from tests.support.slack import CHANNEL, Slack, broken, done

INCIDENTS = 1000
AT_ONCE = 40
"""So many are open at a time, so that their messages lie between one another's."""
LOST = 0.1
"""How many attempts end without a record, whether before, between or after what they write."""
TIMEOUT = 60.0
NEWS: tuple[dict[str, Any], ...] = (
    {"reason": "severity_rose"},
    {"reason": "acknowledged", "acknowledged_by": "<!channel> ana"},
    {"reason": "reopened", "reopened": 1},
    {"reason": "escalated"},
)
ENDS: tuple[dict[str, Any], ...] = (
    {"reason": "resolved"},
    {"reason": "vanished"},
    {"reason": "source_lost"},
    {"reason": "resolved", "untold": True},
)


class Clock:
    """Seconds since the epoch; it moves only when somebody sleeps, so that a day passes in seconds."""

    def __init__(self) -> None:
        self.at = PLAIN.since + 60

    def __call__(self) -> float:
        return self.at

    def sleep(self, seconds: float) -> None:
        self.at += seconds


@dataclass
class Story:
    """What is still to be told of one incident, and what the outbox knows of its message."""

    notices: list[Message]
    place: str = ""
    may_repeat: bool = False
    told: list[Receipt] = field(default_factory=list)


class Run:
    """Tells them all, by chance in turns."""

    def __init__(self, workspace: Slack, clock: Clock, seed: int) -> None:
        self.workspace, self.clock, self.villain = workspace, clock, Villain(seed)
        self.pace = Pace(1.0, clock, clock.sleep)
        self.stories = [self._story(number) for number in range(1, INCIDENTS + 1)]

    def _story(self, incident: int) -> Story:
        chance = self.villain.chance
        news = chance.sample(NEWS, k=chance.choice((0, 0, 1, 2)))
        last = {"status": "resolved", "until": PLAIN.since + 600, **chance.choice(ENDS)}
        fields = [{"reason": "opened"}, *news, last]
        return Story([self.villain.message(incident, number, **each) for number, each in enumerate(fields, start=1)])

    async def tell(self) -> None:
        waiting, open_ = list(self.stories), list[Story]()
        while waiting or open_:
            if waiting and len(open_) < AT_ONCE:
                open_.append(waiting.pop(0))
            story = self.villain.chance.choice(open_)
            await self._attempt(story)
            if not story.notices:
                open_.remove(story)

    async def _attempt(self, story: Story) -> None:
        lost = self.villain.chance.random() < LOST
        if lost and self.villain.chance.random() < 0.5:
            # the post is done, and its answer is lost on the way; or the thread's is
            faults = self.workspace.faults["chat.postMessage"]
            faults += self.villain.chance.choice(([broken(504, does_it=True)], [done, broken(504, does_it=True)]))
        url = self.workspace.url(buttons=self.villain.chance.choice(("yes", "no")))
        telling = slack.telling(url, story.notices[0], story.may_repeat, story.place, TIMEOUT, self.pace)
        receipt = await asyncio.to_thread(telling)
        self.workspace.faults.clear()
        self.clock.sleep(2.0)
        story.told.append(receipt)
        if lost:  # as by kill -9: nobody wrote down what came of it
            story.may_repeat = True
            return
        story.place = receipt.place or story.place
        if receipt.result == "sent":
            story.notices.pop(0)
            story.may_repeat = False
        else:
            story.may_repeat |= receipt.result == "unknown"


@pytest.fixture
async def run() -> AsyncIterator[Run]:
    clock = Clock()
    async with Slack(clock).serving() as workspace:
        yield Run(workspace, clock, seed=5)


async def test_a_thousand_hostile_incidents_are_a_thousand_messages(run: Run) -> None:
    await run.tell()
    workspace = run.workspace
    assert workspace.refused == []
    assert (workspace.mentions[:5], workspace.limited) == ([], 0)
    roots = workspace.roots()
    assert len(roots) == INCIDENTS
    for root in roots:
        assert root.edits
        assert root.text.startswith(("[RESOLVED]", "[SOURCE LOST]"))
        assert "may be a repeat" not in root.text
        revisions = [reply.metadata["event_payload"]["revision"] for reply in workspace.thread(root) if reply.metadata]
        assert len(revisions) == len(set(revisions)), "something was said twice in a thread"
    marked = [
        text for one in workspace.channels[CHANNEL] for text in (*one.said, *block_kit.texts(one.blocks, "mrkdwn"))
    ]
    assert not any("|pay here>" in text for text in marked), "a link that somebody made up"
    assert all(any(receipt.result == "sent" for receipt in story.told) for story in run.stories)
