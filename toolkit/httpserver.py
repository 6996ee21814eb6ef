"""The web server both services share: health, reload, authentication, limits, TLS, one metric per request."""

import asyncio
import base64
import binascii
import hashlib
import hmac
import ipaddress
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Annotated, TypeVar

import bcrypt
import pydantic
from aiohttp import StreamReader, hdrs, web
from aiohttp.http import HttpProcessingError
from aiohttp.typedefs import Handler, Middleware

from toolkit.configfile import ConfigError, ExistingFile, Model, Problem, Secret
from toolkit.dawdlers import Dawdlers
from toolkit.secretfile import SecretFile, SecretUnreadable
from toolkit.selfmetrics import ServiceMetrics
from toolkit.storage import StorageUnavailable

MAX_BODY_BYTES = 16 * 1024 * 1024
BODY_TIMEOUT_SECONDS = 30.0
BACKLOG = 2048
"""Alertmanager opens hundreds of connections at once when many groups fire together."""
DAWDLERS = web.AppKey("DAWDLERS", Dawdlers)
"""Whom `serve` sends away."""
OPEN_PATHS = frozenset({"/-/healthy", "/-/ready"})
OpenHandler = TypeVar("OpenHandler", bound=Callable[..., Awaitable[web.StreamResponse]])


def proves_itself(handler: OpenHandler) -> OpenHandler:
    """Marks a handler whose requests carry a proof of their own, such as a signed link, which it checks itself: who
    calls it is not asked for a token or a password."""
    handler.proves_itself = True  # type: ignore[attr-defined]  # the mark that _authenticated looks for
    return handler


class ServerAuth(Model):
    """Who may call this service. Several files hold the old and the new token while one is rotated."""

    bearer_token_files: tuple[Secret, ...] = ()


BcryptHash = Annotated[str, pydantic.Field(pattern=r"^\$2[abxy]\$\d\d\$[./A-Za-z0-9]{53}$")]


class TlsServer(Model):
    """`tls_server_config` of Prometheus's web configuration file."""

    cert_file: ExistingFile
    key_file: ExistingFile
    client_ca_file: ExistingFile | None = None


class WebConfig(Model):
    """`--web.config.file`, in the format of Prometheus's exporter-toolkit: TLS, and users with bcrypt hashes."""

    tls_server_config: TlsServer | None = None
    basic_auth_users: dict[str, BcryptHash] = {}


@dataclass(frozen=True)
class Listen:
    """Where to listen. `port` 0 takes a free one."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> "Listen":
        """`"127.0.0.1:9970"`, `"[::1]:9970"` or `":9970"` (every address). Raises ValueError."""
        host, colon, port = text.rpartition(":")
        if not colon or not port.isdigit() or int(port) > 65535:
            raise ValueError(f"{text!r} is not HOST:PORT")
        return cls(host.strip("[]") or "0.0.0.0", int(port))  # noqa: S104 - what ":9970" asks for, as in Prometheus

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach it."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


@dataclass(frozen=True)
class Authenticator:
    """Who may call: users with a bcrypt hash, or a bearer token out of several files (so that one can be rotated).

    Without users and tokens everybody may.
    """

    users: Mapping[str, str] = field(default_factory=dict)
    tokens: tuple[SecretFile, ...] = ()
    _good: set[bytes] = field(default_factory=set, repr=False, compare=False)
    """Digests of (hash, password) that matched: bcrypt costs 50 ms and more, on purpose."""

    @property
    def required(self) -> bool:
        """Whether a caller has to show anything."""
        return bool(self.users or self.tokens)

    async def allows(self, header: str | None) -> bool:
        """Whether the value of an `Authorization` header is good. Costs a bcrypt only when a password is new."""
        if not self.required:
            return True
        scheme, _, rest = (header or "").partition(" ")
        if scheme.lower() == "bearer":
            return self._token_is_good(rest.strip().encode(errors="surrogateescape"))
        if scheme.lower() == "basic":
            return await self._password_is_good(rest.strip())
        return False

    def _token_is_good(self, given: bytes) -> bool:
        good = False
        for file in self.tokens:
            try:
                good |= hmac.compare_digest(file.read().encode(), given)
            except SecretUnreadable:
                continue
        return good

    async def _password_is_good(self, encoded: str) -> bool:
        try:
            user, colon, password = base64.b64decode(encoded, validate=True).partition(b":")
        except (binascii.Error, ValueError):
            return False
        if colon and self._token_is_good(password):
            # a browser can show no bearer token, but a person can paste one as the password
            return True
        hashed = self.users.get(user.decode(errors="replace"))
        if not colon or hashed is None or len(password) > 72:
            return False
        digest = hashlib.sha256(hashed.encode() + password).digest()
        if digest in self._good:
            return True
        good = await asyncio.to_thread(bcrypt.checkpw, password, hashed.encode())
        if good:
            self._good.add(digest)
        return good


@dataclass(frozen=True)
class Probes:
    """What the server asks the service that it belongs to."""

    ready: Callable[[], bool]
    reload: Callable[[], Awaitable[None]]
    drain: Callable[[], None]
    """Told that the process is about to stop, while requests may still come."""
    authenticator: Callable[[], Authenticator]


def application(probes: Probes, metrics: ServiceMetrics) -> web.Application:
    """An application with `/-/healthy`, `/-/ready` and `POST /-/reload`; add the service's own routes to it."""
    dawdlers = Dawdlers()
    app = web.Application(client_max_size=MAX_BODY_BYTES, middlewares=[_entrance(dawdlers, probes, metrics)])
    app[DAWDLERS] = dawdlers

    async def healthy(_: web.Request) -> web.Response:
        return web.Response(text="Healthy.\n")

    async def ready(_: web.Request) -> web.Response:
        return web.Response(text="Ready.\n") if probes.ready() else web.Response(status=503, text="Not ready.\n")

    async def reload(_: web.Request) -> web.Response:
        try:
            await probes.reload()
        except ConfigError as error:
            return web.Response(status=500, text=f"The configuration is unchanged:\n{error}\n")
        return web.Response(text="Reloaded.\n")

    app.router.add_get("/-/healthy", healthy)
    app.router.add_get("/-/ready", ready)
    app.router.add_post("/-/reload", reload)
    return app


