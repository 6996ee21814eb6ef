"""The client's decisions: what passes, why no answer came, what makes an observation."""

import errno
import http.client
import json
import socket
import ssl
from collections.abc import Callable

import aiohttp
import httpx
import pytest
import requests
import urllib3

from tocsin_observe import Limits
from tocsin_observe.failures import failure_reason
from tocsin_observe.observation import Outcome, UnusableError, line, parse_name
from tocsin_observe.post import Exporter
from tocsin_observe.sampling import MOST_KEYS, Sampler
from tocsin_observe.tally import Fate

LIMITS = Limits(success_interval=5.0, refusals_per_second=2.0)
OK, REFUSED = False, True
PASSED, SAMPLED, LIMITED = None, Fate.SAMPLED_OUT, Fate.RATE_LIMITED
Step = tuple[float, str, str, bool, Fate | None]
FULL: list[Step] = [(0, "a", "x", REFUSED, PASSED)] * 8
TIMELINES: list[tuple[str, list[Step]]] = [
    ("the first success passes", [(0, "a", "x", OK, PASSED)]),
    ("the next one says nothing new", [(0, "a", "x", OK, PASSED), (4.9, "a", "x", OK, SAMPLED)]),
    ("after the interval one passes again", [(0, "a", "x", OK, PASSED), (5, "a", "x", OK, PASSED)]),
    (
        "one that was held back doesn't lengthen the interval",
        [(0, "a", "x", OK, PASSED), (4, "a", "x", OK, SAMPLED), (5, "a", "x", OK, PASSED)],
    ),
    ("each operation counts alone", [(0, "a", "x", OK, PASSED), (0, "a", "y", OK, PASSED)]),
    ("each provider counts alone", [(0, "a", "x", OK, PASSED), (0, "b", "x", OK, PASSED)]),
    ("a refusal passes among successes", [(0, "a", "x", OK, PASSED), (1, "a", "x", REFUSED, PASSED)]),
    ("a flood of refusals is cut", [*FULL, (0, "a", "x", REFUSED, LIMITED)]),
    (
        "the rate fills up again",
        [*FULL, (0.5, "a", "x", REFUSED, PASSED), (0.5, "a", "x", REFUSED, LIMITED)],
    ),
    (
        "one provider's flood takes nothing from another",
        [*FULL, (0, "b", "x", REFUSED, PASSED)],
    ),
]


@pytest.mark.parametrize("steps", [row[1] for row in TIMELINES], ids=[row[0] for row in TIMELINES])
def test_what_passes(steps: list[Step]) -> None:
    sampler = Sampler(LIMITS)
    for now, provider, operation, refusal, fate in steps:
        assert sampler.held_back(provider, operation, refusal, now) == fate


def test_operations_named_by_an_id_are_held_back_and_room_comes_again() -> None:
    sampler = Sampler(LIMITS)
    fates = [sampler.held_back("a", f"order {number}", OK, 0) for number in range(MOST_KEYS + 10)]
    assert fates == [PASSED] * MOST_KEYS + [SAMPLED] * 10
    assert sampler.held_back("a", "order 1000", OK, 5) is PASSED


def test_providers_without_end_are_held_back() -> None:
    sampler = Sampler(LIMITS)
    fates = [sampler.held_back(f"vendor {number}", "x", REFUSED, 0) for number in range(MOST_KEYS + 1)]
    assert fates == [PASSED] * MOST_KEYS + [LIMITED]


def caused_by(outer: Exception, inner: BaseException) -> Exception:
    outer.__cause__ = inner
    return outer


def loop() -> Exception:
    error = KeyError("loop")
    return caused_by(error, error)


