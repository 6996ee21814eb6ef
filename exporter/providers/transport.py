"""Connections to vendors: whom they trust, where they may lead, and how long each step of making one took.

Every request gets a new connection. A kept one would hide that a name, a route or a certificate no longer works.
"""

import asyncio
import ipaddress
import socket
import ssl
import time
from collections.abc import Iterable
from concurrent.futures import Executor, ThreadPoolExecutor
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pydantic
from aiohttp.abc import AbstractResolver, ResolveResult

from toolkit.configfile import ExistingFile, Model

USER_AGENT = "tocsin-exporter"
DNS_CACHE_SECONDS = 60
RESOLVER_THREADS = 32
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class ProviderTls(Model):
    """As Prometheus's `tls_config`: a CA in place of the system's, a certificate of ours, the name to expect."""

    ca_file: ExistingFile | None = None
    cert_file: ExistingFile | None = None
    key_file: ExistingFile | None = None
    server_name: str = ""

    @pydantic.model_validator(mode="after")
    def _loads(self) -> "ProviderTls":
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("cert_file and key_file belong together")
        try:
            tls_context(self.ca_file, self.cert_file, self.key_file)
        except (ssl.SSLError, OSError) as error:
            reason = getattr(error, "reason", None) or type(error).__name__
            raise ValueError(f"these files can't be used for TLS: {reason}") from None
        return self


class FilesUnusable(Exception):
    """A provider's TLS files can't be read any more, or don't fit together."""


class PrivateAddress(OSError):
    """A name led to an address that only our own network knows, and the configuration doesn't allow that."""


# --- where the time goes -----------------------------------------------------------------------------------------


@dataclass
class Trace:
    """The moments of one request, by `time.perf_counter`, 0 for a step that was not reached or not needed; and when
    the server's certificate ends, in seconds since the epoch."""

    started: float = 0.0
    resolving: float = 0.0
    resolved: float = 0.0
    handshake: float = 0.0
    connected: float = 0.0
    answered: float = 0.0
    ended: float = 0.0
    certificate_expires: float | None = None

    def phases(self) -> dict[str, float]:
        """Seconds by phase. `connect` ends where the TLS handshake begins, `first_byte` where the body begins."""
        end = self.ended or time.perf_counter()
        connected = self.connected or end
        resolve = (self.resolved or connected) - self.resolving if self.resolving else 0.0
        tls = connected - self.handshake if self.handshake else 0.0
        answered = self.answered or end
        return {
            "resolve": resolve,
            "connect": max(connected - self.started - resolve - tls, 0.0),
            "tls": tls,
            "first_byte": answered - connected if self.connected else 0.0,
            "body": end - answered if self.answered else 0.0,
        }


PHASES = ("resolve", "connect", "tls", "first_byte", "body")
current: ContextVar[Trace | None] = ContextVar("trace", default=None)
"""The trace of the request under way in this task."""


class _Context(ssl.SSLContext):
    """Marks when a handshake begins: aiohttp's tracing tells of a connection only as a whole."""

    def wrap_bio(self, *args: Any, **kwargs: Any) -> ssl.SSLObject:
        trace = current.get()
        if trace is not None:
            trace.handshake = time.perf_counter()
        return super().wrap_bio(*args, **kwargs)


class ClosedEarly(aiohttp.ClientConnectionError):
    """The server closed the connection before it answered."""


class _Connector(aiohttp.TCPConnector):
    """Marks when a connection stands, and until when the server's certificate is good. Makes one for a request."""

    async def connect(self, *args: Any, **kwargs: Any) -> Any:
        trace = current.get()
        if trace is not None and trace.connected:
            # aiohttp asks anew by itself where a connection was closed; a retry hides that it was
            raise ClosedEarly
        connection = await super().connect(*args, **kwargs)
        if trace is not None:
            trace.connected = time.perf_counter()
            trace.certificate_expires = _end_of_certificate(connection.transport)
        return connection


def _end_of_certificate(transport: asyncio.Transport | None) -> float | None:
    certificate = transport.get_extra_info("peercert") if transport is not None else None
    return float(ssl.cert_time_to_seconds(certificate["notAfter"])) if certificate else None


