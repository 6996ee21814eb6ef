"""The hooks of requests, httpx and aiohttp: one contract for all of them, and what is each one's own."""

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
import httpx
import pytest
import requests
from aiohttp import web

from tests.support.observing import PATIENCE, QUICK, Exporter, Handler, observed, silent, vendor
from tests.support.ports import free_ports
from tocsin_observe import Observer

Answer = tuple[int, bytes]
PLENTY = 10.0
"""Seconds that a request may take on a machine that is busy."""


@dataclass(frozen=True)
class Program:
    """A program that makes one GET with a library: `get(observer, url, timeout)` returns what it got, or raises."""

    name: str
    get: Callable[[Observer, str, float], Answer]
    sees_failures: bool = True


def requests_hook(observer: Observer, url: str, timeout: float) -> Answer:
    with requests.Session() as session:
        session.hooks["response"].append(observer.requests_hook)
        answer = session.get(url, timeout=timeout)
        return answer.status_code, answer.content


def requests_watched(observer: Observer, url: str, timeout: float) -> Answer:
    with requests.Session() as session:
        observer.watch_requests(session)
        observer.watch_requests(session)  # twice is once
        answer = session.get(url, timeout=timeout)
        return answer.status_code, answer.content


def httpx_hooks(observer: Observer, url: str, timeout: float) -> Answer:
    with httpx.Client(event_hooks=observer.httpx.event_hooks(), timeout=timeout, follow_redirects=True) as client:
        answer = client.get(url)
        return answer.status_code, answer.content


def httpx_transport(observer: Observer, url: str, timeout: float) -> Answer:
    with httpx.Client(transport=observer.httpx.transport(), timeout=timeout, follow_redirects=True) as client:
        answer = client.get(url)
        return answer.status_code, answer.content


def httpx_async_hooks(observer: Observer, url: str, timeout: float) -> Answer:
    async def get() -> Answer:
        hooks = observer.httpx.async_event_hooks()
        async with httpx.AsyncClient(event_hooks=hooks, timeout=timeout, follow_redirects=True) as client:
            answer = await client.get(url)
            return answer.status_code, answer.content

    return asyncio.run(get())


def httpx_async_transport(observer: Observer, url: str, timeout: float) -> Answer:
    async def get() -> Answer:
        transport = observer.httpx.async_transport()
        async with httpx.AsyncClient(transport=transport, timeout=timeout, follow_redirects=True) as client:
            answer = await client.get(url)
            return answer.status_code, answer.content

    return asyncio.run(get())


def aiohttp_trace(observer: Observer, url: str, timeout: float) -> Answer:
    async def get() -> Answer:
        limit = aiohttp.ClientTimeout(total=timeout)
        async with (
            aiohttp.ClientSession(trace_configs=[observer.aiohttp_trace()], timeout=limit) as session,
            session.get(url) as answer,
        ):
            return answer.status, await answer.read()

    return asyncio.run(get())


PROGRAMS = [
    Program("a hook of requests", requests_hook, sees_failures=False),
    Program("a watched session of requests", requests_watched),
    Program("event hooks of httpx", httpx_hooks, sees_failures=False),
    Program("a transport of httpx", httpx_transport),
    Program("asynchronous event hooks of httpx", httpx_async_hooks, sees_failures=False),
    Program("an asynchronous transport of httpx", httpx_async_transport),
    Program("a trace of aiohttp", aiohttp_trace),
]
every_program = pytest.mark.parametrize("program", PROGRAMS, ids=[program.name for program in PROGRAMS])
every_watcher = pytest.mark.parametrize(
    "program", [one for one in PROGRAMS if one.sees_failures], ids=[one.name for one in PROGRAMS if one.sees_failures]
)


def answers(status: int, body: bytes = b"", **headers: str) -> Handler:
    """A vendor that always answers the same."""

    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(
            status=status, body=body, headers={name.replace("_", "-"): headers[name] for name in headers}
        )

    return answer


def told(program: Program, answer: Handler, path: str = "/v1/x?key=hunter") -> tuple[Answer, list[dict[str, Any]]]:
    """What the program got of a vendor, and what the exporter was told of it."""
    exporter = Exporter()
    with vendor(answer) as url, observed(exporter) as observer:
        got = program.get(observer, url + path, PLENTY)
        assert observer.flush(PATIENCE)
        assert observer.statistics().unusable == 0
    return got, exporter.observations