NOWHERE = urllib3.connection.HTTPConnection("x")
REFUSES = ConnectionRefusedError(errno.ECONNREFUSED, "refused")
ERRORS: list[tuple[str, Callable[[], BaseException], str | None]] = [
    ("a name that can't be resolved", lambda: socket.gaierror(-2, "unknown"), "dns"),
    ("the same inside an error of httpx", lambda: caused_by(httpx.ConnectError("x"), socket.gaierror(-2, "x")), "dns"),
    ("a certificate", lambda: ssl.SSLCertVerificationError("x"), "tls"),
    ("a certificate inside an error of requests", lambda: requests.exceptions.SSLError(ssl.SSLError("x")), "tls"),
    ("time", TimeoutError, "timeout"),
    ("time, for requests", lambda: requests.ReadTimeout("x"), "timeout"),
    ("time to connect, for requests", lambda: requests.ConnectTimeout("x"), "timeout"),
    ("time, for httpx", lambda: httpx.ReadTimeout("x"), "timeout"),
    ("time, for aiohttp", lambda: aiohttp.SocketTimeoutError("x"), "timeout"),
    ("refused", lambda: REFUSES, "connect"),
    (
        "refused, for requests",
        lambda: requests.ConnectionError(urllib3.exceptions.ProtocolError("x", REFUSES)),
        "connect",
    ),
    ("refused, as urllib3 says it", lambda: urllib3.exceptions.NewConnectionError(NOWHERE, "x"), "connect"),
    ("refused, for httpx", lambda: httpx.ConnectError("x"), "connect"),
    (
        "reset, for httpx",
        lambda: caused_by(httpx.ReadError("x"), ConnectionResetError(errno.ECONNRESET, "x")),
        "connect",
    ),
    ("no route", lambda: OSError(errno.EHOSTUNREACH, "x"), "connect"),
    ("a proxy that refuses", lambda: httpx.ProxyError("407"), "connect"),
    ("hung up without an answer", lambda: http.client.RemoteDisconnected("x"), "protocol"),
    ("hung up, for aiohttp", aiohttp.ServerDisconnectedError, "protocol"),
    ("no HTTP", lambda: http.client.BadStatusLine("x"), "protocol"),
    ("no HTTP, for httpx", lambda: httpx.RemoteProtocolError("x"), "protocol"),
    ("the program's own pool is empty", lambda: httpx.PoolTimeout("x"), None),
    ("a URL that is none", lambda: requests.exceptions.InvalidURL("x"), None),
    ("too many redirects", lambda: requests.TooManyRedirects("x"), None),
    ("an error of the program", lambda: KeyError("x"), None),
    ("an error that holds itself", loop, None),
]


@pytest.mark.parametrize(("make", "reason"), [row[1:] for row in ERRORS], ids=[row[0] for row in ERRORS])
def test_why_no_answer_came(make: Callable[[], BaseException], reason: str | None) -> None:
    assert failure_reason(make()) == reason


def test_a_line_says_what_the_exporter_wants() -> None:
    sent = line(
        "mailgun", Outcome(401, None), {"Retry-After": "3"}, b'{"m": "Forbidden"}', "POST api.mailgun.net", 0.31
    )
    assert json.loads(sent) == {
        "provider": "mailgun",
        "status": 401,
        "headers": {"retry-after": "3"},
        "body": '{"m": "Forbidden"}',
        "operation": "POST api.mailgun.net",
        "seconds": 0.31,
    }


def test_a_missing_answer_has_its_reason_in_place_of_the_answer() -> None:
    sent = line("mailgun", Outcome(None, "dns"), {"Retry-After": "3"}, b"x", "", None)
    assert json.loads(sent) == {"provider": "mailgun", "error": "dns"}


@pytest.mark.parametrize("status", [200, 201, 302, 399])
def test_a_body_that_is_no_error_never_leaves(status: int) -> None:
    assert json.loads(line("mailgun", Outcome(status, None), {}, b"private", "", None))["body"] == ""


@pytest.mark.parametrize("seconds", [-1.0, float("nan"), float("inf"), "3", None])
def test_seconds_that_are_none_are_left_out(seconds: float) -> None:
    assert "seconds" not in json.loads(line("mailgun", Outcome(200, None), {}, None, "", seconds))


@pytest.mark.parametrize(
    ("status", "error"),
    [(None, None), (99, None), (600, None), ("401", None), (True, None), (None, "bored"), (0, "dns")],
)
def test_what_is_neither_a_status_nor_a_reason_is_refused(status: object, error: object) -> None:
    with pytest.raises(UnusableError):
        Outcome.parse(status, error)


@pytest.mark.parametrize("name", ["", None, 7, "x" * 201])
def test_what_is_no_name_is_refused(name: object) -> None:
    with pytest.raises(UnusableError):
        parse_name(name)


URLS = [
    ("http://127.0.0.1:9970", (False, "127.0.0.1", 9970, "/v1/observations")),
    ("https://tocsin.example/exporter/", (True, "tocsin.example", None, "/exporter/v1/observations")),
    ("http://[::1]:9970", (False, "::1", 9970, "/v1/observations")),
]


@pytest.mark.parametrize(("url", "parts"), URLS)
def test_the_exporters_url_is_read(url: str, parts: tuple[bool, str, int | None, str]) -> None:
    exporter = Exporter.parse(url, "canary", None)
    assert (exporter.tls, exporter.host, exporter.port, exporter.path) == parts
    assert "canary" not in repr(exporter)


@pytest.mark.parametrize("url", ["127.0.0.1:9970", "ftp://x", "http://", "http://x:port", "http://[::1"])
def test_a_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Exporter.parse(url, None, None)