class _Resolver(AbstractResolver):
    """Resolves names, marks how long it took, and keeps to the public internet and the networks that are allowed."""

    def __init__(self, allowed: tuple[Network, ...] | None, threads: Executor) -> None:
        self._allowed, self._threads = allowed, threads

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        trace = current.get()
        if trace is not None:
            trace.resolving = time.perf_counter()
        # threads of its own: a name server that hangs must not hold up what else is done in threads
        lookup = partial(socket.getaddrinfo, host, port, family, socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
        found = _results(host, await asyncio.get_running_loop().run_in_executor(self._threads, lookup))
        if trace is not None:
            trace.resolved = time.perf_counter()
        usable = [one for one in found if self._may_lead_to(host, one["host"])]
        if not usable:
            raise PrivateAddress(f"{host} leads to a private address")
        return usable

    def _may_lead_to(self, host: str, address: str) -> bool:
        named = host == "localhost" or host.endswith(".localhost")
        return self._allowed is None or named or permitted(address, self._allowed)

    async def close(self) -> None:
        """Nothing is held."""


def _results(host: str, found: Iterable[Any]) -> list[ResolveResult]:
    return [
        ResolveResult(
            hostname=host,
            # an IPv6 address of a link says which: fe80::1%2
            host=f"{address[0]}%{address[3]}" if len(address) > 3 and address[3] else address[0],
            port=address[1],
            family=family,
            proto=proto,
            flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
        )
        for family, _, proto, _, address in found
    ]


def permitted(address: str, allowed: Iterable[Network]) -> bool:
    """Whether a vendor's name may lead to `address`: a public one, or one of the `allowed` networks."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped:
        ip = ip.ipv4_mapped
    return ip.is_global or any(ip.version == network.version and ip in network for network in allowed)


# --- sessions ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Route:
    """What connections have in common: whom they trust, who we are, where names may lead (None: wherever they do)."""

    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    networks: tuple[Network, ...] | None = ()


class Sessions:
    """One client session for each route and state of its files, made when it is first asked for."""

    def __init__(self) -> None:
        self._open: dict[Route, tuple[tuple[int, ...], aiohttp.ClientSession]] = {}
        self._retired: dict[Route, aiohttp.ClientSession] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._threads = ThreadPoolExecutor(RESOLVER_THREADS, "resolve")

    def of(self, route: Route) -> aiohttp.ClientSession:
        """The session of a route; a certificate that was renewed is used from then on. Raises FilesUnusable."""
        files = (route.ca_file, route.cert_file, route.key_file)
        try:
            written = tuple(file.stat().st_mtime_ns for file in files if file is not None)
            if route not in self._open or self._open[route][0] != written:
                self._put(route, written, _session(route, self._threads))
        except OSError as error:  # ssl.SSLError is one
            raise FilesUnusable(f"the files of tls: {error.strerror or type(error).__name__}") from None
        return self._open[route][1]

    def _put(self, route: Route, written: tuple[int, ...], session: aiohttp.ClientSession) -> None:
        """A session in the place of an older one, which may still be in use, and is closed when this one goes."""
        if route in self._retired:
            task = asyncio.get_running_loop().create_task(self._retired[route].close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)
        if route in self._open:
            self._retired[route] = self._open[route][1]
        self._open[route] = written, session

    async def close(self) -> None:
        """Closes every session."""
        sessions = [*(session for _, session in self._open.values()), *self._retired.values()]
        self._open, self._retired = {}, {}
        for session in sessions:
            await session.close()
        await asyncio.gather(*self._closing)
        self._threads.shutdown(wait=False, cancel_futures=True)


def _session(route: Route, threads: Executor) -> aiohttp.ClientSession:
    connector = _Connector(
        limit=0,
        force_close=True,
        ttl_dns_cache=DNS_CACHE_SECONDS,
        resolver=_Resolver(route.networks, threads),
        ssl=tls_context(route.ca_file, route.cert_file, route.key_file),
    )
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": USER_AGENT, "Accept-Encoding": "gzip"},
        auto_decompress=False,
    )


def tls_context(ca_file: Path | None, cert_file: Path | None, key_file: Path | None) -> ssl.SSLContext:
    """A client's context, of 20 ms to make. Raises OSError or ssl.SSLError for files that can't be used."""
    context = _Context(ssl.PROTOCOL_TLS_CLIENT)
    if ca_file is not None:
        context.load_verify_locations(ca_file)
    else:
        context.load_default_certs()
    if cert_file is not None and key_file is not None:
        context.load_cert_chain(cert_file, key_file)
    return context