@every_program
def test_an_error_is_told_with_its_body_and_the_program_has_all_of_it(program: Program) -> None:
    body = b'{"error": "subscription_unpaid"}'
    got, (seen,) = told(program, answers(402, body, Retry_After="3", Set_Cookie="a=canary"))
    assert got == (402, body)
    assert 0 <= seen.pop("seconds") < PATIENCE
    headers = seen.pop("headers")
    assert headers.pop("server").startswith("Python")
    assert headers == {"retry-after": "3", "content-type": "application/octet-stream"}
    assert seen == {"provider": "vendor", "status": 402, "body": body.decode(), "operation": "GET 127.0.0.1"}


@every_program
def test_a_success_is_told_without_its_body(program: Program) -> None:
    got, (seen,) = told(program, answers(200, b"private"))
    assert got == (200, b"private")
    assert (seen["status"], seen["body"]) == (200, "")


@every_program
def test_a_zipped_error_is_told_in_plain_text(program: Program) -> None:
    async def answer(_: web.Request) -> web.StreamResponse:
        response = web.Response(status=403, text="unpaid " * 100)
        response.enable_compression(web.ContentCoding.gzip)
        return response

    got, (seen,) = told(program, answer)
    assert got == (403, b"unpaid " * 100)
    assert seen["body"] == "unpaid " * 100


@every_program
def test_an_error_in_pieces_is_told_whole(program: Program) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=403)
        response.enable_chunked_encoding()
        await response.prepare(request)
        await response.write(b"un")
        await response.write(b"paid")
        return response

    got, (seen,) = told(program, answer)
    assert got == (403, b"unpaid")
    assert seen["body"] == "unpaid"


@every_program
def test_of_a_long_error_the_beginning_is_told_and_the_program_has_all_of_it(program: Program) -> None:
    body = b"unpaid " * 200_000
    got, (seen,) = told(program, answers(403, body))
    assert got == (403, body)
    assert seen["body"].encode() == body[:4096]


@every_program
def test_an_error_without_a_body_is_told(program: Program) -> None:
    got, (seen,) = told(program, answers(401))
    assert got == (401, b"")
    assert (seen["status"], seen["body"]) == (401, "")


@every_program
def test_a_host_that_is_not_listed_is_not_observed(program: Program) -> None:
    exporter = Exporter()
    with vendor(answers(401)) as url, observed(exporter) as observer:
        program.get(observer, url.replace("127.0.0.1", "localhost"), PLENTY)
        assert observer.statistics().observed == 0


@every_program
def test_after_a_redirect_the_last_answer_is_told(program: Program) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        if request.path == "/old":
            raise web.HTTPFound("/new")
        return web.Response(status=403, text="unpaid")

    got, seen = told(program, answer, "/old")
    assert got == (403, b"unpaid")
    assert seen[-1]["status"] == 403
    assert [one["status"] for one in seen if one["status"] >= 400] == [403]


@every_program
def test_a_program_goes_on_when_nothing_is_observed_at_all(program: Program) -> None:
    with vendor(answers(402, b"unpaid")) as url, Observer(None, providers={"127.0.0.1": "vendor"}) as observer:
        assert program.get(observer, url, PLENTY) == (402, b"unpaid")


