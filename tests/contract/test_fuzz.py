"""Whatever is sent to any endpoint is answered, never with a 5xx but the planned ones, and what is stored of it can be
worked on.

Requests are written to the socket byte by byte, since an HTTP client would refuse to send the worst of them.
"""

import asyncio
import copy
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.contract.conftest import AUTH, StartReceiver
from tests.contract.test_receiver import HOOK, NO_TARGET, alert, post

EXAMPLES = 1000
"""For each of the two databases: some ten seconds."""
PLANNED = {500: {"/-/reload"}, 503: None}
"""The 5xx that are meant: on which paths, None for all."""

# --- what is sent


@dataclass(frozen=True)
class Sent:
    """One request."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def raw(self) -> bytes:
        """As it goes over the wire."""
        chunked = "Transfer-Encoding" in self.headers
        length = {} if chunked else {"Content-Length": str(len(self.body))}
        lines = [f"{name}: {value}" for name, value in {"Host": "x", **length, **self.headers}.items()]
        head = "\r\n".join([f"{self.method} {self.path} HTTP/1.1", *lines, "Connection: close", "", ""])
        body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(self.body), self.body) if chunked else self.body
        return head.encode("latin-1", errors="replace") + body


TEXTS = st.one_of(
    st.text(max_size=20),
    st.sampled_from(
        [
            "",
            "0",
            "-1",
            "1",
            "99999999999",
            "9" * 400,
            "\0",
            "a\0b",
            "²",
            "٣",
            "..",
            "../../token",
            "Watchdog",
            "NaN",
            "\u202e",
            "{{x}}",
        ]
    ),
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
LABELS = st.sampled_from(["alertname", "service", "severity", "instance", "provider", "owner"])
TIMES = st.sampled_from(
    [
        "2026-11-20T10:00:00Z",
        "2026-11-20T10:00:00.123456789+01:00",
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
        "now",
    ]
)
ALERTS = st.fixed_dictionaries(
    {
        "status": st.sampled_from(["firing", "resolved"]),
        "labels": st.dictionaries(LABELS | TEXTS, TEXTS, max_size=4),
        "annotations": st.dictionaries(
            st.sampled_from(["summary", "runbook_url", "value_query"]) | TEXTS, TEXTS, max_size=3
        ),
        "startsAt": TIMES,
        "endsAt": TIMES,
        "generatorURL": TEXTS,
        "fingerprint": st.sampled_from(["a", "b", "c"]) | st.text("0123456789abcdef", min_size=16, max_size=16),
    }
)
NOTIFICATIONS = st.fixed_dictionaries(
    {"version": st.just("4"), "alerts": st.lists(ALERTS, max_size=4)},
    optional={
        "externalURL": TEXTS,
        "truncatedAlerts": st.integers(-1, 3),
        "receiver": TEXTS,
        "groupLabels": st.dictionaries(TEXTS, TEXTS, max_size=2),
    },
)


@st.composite
def mutated(draw: st.DrawFn) -> Any:
    """A notification with one thing in it put in another's place, or gone."""
    shape = draw(NOTIFICATIONS)
    place = copy.deepcopy(shape)
    root = {"root": place}
    holder: Any = root
    key: Any = "root"
    while isinstance(holder[key], dict | list) and holder[key] and draw(st.integers(0, 3)):
        holder = holder[key]
        key = draw(st.sampled_from(sorted(holder) if isinstance(holder, dict) else range(len(holder))))
    if draw(st.booleans()):
        holder[key] = draw(VALUES)
    else:
        del holder[key]
    return root.get("root")


def encoded(value: Any) -> bytes:
    """JSON with whatever Python's json lets through: NaN, lone surrogates."""
    return json.dumps(value).encode()


@st.composite
def broken(draw: st.DrawFn) -> bytes:
    """The bytes of a notification, some of them cut out or replaced."""
    text = encoded(draw(NOTIFICATIONS))
    start, end = sorted(draw(st.tuples(st.integers(0, len(text)), st.integers(0, len(text)))))
    return text[:start] + draw(st.binary(max_size=8)) + text[end:]


