"""Several receivers on one PostgreSQL."""

import time
from pathlib import Path

import aiohttp
import pytest

from tests.faults.verdict import judge
from tests.support.alertmanagers import Alert, webhook
from tests.support.processes import running, until
from tests.support.receivers import configuration, receivers, records
from tests.support.sink import Channel, listening, slow

SENDING_SECONDS = 8.0
"""Longer than a receiver takes to start, shorter than a target's timeout."""


@pytest.mark.parametrize("storage", ["postgresql"], indirect=True)
async def test_a_receiver_that_starts_leaves_alone_what_another_is_sending(tmp_path: Path, storage: str) -> None:
    channel = Channel("inbox", slow(SENDING_SECONDS, SENDING_SECONDS))
    async with aiohttp.ClientSession() as session, listening([channel]):
        first, second = receivers(2, configuration([channel]), storage, tmp_path, session)
        async with running(first):
            body = webhook([Alert("alert-1", time.time())])
            async with session.post(f"{first.url}/webhook/alertmanager", data=body) as answer:
                assert answer.status == 200, await answer.text()
            await until(lambda: bool(channel.told), "the message is on its way")
            async with running(second):

                async def idle() -> bool:
                    return (await records(storage)).idle

                await until(idle, "the outcome is on record")
                verdict = judge([("alert-1", "firing")], channel.told, (await records(storage)).rows)
    assert verdict.faults == ""
    assert (verdict.duplicates, verdict.gaps) == (0, 0)
