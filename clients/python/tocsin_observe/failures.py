"""Why no answer came, read off whatever the HTTP library raised. Pure; imports none of the libraries."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Iterator

REASONS = ("dns", "tls", "timeout", "connect", "protocol")
"""The most telling first: a library wraps one error in another, and the name that can't be resolved is the cause."""
_KINDS: dict[str, tuple[type[BaseException], ...]] = {
    "dns": (socket.gaierror,),
    "tls": (ssl.SSLError,),
    "timeout": (TimeoutError, socket.timeout),
    "connect": (),
    "protocol": (http.client.HTTPException,),
}
_NAMES = {
    "dns": {"NameResolutionError", "ClientConnectorDNSError"},
    "tls": {"SSLError", "ClientSSLError", "ClientConnectorCertificateError"},
    "timeout": {"Timeout", "TimeoutException", "TimeoutError"},
    "connect": {"NewConnectionError", "ConnectError", "ClientConnectorError", "ProxyError", "ClientHttpProxyError"},
    "protocol": {
        "ProtocolError",
        "RemoteProtocolError",
        "ReadError",
        "HttpProcessingError",
        "ClientConnectionError",
        "ClientPayloadError",
    },
}
"""Of requests and urllib3, httpx, aiohttp. A class counts with the names of all its bases."""
_OURS = {"PoolTimeout", "EmptyPoolError", "LocalProtocolError"}
"""The program's own doing: too few connections for its threads, or a malformed request."""
_DEPTH = 8


def failure_reason(error: BaseException) -> str | None:
    """One of `REASONS`; None when `error` doesn't say that a vendor failed to answer."""
    chain = list(_chain(error, _DEPTH))
    if any(not _OURS.isdisjoint(_names(link)) for link in chain):
        return None
    return next((reason for reason in REASONS if any(_is(link, reason) for link in chain)), None)


def _is(error: BaseException, reason: str) -> bool:
    names = _names(error)
    if reason == "timeout" and "NewConnectionError" in names:
        # to urllib3 a refused connection is a kind of timeout
        return False
    if isinstance(error, _KINDS[reason]) or not _NAMES[reason].isdisjoint(names):
        return True
    # errors of requests are OSErrors all of them, those of the system alone have a number
    return reason == "connect" and isinstance(error, OSError) and error.errno is not None


def _names(error: BaseException) -> set[str]:
    return {kind.__name__ for kind in type(error).__mro__}


def _chain(error: BaseException, depth: int) -> Iterator[BaseException]:
    """The error, what it was raised from, and what it carries: urllib3 in `reason`, requests in its arguments."""
    if depth == 0:
        return
    yield error
    inner = (error.__cause__, error.__context__, getattr(error, "reason", None), *error.args)
    found = next((one for one in inner if isinstance(one, BaseException)), None)
    if found is not None:
        yield from _chain(found, depth - 1)