BODIES = st.one_of(
    NOTIFICATIONS.map(encoded),
    mutated().map(encoded),
    broken(),
    VALUES.map(encoded),
    st.fixed_dictionaries({}, optional={"by": VALUES, "target": VALUES}).map(encoded),
    st.binary(max_size=60),
    st.just(b""),
)
HEADERS = st.fixed_dictionaries(
    {"Authorization": st.sampled_from([AUTH["Authorization"]] * 9 + ["Basic \xff", "Bearer \xe9", ""])},
    optional={
        "Content-Type": st.sampled_from(
            ["application/json", "text/plain; charset=utf-7", "multipart/form-data", "\xff/"]
        ),
        "Content-Encoding": st.sampled_from(["gzip", "deflate", "br", "zstd", "identity", "nonsense"]),
        "Transfer-Encoding": st.sampled_from(["chunked", "gzip, chunked", "nonsense"]),
        "Accept": st.sampled_from(["*/*", "application/openmetrics-text", ";q=x", "\xff"]),
        "Accept-Encoding": st.sampled_from(["gzip", "zstd;q=nan", "\xff"]),
        "Expect": st.sampled_from(["100-continue", "nonsense"]),
        "Range": st.just("bytes=9-1"),
        "X-Forwarded-For": TEXTS.map(quote),
    },
)
METHODS = st.sampled_from(["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "BREW"])


@st.composite
def requests(draw: st.DrawFn, routes: list[tuple[str, str]]) -> Sent:
    """Mostly what the router knows, with its own method; the webhook more often than the rest."""
    known = st.sampled_from(routes) | st.just(("POST", HOOK))
    method, pattern = draw(known)
    method = draw(st.just(method) | METHODS)
    path = re.sub(r"\{[^}]+\}", lambda _: quote(draw(TEXTS | st.integers(0, 40).map(str)), safe=""), pattern)
    query = draw(st.dictionaries(TEXTS | st.sampled_from(["seconds"]), TEXTS, max_size=2))
    asked = path + ("?" + urlencode(query) if query else "")
    return Sent(method, asked + draw(st.sampled_from(["", "", "", "/", "%", "%00", "//"])), draw(HEADERS), draw(BODIES))


# --- the run


NULS = ["alertname", "service", "severity", "owner", "instance", "nul\0nul"]


@pytest.mark.parametrize("label", NULS)
async def test_a_nul_in_a_label_is_stored_and_worked_on(start_receiver: StartReceiver, label: str) -> None:
    client, receiver = await start_receiver(NO_TARGET)
    odd = alert()
    odd["labels"][label] = "a\0b"
    assert await post(client, odd) == 1
    assert not await receiver.pipeline.process()


REFUSED = [
    ("a number beyond all incidents", "GET", "/v1/incidents/99999999999", b"", 404),
    ("the same to be explained", "GET", "/v1/explain/99999999999", b"", 404),
    ("a digit that is no number", "GET", "/v1/explain/%C2%B2", b"", 404),
    ("a digit of another script", "GET", "/v1/incidents/%D9%A3", b"", 404),
    ("a NUL in a path", "GET", "/v1/explain/%00", b"", 404),
    ("a report of a digit that is no number", "GET", "/v1/report?seconds=%C2%B2", b"", 400),
    ("a name with a NUL", "POST", "/v1/incidents/1/ack", rb'{"by": "a\u0000b"}', 400),
]


@pytest.mark.parametrize(
    ("method", "path", "body", "status"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED]
)
async def test_what_no_database_takes_is_refused_at_the_door(
    start_receiver: StartReceiver, method: str, path: str, body: bytes, status: int
) -> None:
    client, receiver = await start_receiver(NO_TARGET)
    await post(client, alert())
    await receiver.pipeline.process()
    assert await _ask(client.port, Sent(method, path, AUTH, body).raw) == status


async def test_no_request_is_answered_with_an_unplanned_5xx(start_receiver: StartReceiver) -> None:
    client, receiver = await start_receiver(NO_TARGET)
    app = client.server.app  # type: ignore[attr-defined]  # a TestServer has its application
    routes = sorted({(route.method, route.resource.canonical) for route in app.router.routes()})
    loop = asyncio.get_running_loop()

    def answered(sent: Sent) -> int:
        return asyncio.run_coroutine_threadsafe(_ask(client.port, sent.raw), loop).result(60)

    await asyncio.to_thread(_fuzz, routes, answered)
    assert not await receiver.pipeline.process(), "an event that was stored can't be worked on"
    answer = await client.post(HOOK, json={"version": "4", "alerts": [alert("Good")]}, headers=AUTH)
    assert answer.status == 200


def _fuzz(routes: list[tuple[str, str]], answered: Callable[[Sent], int]) -> None:
    """Raises AssertionError with the smallest request that is answered badly."""

    @settings(max_examples=EXAMPLES, database=None, suppress_health_check=list(HealthCheck))
    @given(requests(routes))
    def check(sent: Sent) -> None:
        status = answered(sent)
        paths = PLANNED.get(status, set())
        assert status < 500 or paths is None or sent.path.partition("?")[0] in paths, (status, sent)

    check()


async def _ask(port: int | None, raw: bytes) -> int:
    """Sends a request as it is; returns the status of the answer, 599 when there is none."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(raw)
        line = await reader.readline()
        found = re.match(rb"HTTP/1\.[01] (\d{3})", line)
        return int(found[1]) if found else 599
    except ConnectionError:
        return 599
    finally:
        writer.close()