@every_program
def test_a_mistake_of_the_observer_breaks_no_call(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> None:
        raise RuntimeError("a mistake of ours")

    monkeypatch.setattr("tocsin_observe.observer.line", fails)
    monkeypatch.setattr("tocsin_observe.observer.default_operation", fails)
    with vendor(answers(402, b"unpaid")) as url, observed(Exporter()) as observer:
        assert program.get(observer, url, PLENTY) == (402, b"unpaid")


# --- answers that never come -----------------------------------------------------------------------------------------


def hang(connection: socket.socket) -> None:
    connection.settimeout(PATIENCE)
    while connection.recv(65536):
        pass


def hang_up(connection: socket.socket) -> None:
    connection.recv(65536)


def talk_nonsense(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.sendall(b"hello\r\n\r\n")


FAILURES: list[tuple[str, Callable[[socket.socket], None], str, float, set[str]]] = [
    ("hangs", hang, "http", 0.3, {"timeout"}),
    ("hangs up", hang_up, "http", PLENTY, {"protocol"}),
    ("talks nonsense", talk_nonsense, "http", PLENTY, {"protocol"}),
    ("speaks no TLS", talk_nonsense, "https", PLENTY, {"tls"}),
]


@every_watcher
@pytest.mark.parametrize(
    ("behave", "scheme", "timeout", "reasons"), [row[1:] for row in FAILURES], ids=[row[0] for row in FAILURES]
)
def test_a_vendor_that_does_not_answer_is_told(
    program: Program, behave: Callable[[socket.socket], None], scheme: str, timeout: float, reasons: set[str]
) -> None:
    exporter = Exporter()
    with silent(behave) as place, observed(exporter) as observer:
        with pytest.raises((requests.RequestException, httpx.HTTPError, aiohttp.ClientError, TimeoutError)):
            program.get(observer, f"{scheme}://{place}/x", timeout)
        assert observer.flush(PATIENCE)
    (seen,) = exporter.observations
    assert seen.pop("error") in reasons
    assert seen.pop("seconds") >= 0
    assert seen == {"provider": "vendor", "operation": "GET 127.0.0.1"}


@every_watcher
def test_a_vendor_that_is_not_there_is_told(program: Program) -> None:
    exporter = Exporter()
    with observed(exporter, QUICK, **{"vendor.invalid": "nameless"}) as observer:
        for url in (f"http://127.0.0.1:{free_ports(1)[0]}/", "http://vendor.invalid/"):
            with pytest.raises((requests.RequestException, httpx.HTTPError, aiohttp.ClientError)):
                program.get(observer, url, PLENTY)
        assert observer.flush(PATIENCE)
    assert [(one["provider"], one["error"]) for one in exporter.observations] == [
        ("vendor", "connect"),
        ("nameless", "dns"),
    ]


@every_program
def test_a_body_that_breaks_off_breaks_off_for_the_program_too(program: Program) -> None:
    def break_off(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 500 X\r\nContent-Length: 100\r\n\r\nhalf")

    exporter = Exporter()
    with silent(break_off) as place, observed(exporter) as observer:
        with pytest.raises((requests.RequestException, httpx.HTTPError, aiohttp.ClientError)):
            program.get(observer, f"http://{place}/x", PLENTY)
        assert observer.flush(PATIENCE)
    (seen,) = exporter.observations
    assert seen.get("status") == 500


# --- bodies that the program streams ---------------------------------------------------------------------------------


class Slow:
    """A vendor whose error's body comes in two halves, the second when it is let go."""

    def __init__(self) -> None:
        self.let_go = threading.Event()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=403)
        await response.prepare(request)
        await response.write(b"un")
        while not self.let_go.is_set():
            await asyncio.sleep(0.01)
        await response.write(b"paid")
        return response


def test_requests_leaves_a_streamed_error_to_the_program() -> None:
    exporter, slow = Exporter(), Slow()
    with vendor(slow.answer) as url, observed(exporter) as observer, requests.Session() as session:
        observer.watch_requests(session)
        with session.get(url, stream=True, timeout=PLENTY) as answer:
            assert observer.flush(PATIENCE)
            assert [one["body"] for one in exporter.observations] == [""]
            slow.let_go.set()
            assert b"".join(answer.iter_content(2)) == b"unpaid"


def test_httpx_hears_a_streamed_error_while_the_program_reads_it() -> None:
    exporter, slow = Exporter(), Slow()
    with vendor(slow.answer) as url, observed(exporter) as observer:
        hooks = observer.httpx.event_hooks()
        with httpx.Client(event_hooks=hooks, timeout=PLENTY) as client, client.stream("GET", url) as answer:
            slow.let_go.set()
            assert b"".join(answer.iter_raw()) == b"unpaid"
        assert observer.flush(PATIENCE)
    assert [one["body"] for one in exporter.observations] == ["unpaid"]


async def test_httpx_hears_an_error_that_is_streamed_asynchronously() -> None:
    exporter, slow = Exporter(), Slow()
    with vendor(slow.answer) as url, observed(exporter) as observer:
        transport = observer.httpx.async_transport()
        async with (
            httpx.AsyncClient(transport=transport, timeout=PLENTY) as client,
            client.stream("GET", url) as answer,
        ):
            slow.let_go.set()
            assert b"".join([chunk async for chunk in answer.aiter_raw()]) == b"unpaid"
        assert await asyncio.to_thread(observer.flush, PATIENCE)
    assert [one["body"] for one in exporter.observations] == ["unpaid"]


def test_httpx_tells_an_error_that_the_program_does_not_read() -> None:
    exporter, slow = Exporter(), Slow()
    with vendor(slow.answer) as url, observed(exporter) as observer:
        hooks = observer.httpx.event_hooks()
        with httpx.Client(event_hooks=hooks, timeout=PLENTY) as client, client.stream("GET", url):
            pass
        slow.let_go.set()
        assert observer.flush(PATIENCE)
    assert [(one["status"], one["body"]) for one in exporter.observations] == [(403, "")]


def test_httpx_tells_an_answer_that_another_hook_has_read() -> None:
    exporter = Exporter()
    with vendor(answers(402, b"unpaid")) as url, observed(exporter) as observer:
        hooks = observer.httpx.event_hooks()
        hooks["response"].insert(0, lambda response: response.read())
        with httpx.Client(event_hooks=hooks, timeout=PLENTY) as client:
            assert client.get(url).content == b"unpaid"
        assert observer.flush(PATIENCE)
    assert [one["body"] for one in exporter.observations] == ["unpaid"]


Read = Callable[[aiohttp.ClientResponse], Awaitable[bytes]]


async def in_chunks(answer: aiohttp.ClientResponse) -> bytes:
    return b"".join([chunk async for chunk in answer.content.iter_chunked(2)])


async def from_the_stream(answer: aiohttp.ClientResponse) -> bytes:
    return await answer.content.read()


async def whole(answer: aiohttp.ClientResponse) -> bytes:
    return await answer.read()


@pytest.mark.parametrize("read", [in_chunks, from_the_stream, whole])
async def test_aiohttp_leaves_an_error_in_the_stream(read: Read) -> None:
    exporter = Exporter()
    with vendor(answers(402, b"unpaid")) as url, observed(exporter) as observer:
        async with (
            aiohttp.ClientSession(trace_configs=[observer.aiohttp_trace()]) as session,
            session.get(url) as answer,
        ):
            assert await read(answer) == b"unpaid"
        assert await asyncio.to_thread(observer.flush, PATIENCE)
    assert [one["body"] for one in exporter.observations] == ["unpaid"]


@pytest.mark.parametrize("read", [in_chunks, from_the_stream, whole])
async def test_aiohttp_does_not_wait_for_an_error_that_is_slow(read: Read) -> None:
    exporter, slow = Exporter(), Slow()
    with vendor(slow.answer) as url, observed(exporter) as observer:
        async with (
            aiohttp.ClientSession(trace_configs=[observer.aiohttp_trace()]) as session,
            session.get(url) as answer,
        ):
            assert await asyncio.to_thread(observer.flush, PATIENCE)
            assert [(one["status"], one["body"]) for one in exporter.observations] == [(403, "un")]
            slow.let_go.set()
            assert await read(answer) == b"unpaid"


async def test_aiohttp_tells_the_cause_to_a_program_that_only_raises() -> None:
    exporter = Exporter()
    with vendor(answers(402, b"unpaid")) as url, observed(exporter) as observer:
        async with aiohttp.ClientSession(trace_configs=[observer.aiohttp_trace()]) as session:
            with pytest.raises(aiohttp.ClientResponseError):
                async with session.get(url) as answer:
                    answer.raise_for_status()
            with pytest.raises(aiohttp.ClientResponseError):
                await session.get(url, raise_for_status=True)
        assert await asyncio.to_thread(observer.flush, PATIENCE)
    assert [(one["status"], one["body"]) for one in exporter.observations] == [(402, "unpaid"), (402, "")]


async def test_a_call_that_the_program_gives_up_is_not_the_vendors_failure() -> None:
    exporter = Exporter()
    with silent(hang) as place, observed(exporter) as observer:
        async with aiohttp.ClientSession(trace_configs=[observer.aiohttp_trace()]) as session:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await session.get(f"http://{place}")
        assert observer.statistics().observed == 0


def test_a_watched_session_keeps_its_adapters() -> None:
    with requests.Session() as session, observed(Exporter()) as observer:
        before = dict(session.adapters)
        observer.watch_requests(session)
        assert dict(session.adapters) == before
        assert all(isinstance(adapter, requests.adapters.HTTPAdapter) for adapter in session.adapters.values())
