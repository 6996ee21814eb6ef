"""httpx: event hooks for answers, transports for answers and missing answers.

A hook sees an answer before its body, and can't know whether the program will stream it. So an error's body is never
read here: it is heard while the program reads it, and told when the response is closed.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Any

import httpx

from tocsin_observe.redaction import MOST_READ

if TYPE_CHECKING:
    from tocsin_observe.observer import Call, Observer

_STARTED = "tocsin_observe_started"


class HttpxHooks:
    """What an observer has for httpx. Use event hooks or a transport, not both: each answer would count twice."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer

    def event_hooks(self) -> dict[str, list[Callable[..., Any]]]:
        """For `httpx.Client(event_hooks=...)`: sees answers."""
        return {"request": [_begun], "response": [self._answered]}

    def async_event_hooks(self) -> dict[str, list[Callable[..., Awaitable[Any]]]]:
        """For `httpx.AsyncClient(event_hooks=...)`: sees answers."""

        async def begun(request: httpx.Request) -> None:
            _begun(request)

        async def answered(response: httpx.Response) -> None:
            self._answered(response)

        return {"request": [begun], "response": [answered]}

    def transport(self, inner: httpx.BaseTransport | None = None) -> httpx.BaseTransport:
        """For `httpx.Client(transport=...)`: sees answers and missing answers of `inner` (an HTTPTransport)."""
        return _Transport(self._observer, inner or httpx.HTTPTransport())

    def async_transport(self, inner: httpx.AsyncBaseTransport | None = None) -> httpx.AsyncBaseTransport:
        """For `httpx.AsyncClient(transport=...)`, as `transport`."""
        return _AsyncTransport(self._observer, inner or httpx.AsyncHTTPTransport())

    def _answered(self, response: httpx.Response) -> None:
        with self._observer.quiet():
            request = response.request
            call = _call(self._observer, request, request.extensions.get(_STARTED))
            if call is not None:
                _hear(call, response)


def _begun(request: httpx.Request) -> None:
    request.extensions[_STARTED] = time.perf_counter()


def _call(observer: Observer, request: httpx.Request, started: float | None = None) -> Call | None:
    with observer.quiet():
        return observer.call(request.method, request.url.host, request.url.port, started)
    return None


def _hear(call: Call, response: httpx.Response) -> None:
    """Tells a success now, and an error when its body has been read or given up."""
    if response.status_code < 400:
        call.answered(response.status_code, response.headers, None)
    elif response.is_closed:
        # read by an earlier hook, or made by a transport that had all of it
        call.answered(response.status_code, response.headers, response.content)
    elif isinstance(response.stream, httpx.SyncByteStream):
        response.stream = _Heard(response.stream, _Ear(call, response))
    elif isinstance(response.stream, httpx.AsyncByteStream):
        response.stream = _AsyncHeard(response.stream, _Ear(call, response))


class _Ear:
    """Keeps the beginning of a body that somebody else reads, and tells it once."""

    def __init__(self, call: Call, response: httpx.Response) -> None:
        self._call, self._status, self._headers = call, response.status_code, response.headers
        self._kept = bytearray()
        self._seconds = time.perf_counter() - call.started
        self._told = False

    def hear(self, chunk: bytes) -> None:
        """One piece of the body, as it came over the wire."""
        if len(self._kept) < MOST_READ:
            self._kept += chunk[:MOST_READ]

    def tell(self) -> None:
        """The response is closed."""
        if self._told:
            return
        self._told = True
        body = None
        with self._call.observer.quiet():
            body = self._decoded()
        self._call.answered(self._status, self._headers, body, self._seconds)

    def _decoded(self) -> bytes:
        """The body without its content-encoding, by httpx's own decoders; a beginning decodes as far as it goes."""
        encoding = self._headers.get("content-encoding")
        if encoding is None:
            return bytes(self._kept)
        return httpx.Response(200, headers={"content-encoding": encoding}, content=bytes(self._kept)).content


class _Heard(httpx.SyncByteStream):
    """The stream of a response, with an ear at it."""

    def __init__(self, inner: httpx.SyncByteStream, ear: _Ear) -> None:
        self._inner, self._ear = inner, ear

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._inner:
            self._ear.hear(chunk)
            yield chunk

    def close(self) -> None:
        try:
            self._inner.close()
        finally:
            self._ear.tell()


class _AsyncHeard(httpx.AsyncByteStream):
    """As `_Heard`."""

    def __init__(self, inner: httpx.AsyncByteStream, ear: _Ear) -> None:
        self._inner, self._ear = inner, ear

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._inner:
            self._ear.hear(chunk)
            yield chunk

    async def aclose(self) -> None:
        try:
            await self._inner.aclose()
        finally:
            self._ear.tell()


class _Transport(httpx.BaseTransport):
    """Another transport, observed."""

    def __init__(self, observer: Observer, inner: httpx.BaseTransport) -> None:
        self._observer, self._inner = observer, inner

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        call = _call(self._observer, request)
        if call is None:
            return self._inner.handle_request(request)
        try:
            response = self._inner.handle_request(request)
        except Exception as error:  # whatever the program will see is observed first
            call.failed(error)
            raise
        with self._observer.quiet():
            _hear(call, response)
        return response

    def close(self) -> None:
        self._inner.close()


class _AsyncTransport(httpx.AsyncBaseTransport):
    """As `_Transport`."""

    def __init__(self, observer: Observer, inner: httpx.AsyncBaseTransport) -> None:
        self._observer, self._inner = observer, inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        call = _call(self._observer, request)
        if call is None:
            return await self._inner.handle_async_request(request)
        try:
            response = await self._inner.handle_async_request(request)
        except Exception as error:  # whatever the program will see is observed first
            call.failed(error)
            raise
        with self._observer.quiet():
            _hear(call, response)
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()