def _entrance(dawdlers: Dawdlers, probes: Probes, metrics: ServiceMetrics) -> Middleware:
    """What every request goes through: one step, for each would cost as much again."""
    # to find a child by its labels takes longer than to count
    child = lru_cache(maxsize=1024)(metrics.http_requests.labels)

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        dawdlers.has_asked(request.protocol)
        code = 500
        try:
            response = await handler(request) if await _may(request, probes) else unauthorized()
            code = response.status
        except StorageUnavailable as error:
            metrics.storage_errors.inc()
            response, code = _unavailable(error), 503
        except web.HTTPException as error:
            code = error.status
            raise
        finally:
            resource = request.match_info.route.resource
            child(resource.canonical if resource is not None else "none", code).inc()
        return response

    return middleware


async def _may(request: web.Request, probes: Probes) -> bool:
    """Whether a request is answered by its handler."""
    if request.path in OPEN_PATHS or getattr(request.match_info.handler, "proves_itself", False):
        return True
    return await probes.authenticator().allows(request.headers.get(hdrs.AUTHORIZATION))


def unauthorized() -> web.Response:
    """The answer to who did not show who they are."""
    return web.Response(
        status=401, text="Unauthorized.\n", headers={hdrs.WWW_AUTHENTICATE: 'Basic realm="tocsin", Bearer'}
    )


def _unavailable(error: StorageUnavailable) -> web.Response:
    return web.Response(status=503, text=f"{error}\n", headers={hdrs.RETRY_AFTER: "1"})


async def read_body(request: web.Request) -> bytes:
    """The whole body, at most the request's `client_max_size` of it within BODY_TIMEOUT_SECONDS; answers 413 or 408
    otherwise, and 400 to chunks that are none, or to a `Content-Encoding` that is another.

    A body that says it is larger is not waited for; others are counted while they come, and unzipped.
    """
    if request.content_length is not None and request.content_length > MAX_BODY_BYTES:
        raise web.HTTPRequestEntityTooLarge(MAX_BODY_BYTES, request.content_length)
    try:
        if request.content.is_eof():
            # all of it came with the headers: a timer would cost more than the rest
            return await _joined(request.content, request.client_max_size)
        async with asyncio.timeout(BODY_TIMEOUT_SECONDS):
            return await _joined(request.content, request.client_max_size)
    except (web.RequestPayloadError, HttpProcessingError) as error:
        raise web.HTTPBadRequest(text=f"the body can't be read: {error}\n") from None
    except TimeoutError:
        raise web.HTTPRequestTimeout(text=f"the body took longer than {BODY_TIMEOUT_SECONDS:g} s\n") from None


async def _joined(content: StreamReader, most_bytes: int) -> bytes:
    """All that comes, copied once: `request.read` copies each part, and then the whole."""
    content.set_read_chunk_size(most_bytes)  # what is unzipped comes in few parts
    parts, size = list[bytes](), 0
    while not content.at_eof():
        part = content.read_nowait() or await content.readany()
        size += len(part)
        if size > most_bytes:
            raise web.HTTPRequestEntityTooLarge(most_bytes, size)
        parts.append(part)
    return b"".join(parts)


def server_tls(config: WebConfig) -> ssl.SSLContext | None:
    """The server's TLS context, or None for plain HTTP. Raises OSError or ssl.SSLError for unusable files."""
    tls = config.tls_server_config
    if tls is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tls.cert_file, tls.key_file)
    if tls.client_ca_file is not None:
        context.load_verify_locations(tls.client_ca_file)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def require_authentication(listen: Listen, authenticator: Authenticator, insecure: bool, config_file: Path) -> None:
    """Raises ConfigError when another machine could call without showing who it is, unless that is wanted."""
    if listen.loopback or authenticator.required or insecure:
        return
    message = (
        f"auth: {listen.host}:{listen.port} can be reached from other machines, and nobody is asked who they are: set "
        "auth.bearer_token_files here, or basic_auth_users in --web.config.file; --web.insecure overrides this"
    )
    raise ConfigError([Problem(config_file, 1, 1, message)])
