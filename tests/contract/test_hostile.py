"""Vendors that answer as none should: each gets its verdict in time, costs little, and disturbs no other."""

import asyncio
import contextlib
import re
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families as families
from prometheus_client.samples import Sample

from tests.contract.test_commands import Process, started
from tests.support.hostile import ATTACKS, Vendors, vendors

TIMEOUT = 2.0
"""Seconds; also the pause between two probes."""
ROUNDS = 3
MOST_BYTES = 64 * 1024 * 1024

BROKEN = ("outage", "protocol", "no answer: not a valid HTTP answer")
CLOSED = ("outage", "connect", "no answer: the connection was closed before an answer came")
LATE = ("outage", "timeout", "no answer: not within 2 s")
FINE = ("ok", "200", "answered 200")
REFUSED = ("plan_restricted", "402", "answered 402 without telling why")
VENDORS = [
    ("a body of 10 GB is judged by its beginning", "endless-body", FINE),
    ("so is a chunked body without end", "endless-chunks", FINE),
    ("so is a zipped body without end", "endless-gzip", FINE),
    ("so is a megabyte of gzip that unpacks to a gigabyte", "gzip-bomb", FINE),
    ("a chunk extension without end is a timeout", "endless-chunk-extension", LATE),
    ("trailers without end are no HTTP", "endless-trailers", BROKEN),
    ("a status line without end is no HTTP", "endless-status-line", BROKEN),
    ("a header without end is no HTTP", "endless-header", BROKEN),
    ("headers without end are no HTTP", "endless-headers", BROKEN),
    ("promises to go on, without end, are a timeout", "endless-continue", LATE),
    ("a head that comes by the byte is a timeout", "dripping-head", LATE),
    ("a body that comes by the byte is a timeout", "dripping-body", LATE),
    ("gzip that is none is no answer", "broken-gzip", ("outage", "protocol", "no answer: ")),
    ("gzip that was cut off still came with its status", "cut-gzip", FINE),
    ("text that is no UTF-8 is judged by its status", "no-utf-8", REFUSED),
    ("100,000 brackets are a body like any other", "brackets", FINE),
    ("100,000 brackets in an error are judged by the status", "brackets-in-an-error", REFUSED),
    ("errors within errors are judged by the status", "errors-in-errors", REFUSED),
    ("words without end that mean nothing are judged by the status", "ramblings", REFUSED),
    ("NUL bytes in a body are judged by the status", "nul-bytes", REFUSED),
    ("a NUL byte in a header is no HTTP", "nul-in-a-header", BROKEN),
    ("500 headers are no HTTP", "500-headers", BROKEN),
    ("a header of a megabyte is no HTTP", "header-of-1-mb", BROKEN),
    ("a redirect is an answer, not a way", "redirect-loop", ("unknown", "302", "answered 302")),
    ("a connection that closes without a word is no answer", "closed-without-a-word", CLOSED),
    ("nor is one that closes in the head", "closed-in-the-head", CLOSED),
    ("nor is one that closes in the body", "closed-in-the-body", BROKEN),
    ("nor is one that closes in a chunk", "closed-in-a-chunk", BROKEN),
    ("nor is a reset", "reset", CLOSED),
    ("a length too short is no HTTP", "length-too-short", BROKEN),
    ("two lengths are no HTTP", "two-lengths", BROKEN),
    ("a length below nothing is no HTTP", "length-that-is-none", BROKEN),
    ("a chunk size that is no number is no HTTP", "chunk-size-that-is-none", BROKEN),
    ("a status beyond 599 counts as 5xx, as RFC 9110 has it", "status-999", ("outage", "other", "answered 999")),
    ("a status of two digits is no HTTP", "status-99", BROKEN),
    ("a change of protocol is no answer that we know", "switching-protocols", ("unknown", "101", "answered 101")),
    ("HTTP/0.9 is none any more", "http-0.9", BROKEN),
    ("HTTP/2 was not asked for", "http-2", BROKEN),
    ("SSH is no HTTP", "ssh", BROKEN),
    ("SMTP is no HTTP", "smtp", BROKEN),
    ("plain HTTP on a TLS port is a failed handshake", "plain-where-tls-is-asked", ("outage", "tls", "no answer: the TLS")),
    ("TLS on a plain port is no answer", "tls-where-plain-is-asked", CLOSED),
    ("a certificate signed by itself is not trusted", "self-signed", ("outage", "tls", "no answer: the certificate of ")),
    ("a healthy neighbour stays healthy", "healthy", FINE),
]  # fmt: skip
"""(what happens, the attack, (its verdict, the `code` label, how the reason begins))"""


EXPECTED = {says: (attack, *verdict) for says, attack, verdict in VENDORS}
Verdict = tuple[str, str]
"""(verdict, the `code` label)"""


