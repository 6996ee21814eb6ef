"""Several receivers on one PostgreSQL."""

import asyncio
import time
from pathlib import Path

import aiohttp
import pytest

from tests.faults.verdict import judge
from tests.support.alertmanagers import Alert, webhook
from tests.support.processes import running, until
from tests.support.receivers import configuration, receivers, records
from tests.support.sink import Behaviour, Channel, answer_ok, listening


@pytest.mark.parametrize("storage", ["postgresql"], indirect=True)
async def test_a_receiver_that_starts_leaves_alone_what_another_is_sending(tmp_path: Path, storage: str) -> None:
    both_run = asyncio.Event()

    async def answer_when_both_run(writer: asyncio.StreamWriter) -> None:
        await both_run.wait()
        await answer_ok(writer)

    channel = Channel("inbox", Behaviour("ok, held back", takes=True, answer=answer_when_both_run))
    async with aiohttp.ClientSession() as session, listening([channel]):
        first, second = receivers(2, configuration([channel], timeout="60s"), storage, tmp_path, session)
        async with running(first):
            body = webhook([Alert("alert-1", time.time())])
            async with session.post(f"{first.url}/webhook/alertmanager", data=body) as answer:
                assert answer.status == 200, await answer.text()
            await until(lambda: bool(channel.told), "the message is on its way")
            async with running(second):
                both_run.set()

                async def idle() -> bool:
                    return (await records(storage)).idle

                await until(idle, "the outcome is on record")
                verdict = judge([("alert-1", "firing")], channel.told, (await records(storage)).rows)
    assert verdict.faults == ""
    assert (verdict.duplicates, verdict.gaps) == (0, 0)
