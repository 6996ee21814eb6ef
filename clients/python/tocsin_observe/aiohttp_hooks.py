"""aiohttp: a TraceConfig for answers and missing answers.

aiohttp has no way to look at a body without taking it from the program, and a program that says `raise_for_status()`
never reads it. So what has arrived is looked at in the stream's own buffer and left there.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING

import aiohttp

from tocsin_observe.redaction import MOST_READ

if TYPE_CHECKING:
    from typing import TypeGuard

    from tocsin_observe.observer import Observer

PATIENCE_SECONDS = 0.25
"""An error's body often comes a moment after its head. The call waits this long for it, the event loop does not."""


def trace_config(observer: Observer) -> aiohttp.TraceConfig:
    """Signals for one or many sessions."""

    async def begun(_: aiohttp.ClientSession, context: SimpleNamespace, __: aiohttp.TraceRequestStartParams) -> None:
        context.tocsin_observe_started = time.perf_counter()

    async def ended(_: aiohttp.ClientSession, context: SimpleNamespace, end: aiohttp.TraceRequestEndParams) -> None:
        with observer.quiet():
            await _answered(observer, context, end.response)

    async def failed(
        _: aiohttp.ClientSession, context: SimpleNamespace, end: aiohttp.TraceRequestExceptionParams
    ) -> None:
        with observer.quiet():
            _failed(observer, context, end)

    trace = aiohttp.TraceConfig()
    trace.on_request_start.append(begun)
    trace.on_request_end.append(ended)
    trace.on_request_exception.append(failed)
    return trace


async def _answered(observer: Observer, context: SimpleNamespace, response: aiohttp.ClientResponse) -> None:
    # of several hops the last one: its host may be another than the first one's
    call = observer.call(response.method, response.url.host, response.url.port, context.tocsin_observe_started)
    if call is None:
        return
    seconds = time.perf_counter() - call.started
    body = None
    if response.status >= 400:
        with observer.quiet():
            body = await _arrived(response.content)
    call.answered(response.status, response.headers, body, seconds)


def _failed(observer: Observer, context: SimpleNamespace, end: aiohttp.TraceRequestExceptionParams) -> None:
    call = observer.call(end.method, end.url.host, end.url.port, context.tocsin_observe_started)
    if call is None:
        return
    error = end.exception
    if _is_answer(error):
        call.answered(error.status, error.headers, None)
    else:
        call.failed(error)


def _is_answer(error: BaseException) -> TypeGuard[aiohttp.ClientResponseError]:
    """Whether this is raise_for_status of the session: an answer, whose body aiohttp has let go.

    A proxy's refusal has a status too, and so has an answer that is no HTTP (400, which nobody sent).
    """
    answer = isinstance(error, aiohttp.ClientResponseError) and error.status >= 400
    return answer and error.__cause__ is None and not isinstance(error, aiohttp.ClientHttpProxyError)


async def _arrived(content: aiohttp.StreamReader) -> bytes:
    """The beginning of a body, as far as it has come within PATIENCE_SECONDS. The stream is as it was."""
    with contextlib.suppress(asyncio.TimeoutError):
        await asyncio.wait_for(content.wait_eof(), PATIENCE_SECONDS)
    # aiohttp's own, and private; without it an error is told by its status and headers
    return b"".join(getattr(content, "_buffer", ()))[: MOST_READ * 4]
