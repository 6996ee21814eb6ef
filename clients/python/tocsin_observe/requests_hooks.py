"""requests: a response hook for answers, and a wrap of each adapter's `send` for answers that never came."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import requests
    from requests.adapters import BaseAdapter

    from tocsin_observe.observer import Call, Observer


def answered(observer: Observer, response: requests.Response, streamed: bool) -> None:
    """What the hook does with an answer. A body that the program streams is left to it."""
    call = _call(observer, response.request)
    if call is None:
        return
    body = None
    try:
        if response.status_code >= 400 and not streamed:
            # requests loads the body right after its hooks and keeps it; what this raises, that would raise
            body = response.content
    finally:
        call.answered(response.status_code, response.headers, body, response.elapsed.total_seconds())


def watch(observer: Observer, session: requests.Session) -> None:
    """Adds the hook and wraps the session's adapters, once."""
    hooks = session.hooks["response"]
    if observer.requests_hook in hooks:
        return
    hooks.append(observer.requests_hook)
    for adapter in set(session.adapters.values()):
        _wrap(observer, adapter)


def _wrap(observer: Observer, adapter: BaseAdapter) -> None:
    inner = adapter.send

    def send(request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        call = _call(observer, request)
        try:
            return inner(request, *args, **kwargs)
        except Exception as error:  # whatever the program will see is observed first
            if call is not None:
                call.failed(error)
            raise

    # on the instance, so that the program's adapter keeps its class and its settings
    adapter.send = send  # type: ignore[method-assign]


def _call(observer: Observer, request: requests.PreparedRequest) -> Call | None:
    with observer.quiet():
        split = urlsplit(request.url or "")
        return observer.call(request.method, split.hostname, split.port)
    return None
