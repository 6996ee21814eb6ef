"""One HTTP exchange with a provider, as a value. No redirect is followed, no retry made: both hide failures."""

import asyncio
import base64
import hashlib
import ssl
import time
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode

import aiohttp

from exporter.config import Provider
from exporter.providers.answer import Exchange, Failure, FailureReason, Outcome
from exporter.providers.transport import ClosedEarly, FilesUnusable, PrivateAddress, Route, Sessions, Trace, current
from toolkit.secretfile import SecretUnreadable

MAX_BODY_BYTES = 256 * 1024


@dataclass(frozen=True)
class Call:
    """A request to make, its credential included: never to be shown. `timeout` is seconds for the whole exchange."""

    url: str
    timeout: float
    route: Route = field(default_factory=Route)
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    form: Mapping[str, str] | None = None
    proxy: str | None = None
    server_name: str | None = None


@dataclass(frozen=True)
class Credential:
    """What authenticates a request: a header or a query parameter, with a value that must never be shown.

    `fingerprint` tells one secret from another without holding it; "" without one.
    """

    secret: str = field(default="", repr=False)
    fingerprint: str = ""
    header: tuple[str, str] | None = field(default=None, repr=False)
    query: tuple[str, str] | None = field(default=None, repr=False)


def credential(provider: Provider) -> Credential:
    """The credential in the provider's secret file, as it is now. Raises SecretUnreadable."""
    auth = provider.auth
    if auth is None:
        return Credential()
    secret = auth.secret_file.read()
    if not secret.isprintable():
        raise SecretUnreadable(f"secret file {auth.secret_file.path}: holds more than one line, or a control character")
    known = fingerprint(secret)
    if auth.query:
        return Credential(secret, known, query=(auth.query, secret))
    value = base64.b64encode(secret.encode()).decode() if auth.scheme.lower() == "basic" else secret
    return Credential(secret, known, header=(auth.header, f"{auth.scheme} {value}".strip()))


def request_fingerprint(provider: Provider, known: Credential) -> str:
    """Tells one secret, and one request, from another: what a good answer was good for."""
    return f"{known.fingerprint}.{fingerprint(f'{provider.method} {provider.url}')}"


def fingerprint(secret: str) -> str:
    """Tells one secret from another without holding it."""
    return hashlib.sha256(secret.encode()).hexdigest()[:16]


def call(provider: Provider, known: Credential, timeout: float, url: str = "") -> Call:
    """The provider's request, or one to another `url` of it with the same credential and the same way there."""
    target = url or provider.url
    if known.query is not None:
        target += ("&" if "?" in target else "?") + urlencode([known.query])
    return Call(
        url=target,
        timeout=timeout,
        route=route(provider),
        method="GET" if url else provider.method,
        headers={**provider.headers, **dict([known.header] if known.header else [])},
        proxy=provider.proxy,
        server_name=provider.tls.server_name or None,
    )


def route(provider: Provider) -> Route:
    """How connections to a provider are made."""
    tls = provider.tls
    # through a proxy, names are the proxy's to resolve, and the proxy itself is named by the configuration
    networks = None if provider.proxy else provider.private_networks
    return Route(tls.ca_file, tls.cert_file, tls.key_file, networks)


async def exchange(sessions: Sessions, request: Call) -> Outcome:
    """One request, within its timeout. Never raises for anything the network or the vendor does."""
    trace = Trace(started=time.perf_counter())
    mark = current.set(trace)
    try:
        async with asyncio.timeout(request.timeout):
            outcome = await _answer(sessions.of(request.route), request, trace)
    except FilesUnusable as error:
        return Failure("secret", str(error))
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError, zlib.error) as error:
        reason, detail = _failure(error, request.timeout)
        trace.ended = time.perf_counter()
        return Failure(reason, detail, trace.ended - trace.started, trace.phases())
    finally:
        current.reset(mark)
    return outcome


async def _answer(session: aiohttp.ClientSession, request: Call, trace: Trace) -> Exchange:
    # aiohttp's own timeout is off: asyncio.timeout above bounds the whole exchange, a dripping body included
    answer = session.request(
        request.method,
        request.url,
        headers=request.headers,
        data=request.form,
        allow_redirects=False,
        proxy=request.proxy,
        server_hostname=request.server_name,
        timeout=aiohttp.ClientTimeout(total=None),
    )
    async with answer as response:
        trace.answered = time.perf_counter()
        body = bytearray()
        async for chunk in response.content.iter_any():
            body += chunk
            if len(body) > MAX_BODY_BYTES:
                # an error worth reading is short; what is longer is judged by its beginning
                break
        trace.ended = time.perf_counter()
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Exchange(
            response.status,
            _decoded(bytes(body), headers.get("content-encoding", "")),
            headers,
            trace.ended - trace.started,
            trace.phases(),
            trace.certificate_expires,
        )


def _decoded(body: bytes, encoding: str) -> bytes:
    """The beginning of the body as it was before gzip or deflate, never more than MAX_BODY_BYTES of it."""
    if encoding.lower() in ("gzip", "x-gzip", "deflate") and body:
        # 32 + 15: gzip or zlib, whichever header the body has
        return zlib.decompressobj(32 + zlib.MAX_WBITS).decompress(body, MAX_BODY_BYTES)
    return body[:MAX_BODY_BYTES]


def _failure(error: Exception, timeout: float) -> tuple[FailureReason, str]:  # noqa: C901, PLR0911 - a table
    match error:
        case TimeoutError():
            return "timeout", f"not within {timeout:.3g} s"
        case aiohttp.ClientConnectorDNSError(os_error=PrivateAddress()):
            return "private_address", f"the name {error.host} leads to a private address, which is not allowed"
        case aiohttp.ClientProxyConnectionError():
            return "connect", "the proxy refused or could not be reached"
        case aiohttp.ClientHttpProxyError():
            return "connect", f"the proxy answered {error.status}"
        case aiohttp.ClientConnectorDNSError():
            return "dns", f"the name {error.host} could not be resolved"
        case aiohttp.ClientConnectorCertificateError():
            return "tls", f"the certificate of {error.host} is not trusted{_why(error.certificate_error)}"
        case aiohttp.ClientSSLError() | ssl.SSLError():
            return "tls", "the TLS handshake failed"
        case aiohttp.ClientConnectorError():
            return "connect", f"{error.host}:{error.port} refused or could not be reached"
        case ClosedEarly():
            return "connect", "the connection was closed before an answer came"
        case OSError():
            return "connect", f"the connection broke ({error.strerror or type(error).__name__})"
        case zlib.error():
            return "protocol", "the body is not the gzip that its header promises"
        case _:
            return "protocol", f"not a valid HTTP answer ({type(error).__name__})"


def _why(error: Exception) -> str:
    message = getattr(error, "verify_message", "")
    return f": {message}" if message else ""
