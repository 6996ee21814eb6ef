"""The load: webhooks as Alertmanager posts them, from a process of its own, so that what is measured has its own loop.

python -m tests.bench.load PLAN, where PLAN is a `Load` as JSON; prints a `Posted` as JSON.
"""

import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp
import msgspec

STARTED_AT = "2026-11-20T21:54:12.853Z"
PATIENCE_SECONDS = 120.0


@dataclass(frozen=True)
class Load:
    """What to post: `posts` bodies of `alerts_each` alerts, at most `at_once` under way, `rate` a second (0: as fast as
    answers come), for `seconds` at most. The alerts are numbered from `first`; with `services` they are dealt out over
    so many groups, otherwise each body is a group of its own."""

    url: str
    posts: int
    at_once: int
    rate: float = 0.0
    seconds: float = PATIENCE_SECONDS
    alerts_each: int = 1
    services: int = 0
    first: int = 0


@dataclass(frozen=True)
class Posted:
    """What came of it: answers by status (0: none came), seconds from a post's due time to its answer, in the order
    they came, and seconds from the first post to the last answer."""

    answers: Mapping[str, int]
    took: Sequence[float]
    elapsed: float

    @property
    def acknowledged(self) -> int:
        """How many posts were answered with 2xx."""
        return sum(count for status, count in self.answers.items() if status.startswith("2"))


def alert(number: int, group: str) -> dict[str, Any]:
    """One alert as Alertmanager 0.25 writes it; `group` is its alertname and service."""
    instance = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}:9100"
    summary = f"{group}: the error ratio of {instance} is 0.{number % 90 + 10}"
    return {
        "status": "firing",
        "labels": {**_common(group), "instance": instance, "severity": "warning"},
        "annotations": {"summary": summary, "runbook_url": "https://runbooks.example/Errors"},
        "startsAt": STARTED_AT,
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus:9090/graph?g0.expr=errors+%3E+0.1&g0.tab=1",
        "fingerprint": f"{number:016x}",
    }


def _common(group: str) -> dict[str, str]:
    return {"alertname": group, "cluster": "eu-1", "environment": "Production", "job": "node", "service": group}


def body(number: int, alerts: int, group: str) -> bytes:
    """A webhook's body with the alerts from `number` on, as Alertmanager groups them by alertname and service."""
    labels = {"alertname": group, "service": group}
    shape = {
        "receiver": "tocsin",
        "status": "firing",
        "alerts": [alert(one, group) for one in range(number, number + alerts)],
        "groupLabels": labels,
        "commonLabels": _common(group),
        "commonAnnotations": {},
        "externalURL": "http://alertmanager:9093",
        "version": "4",
        "groupKey": f'{{}}:{{alertname="{group}", service="{group}"}}',
        "truncatedAlerts": 0,
    }
    return json.dumps(shape, separators=(",", ":")).encode()


def bodies(load: Load) -> list[bytes]:
    """All that `load` posts, made before the first is posted."""
    numbers = (load.first + index * load.alerts_each for index in range(load.posts))
    groups = (f"Group{index % load.services if load.services else load.first + index}" for index in range(load.posts))
    return [body(number, load.alerts_each, group) for number, group in zip(numbers, groups, strict=True)]


async def post(load: Load) -> Posted:
    """Posts it all. With a rate the clock of each post starts when it is due, whether or not it could begin then."""
    waiting = list(enumerate(bodies(load)))[::-1]
    answers: Counter[str] = Counter()
    took: list[float] = []
    headers = {"Content-Type": "application/json", "User-Agent": "Alertmanager/0.25.0"}
    connector, timeout = aiohttp.TCPConnector(limit=0), aiohttp.ClientTimeout(total=PATIENCE_SECONDS)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout, headers=headers) as session:
        began = time.perf_counter()

        async def worker() -> None:
            while waiting and time.perf_counter() - began < load.seconds:
                index, content = waiting.pop()
                due = began + index / load.rate if load.rate else time.perf_counter()
                await asyncio.sleep(max(due - time.perf_counter(), 0))
                answers[await _status(session, load.url, content)] += 1
                took.append(time.perf_counter() - due)

        await asyncio.gather(*(worker() for _ in range(load.at_once)))
        elapsed = time.perf_counter() - began
    return Posted(answers, took, elapsed)


async def _status(session: aiohttp.ClientSession, url: str, content: bytes) -> str:
    try:
        async with session.post(url, data=content) as answer:
            await answer.read()
            return str(answer.status)
    except (aiohttp.ClientError, TimeoutError):
        return "0"


async def posted(load: Load) -> Posted:
    """Posts it from a process of its own."""
    plan = msgspec.json.encode(load).decode()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.bench.load", plan, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    assert process.returncode == 0, "the load generator failed"
    return msgspec.json.decode(out, type=Posted)


if __name__ == "__main__":
    print(msgspec.json.encode(asyncio.run(post(msgspec.json.decode(sys.argv[1], type=Load)))).decode())
