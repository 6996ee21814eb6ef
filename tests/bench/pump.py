"""The load for what takes bodies in: prepared requests over kept connections, from a process of its own.

python -m tests.bench.pump PLAN, where PLAN is a `Pump` as JSON; prints a `Pumped` as JSON.
"""

import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec


@dataclass(frozen=True)
class Pump:
    """What to post: the bodies in `bodies` (files) in turns to `path`, over `connections`, for `seconds`."""

    port: int
    path: str
    bodies: Sequence[str]
    connections: int
    seconds: float
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Pumped:
    """What came of it: answers by status, seconds that each took, and seconds from the first request to the last
    answer."""

    answers: Mapping[str, int]
    took: Sequence[float]
    elapsed: float


class Connection(asyncio.Protocol):
    """Sends a request, waits for its answer, sends the next."""

    def __init__(self, requests: Sequence[bytes], until: float, answers: Counter[str], took: list[float]) -> None:
        self._requests, self._until, self._answers, self._took = requests, until, answers, took
        self._next = 0
        self._received = b""
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._send()

    def _send(self) -> None:
        self._began = time.perf_counter()
        self._transport.write(self._requests[self._next % len(self._requests)])
        self._next += 1

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, blank, body = self._received.partition(b"\r\n\r\n")
        if not blank:
            return
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0])
        if len(body) < length:
            return
        now = time.perf_counter()
        self._answers[head[9:12].decode()] += 1
        self._took.append(now - self._began)
        self._received = b""
        if now < self._until:
            self._send()
        else:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        if not self.ended.done():
            self.ended.set_result(None)


async def pump(plan: Pump) -> Pumped:
    """Carries out `plan`."""
    loop = asyncio.get_running_loop()
    lines = "".join(f"{name}: {value}\r\n" for name, value in plan.headers.items())
    requests = []
    for file in plan.bodies:
        body = Path(file).read_bytes()  # noqa: ASYNC240 - before anything is measured
        head = f"POST {plan.path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n{lines}\r\n"
        requests.append(head.encode() + body)
    answers, took = Counter[str](), list[float]()
    began = time.perf_counter()
    until = began + plan.seconds

    def connection(number: int) -> Connection:
        turned = requests[number % len(requests) :] + requests[: number % len(requests)]
        return Connection(turned, until, answers, took)

    made = [
        await loop.create_connection(lambda number=number: connection(number), "127.0.0.1", plan.port)  # type: ignore[misc]  # mypy knows no default of a lambda
        for number in range(plan.connections)
    ]
    await asyncio.gather(*(protocol.ended for _, protocol in made))
    return Pumped(answers, took, time.perf_counter() - began)


if __name__ == "__main__":
    print(json.dumps(msgspec.to_builtins(asyncio.run(pump(msgspec.json.decode(sys.argv[1], type=Pump))))))