@dataclass(frozen=True)
class Probed:
    """What a run of the exporter showed, by vendor: the last reason, how many answers had which verdict, and how often
    it was called. `text` is the last scrape; `grown` is by how many bytes the peak of memory rose."""

    reasons: Mapping[str, str]
    answers: Mapping[str, Mapping[Verdict, int]]
    asked: Mapping[str, int]
    text: str
    grown: int

    def values(self, metric: str) -> dict[str, float]:
        """A metric's values by vendor."""
        return {sample.labels["provider"]: sample.value for sample in _samples(self.text, metric)}

    def verdicts(self) -> dict[str, tuple[str, str, str, str]]:
        """The rows of VENDORS as they were found."""
        return {
            says: (attack, *_usual(self.answers[attack]), self.reasons.get(attack, "")[: len(reason)])
            for says, attack, (_, _, reason) in VENDORS
        }


def test_each_has_its_verdict_and_its_reason(probed: Probed) -> None:
    assert {attack for _, attack, _ in VENDORS} == set(ATTACKS)
    assert probed.verdicts() == EXPECTED


def test_each_probe_ends_in_time(probed: Probed) -> None:
    slow = {
        name: took for name, took in probed.values("thirdparty_probe_duration_seconds").items() if took > 5 * TIMEOUT
    }
    assert not slow


def test_none_is_asked_twice_for_one_probe(probed: Probed) -> None:
    # one more may be under way
    twice = {name: asked for name, asked in probed.asked.items() if asked > sum(probed.answers[name].values()) + 1}
    assert not twice


def test_a_healthy_neighbour_is_not_disturbed(probed: Probed) -> None:
    # on a loaded machine any probe may once be late
    assert set(probed.answers["healthy"]) <= {FINE[:2], LATE[:2]}
    assert probed.values("thirdparty_verdict_streak")["healthy"] >= ROUNDS


def test_memory_is_bounded(probed: Probed) -> None:
    assert probed.grown < MOST_BYTES


# --- the run


@pytest.fixture(scope="module")
def probed(tmp_path_factory: pytest.TempPathFactory) -> Probed:
    """Every vendor, probed at least ROUNDS times by one real exporter."""
    return asyncio.run(_probe_all(tmp_path_factory.mktemp("hostile")))


async def _probe_all(folder: Path) -> Probed:
    async with vendors(folder, *ATTACKS) as them:
        _configure(folder, them, "healthy")
        with started("exporter", folder) as one:
            await _until(lambda: _look(one, them, 0).answers["healthy"], one)
            before = _peak_bytes(one)
            _configure(folder, them, *ATTACKS)
            assert (await asyncio.to_thread(one.get, "/-/reload", b""))[0] == 200
            await _until(lambda: _settled(_look(one, them, before)), one)
            return _look(one, them, before)


async def _until(holds: Callable[[], object], one: Process) -> None:
    """Waits until something holds, three minutes at most: then the tests say what does not."""
    for _ in range(600):
        if await asyncio.to_thread(holds):
            return
        assert one.process.poll() is None, one.log.read_text()
        await asyncio.sleep(0.3)


def _settled(probed: Probed) -> bool:
    """Whether all were probed often enough, and no probe that a loaded machine made late still shows."""
    often = all(sum(probed.answers[name].values()) >= ROUNDS for name in ATTACKS)
    return often and probed.verdicts() == EXPECTED and probed.values("thirdparty_verdict_streak")["healthy"] >= ROUNDS


def _configure(folder: Path, them: Vendors, *names: str) -> None:
    pace = {"interval": f"{TIMEOUT:g}s", "timeout": f"{TIMEOUT:g}s"}
    providers = [{"name": name, "url": them.url(name), **pace} for name in names]
    (folder / "exporter.yml").write_text(yaml.safe_dump({"providers": providers}))


def _look(one: Process, them: Vendors, before: int) -> Probed:
    text = one.get("/metrics")[1]
    return Probed(_reasons(one), _answers(text), dict(them.asked), text, _peak_bytes(one) - before)


def _answers(text: str) -> dict[str, Counter[Verdict]]:
    found: dict[str, Counter[Verdict]] = defaultdict(Counter)
    for sample in _samples(text, "thirdparty_responses_total"):
        found[sample.labels["provider"]][sample.labels["verdict"], sample.labels["code"]] += int(sample.value)
    return found


def _samples(text: str, metric: str) -> Iterator[Sample]:
    return (sample for family in families(text) for sample in family.samples if sample.name == metric)


def _usual(answers: Mapping[Verdict, int]) -> Verdict:
    """The verdict of most answers: on a loaded machine any probe may once be late."""
    return max(answers, key=lambda verdict: answers[verdict], default=("", ""))


def _reasons(one: Process) -> dict[str, str]:
    """The last reason of each vendor that was saved."""
    with contextlib.closing(sqlite3.connect(one.log.parent / "data" / "exporter.db")) as database:
        return dict(database.execute("select name, reason from providers").fetchall())


def _peak_bytes(one: Process) -> int:
    """The most memory the process ever held."""
    status = Path(f"/proc/{one.process.pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024  # type: ignore[index] # Linux always writes it
