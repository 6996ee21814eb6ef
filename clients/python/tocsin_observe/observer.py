"""The one object that a program makes."""

from __future__ import annotations

import atexit
import logging
import os
import time
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from tocsin_observe.failures import failure_reason
from tocsin_observe.limits import Limits
from tocsin_observe.observation import Outcome, line, parse_name
from tocsin_observe.post import Exporter, post
from tocsin_observe.redaction import default_operation
from tocsin_observe.sampling import Sampler
from tocsin_observe.sender import Sender
from tocsin_observe.tally import Fate, Statistics, Tally

if TYPE_CHECKING:
    import aiohttp
    import requests

    from tocsin_observe import httpx_hooks

logger = logging.getLogger("tocsin_observe")


@dataclass(frozen=True)
class Call:
    """A call to a listed host, from its start (`perf_counter`) to its end. Nothing here raises."""

    observer: Observer
    provider: str
    operation: str
    started: float

    def answered(
        self, status: int, headers: Mapping[str, str] | None, body: bytes | str | None, seconds: float | None = None
    ) -> None:
        """An answer came, after `seconds` (by default, now)."""
        took = self._elapsed() if seconds is None else seconds
        self.observer.observe(
            self.provider, status=status, headers=headers, body=body, operation=self.operation, seconds=took
        )

    def failed(self, error: BaseException) -> None:
        """No answer came. An error that doesn't say so is not observed."""
        self.observer.observe_failure(self.provider, error, operation=self.operation, seconds=self._elapsed())

    def _elapsed(self) -> float:
        return time.perf_counter() - self.started


