"""One HTTP exchange with a provider, as a value. No redirect is followed, no retry made: both hide failures."""

import asyncio
import base64
import hashlib
import ssl
import time
from collections.abc import Mapping

import aiohttp

from exporter.config import Provider, ProviderAuth
from exporter.providers.answer import Exchange, Failure, FailureReason
from toolkit.secretfile import SecretUnreadable

MAX_BODY_BYTES = 256 * 1024
USER_AGENT = "tocsin-exporter"


def client_session() -> aiohttp.ClientSession:
    """A session for probes: a new connection each time, no cookies, no proxy or credential from the environment."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, force_close=True, ttl_dns_cache=60),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": USER_AGENT},
        auto_decompress=True,
    )


def fingerprint(auth: ProviderAuth | None) -> str:
    """Tells one secret from another without holding it: "" without one, or when it can't be read."""
    try:
        return hashlib.sha256(auth.secret_file.read().encode()).hexdigest()[:16] if auth else ""
    except SecretUnreadable:
        return ""


async def exchange(session: aiohttp.ClientSession, provider: Provider) -> Exchange | Failure:
    """One request as `provider` describes it, within its timeout. Never raises for anything the network does."""
    started = time.perf_counter()
    try:
        headers = {**provider.headers, **_credentials(provider.auth)}
    except SecretUnreadable as error:
        return Failure("secret", str(error))
    try:
        async with asyncio.timeout(provider.timeout):
            outcome = await _answer(session, provider, headers)
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        outcome = _failure(error, provider.timeout)
    seconds = time.perf_counter() - started
    if isinstance(outcome, Failure):
        return Failure(outcome.reason, outcome.detail, seconds)
    return Exchange(outcome.status, outcome.body, outcome.headers, seconds)


def _credentials(auth: ProviderAuth | None) -> dict[str, str]:
    if auth is None:
        return {}
    secret = auth.secret_file.read()
    if auth.scheme.lower() == "basic":
        secret = base64.b64encode(secret.encode()).decode()
    return {auth.header: f"{auth.scheme} {secret}".strip()}


async def _answer(session: aiohttp.ClientSession, provider: Provider, headers: Mapping[str, str]) -> Exchange | Failure:
    # aiohttp's own timeout is off: asyncio.timeout above bounds the whole exchange, a dripping body included
    request = session.request(
        provider.method, provider.url, headers=headers, allow_redirects=False, timeout=aiohttp.ClientTimeout(total=None)
    )
    async with request as response:
        body = bytearray()
        async for chunk in response.content.iter_any():
            body += chunk
            if len(body) > MAX_BODY_BYTES:
                # an error worth reading is short; what is longer is judged by its beginning
                break
        lowered = {name.lower(): value for name, value in response.headers.items()}
        return Exchange(response.status, bytes(body[:MAX_BODY_BYTES]), lowered)


def _failure(error: Exception, timeout: float) -> Failure:
    reason: FailureReason
    match error:
        case TimeoutError():
            reason, detail = "timeout", f"not within {timeout:g} s"
        case aiohttp.ClientConnectorDNSError():
            reason, detail = "dns", f"the name {error.host} could not be resolved"
        case aiohttp.ClientConnectorCertificateError():
            reason, detail = "tls", f"the certificate of {error.host} is not trusted"
        case aiohttp.ClientSSLError() | ssl.SSLError():
            reason, detail = "tls", "the TLS handshake failed"
        case aiohttp.ClientConnectorError():
            reason, detail = "connect", f"{error.host}:{error.port} refused or could not be reached"
        case OSError():
            reason, detail = "connect", f"the connection broke ({error.strerror or type(error).__name__})"
        case _:
            reason, detail = "protocol", f"not a valid HTTP answer ({type(error).__name__})"
    return Failure(reason, detail)