class Observer:
    """Tells the exporter at `url` what calls of listed hosts were answered.

    `providers` maps a host (or `host:port`) to the provider's name in exporter.yml; other hosts are not observed.
    Nothing here raises or waits, whatever the arguments and whatever the exporter does, but `flush` and `close`, which
    wait as long as they are told. A URL that is none, or no URL, makes an observer that sends nothing, and says so once
    in the log of `tocsin_observe`.
    """

    def __init__(
        self,
        url: str | None,
        *,
        token: str | None = None,
        token_file: str | None = None,
        providers: Mapping[str, str] | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._limits = limits or Limits()
        self._exporter = _exporter(url, token, token_file)
        self._providers = _lowered(providers)
        self._begin()
        atexit.register(self.close)
        if hasattr(os, "register_at_fork"):
            # can't be unregistered, so it must not keep the observer
            os.register_at_fork(after_in_child=partial(_begin_again, weakref.ref(self)))

    @classmethod
    def from_environment(
        cls,
        environment: Mapping[str, str] = os.environ,
        providers: Mapping[str, str] | None = None,
        limits: Limits | None = None,
    ) -> Observer:
        """From TOCSIN_OBSERVE_URL, TOCSIN_OBSERVE_TOKEN_FILE and TOCSIN_OBSERVE_PROVIDERS.

        The last one is written `api.mailgun.net=mailgun,api.stripe.com=stripe` and adds to `providers`.
        """
        pairs = (pair.partition("=") for pair in environment.get("TOCSIN_OBSERVE_PROVIDERS", "").split(","))
        named = {host.strip(): name.strip() for host, _, name in pairs if host.strip() and name.strip()}
        return cls(
            environment.get("TOCSIN_OBSERVE_URL"),
            token_file=environment.get("TOCSIN_OBSERVE_TOKEN_FILE"),
            providers={**(providers or {}), **named},
            limits=limits,
        )

    def _begin(self) -> None:
        """What a process has of its own: locks, the queue, the thread, the counts."""
        self._tally = Tally()
        self._sampler = Sampler(self._limits)
        self._sender: Sender | None = None
        if self._exporter is not None:
            to_exporter = partial(post, self._exporter, timeout=self._limits.post_timeout)
            self._sender = Sender(to_exporter, self._exporter.place, self._limits, self._tally)

    # --- by hand -----------------------------------------------------------------------------------------------------

    def observe(
        self,
        provider: str,
        *,
        status: int | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | str | None = None,
        error: str | None = None,
        operation: str = "",
        seconds: float | None = None,
    ) -> None:
        """Takes one answer (HTTP status, headers, body) or `error`: timeout, dns, connect, tls or protocol.

        `operation` is what the call was for; it should hold no ids. `seconds` is how long it took.
        """
        sender = self._sender
        if sender is None:
            return
        with self.counted():
            outcome, name = Outcome.parse(status, error), parse_name(provider)
            held_back = self._sampler.held_back(name, str(operation), outcome.refusal, time.monotonic())
            if held_back is not None:
                self._tally.ended(held_back)
            else:
                sender.put(line(name, outcome, headers, body, str(operation), seconds))

    def observe_failure(
        self, provider: str, error: BaseException, *, operation: str = "", seconds: float | None = None
    ) -> None:
        """Takes an exception of requests, httpx, aiohttp or the standard library that stands for a missing answer.

        Any other exception is the program's own, and is not observed.
        """
        reason = None
        with self.quiet():
            reason = failure_reason(error)
        if reason is not None:
            self.observe(provider, error=reason, operation=operation, seconds=seconds)

    # --- for the hooks -----------------------------------------------------------------------------------------------

    def call(self, method: str | None, host: str | None, port: int | None, started: float | None = None) -> Call | None:
        """A call as it starts (by `perf_counter`, by default now); None when its host is not listed."""
        with self.quiet():
            lowered = (host or "").lower()
            provider = self._providers.get(f"{lowered}:{port}") or self._providers.get(lowered)
            if provider is not None and self._sender is not None:
                operation = default_operation(method or "", lowered)
                return Call(self, provider, operation, time.perf_counter() if started is None else started)
        return None

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """Keeps mistakes of this library, and of what it is handed, away from the program."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - observing must never break a call that went well
            logger.debug("not observed: %s", type(error).__name__)

    @contextmanager
    def counted(self) -> Iterator[None]:
        """One observation: as `quiet`, and what fails is counted as unusable."""
        self._tally.observed()
        try:
            yield
        except Exception as error:  # noqa: BLE001 - as in `quiet`
            self._tally.ended(Fate.UNUSABLE)
            logger.debug("not observed: %s", type(error).__name__)

    def requests_hook(self, response: requests.Response, *_args: object, **settings: object) -> None:
        """For `session.hooks["response"]` of requests: sees answers."""
        from tocsin_observe import requests_hooks  # noqa: PLC0415 - only a program that has requests asks for it

        requests_hooks.answered(self, response, streamed=bool(settings.get("stream", True)))

    def watch_requests(self, session: requests.Session) -> None:
        """Sees answers and missing answers of a session of requests, through the adapters that it has now."""
        from tocsin_observe import requests_hooks  # noqa: PLC0415 - as above

        with self.quiet():
            requests_hooks.watch(self, session)

    @property
    def httpx(self) -> httpx_hooks.HttpxHooks:
        """Event hooks and transports for httpx. Raises ImportError without httpx."""
        from tocsin_observe import httpx_hooks  # noqa: PLC0415 - only a program that has httpx asks for it

        return httpx_hooks.HttpxHooks(self)

    def aiohttp_trace(self) -> aiohttp.TraceConfig:
        """For `aiohttp.ClientSession(trace_configs=[...])`: sees answers and missing answers. Raises ImportError."""
        from tocsin_observe import aiohttp_hooks  # noqa: PLC0415 - only a program that has aiohttp asks for it

        return aiohttp_hooks.trace_config(self)

    # --- the end -----------------------------------------------------------------------------------------------------

    def statistics(self) -> Statistics:
        """What became of the observations so far."""
        return self._tally.statistics(self._sender.count() if self._sender is not None else 0)

    def flush(self, timeout: float = 1.0) -> bool:
        """Sends what waits now; whether nothing waits any more within `timeout` seconds.

        For processes that are frozen or killed without an end, such as functions of a cloud.
        """
        return self._sender is None or self._sender.flush(timeout)

    def close(self, timeout: float | None = None) -> None:
        """One last attempt to send, within `timeout` seconds. The end of the program does this too."""
        atexit.unregister(self.close)
        if self._sender is not None:
            self._sender.close(self._limits.exit_timeout if timeout is None else timeout)

    def __enter__(self) -> Observer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _begin_again(observer: weakref.ref[Observer]) -> None:
    """In a forked child: the thread is gone, a lock may be held by nobody, and the parent sends what was queued."""
    forked = observer()
    if forked is not None:
        forked._begin()


def _exporter(url: str | None, token: str | None, token_file: str | None) -> Exporter | None:
    if not url:
        logger.info("no exporter is configured: nothing is observed")
        return None
    try:
        return Exporter.parse(url, token, token_file)
    except (ValueError, TypeError, AttributeError) as error:  # a wrong setting must not keep the program from starting
        logger.warning("nothing is observed: %s", error)
        return None


def _lowered(providers: Mapping[str, str] | None) -> dict[str, str]:
    try:
        return {host.lower(): name for host, name in (providers or {}).items()}
    except (ValueError, TypeError, AttributeError) as error:
        logger.warning("no host is observed: providers maps hosts to names (%s)", type(error).__name__)
        return {}
