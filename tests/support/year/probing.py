"""A vendor's timeline through the exporter's own engine -> runs of states. Pure.

A year of probes is half a million for each vendor. Equal answers to equal probes are judged once: `advance` of the last
of them gives the state of all but the streak.
"""

import math
import random
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from exporter.providers.history import Look, Past, State, advance, conclude
from exporter.providers.kinds import Verdict
from exporter.providers.reading import Shape, shape_of
from exporter.providers.verdict import judge
from tests.support.year import HOUR
from tests.support.year.timeline import Answer, Span, Vendor, spans

EVERY = 60.0
PROBE_SECONDS = 0.1
FIRST_WITHIN = 5.0
"""After a start of the exporter all vendors are probed within these seconds; an hour later jitter has spread them."""


@dataclass(frozen=True)
class Run:
    """Equal probes in a row: `state` after the first, at `first`; one more every EVERY seconds until `last`."""

    state: State
    first: float
    last: float

    def at(self, now: float) -> State:
        """The state at `now`, not before the first probe."""
        more = int((min(now, self.last) - self.first) // EVERY)
        if not more:
            return self.state
        probed = self.first + more * EVERY
        good = self.state.last_success == self.state.last_probe
        return replace(
            self.state,
            streak=self.state.streak + more,
            last_probe=probed,
            seen_at=probed,
            last_success=probed if good else self.state.last_success,
        )


@dataclass(frozen=True)
class Beat:
    """Probes at `first` and every EVERY seconds from then on, before `until`."""

    first: float
    until: float


def beats(absences: Sequence[tuple[float, float]], end: float, chance: random.Random) -> Iterator[Beat]:
    """When a vendor is probed, between absences of the exporter."""
    starts = [0.0, *(back for _, back in absences)]
    stops = [*(away for away, _ in absences), end]
    for start, stop in zip(starts, stops, strict=True):
        spread = start + HOUR
        yield Beat(_exact(start + chance.uniform(0, FIRST_WITHIN)), min(spread, stop))
        if spread < stop:
            yield Beat(_exact(spread + chance.uniform(FIRST_WITHIN, EVERY)), stop)


def _exact(seconds: float) -> float:
    # in 64ths, so that sums of times are exact and may be compared
    return math.ceil(seconds * 64) / 64


Judged = tuple[Verdict, Shape | None]
Judge = Callable[[Answer], Judged]


def judging() -> Judge:
    """`judge`, each answer once. An answer is known by its identity: it must outlive the judge."""
    known: dict[int, Judged] = {}

    def judged(answer: Answer) -> Judged:
        if id(answer) not in known:
            known[id(answer)] = judge(answer), shape_of(answer)
        return known[id(answer)]

    return judged


def runs(vendor: Vendor, rhythm: Sequence[Beat], end: float, judged: Judge) -> Iterator[Run]:
    """Every probe of the vendor until `end`, equal ones together."""
    state: State | None = None
    for first, count, span in _stretches(list(spans(vendor, end)), rhythm):
        for run in _stretch(state, first, count, span, judged):
            yield run
            state = run.at(run.last)


def every_probe(vendor: Vendor, rhythm: Sequence[Beat], end: float, judged: Judge) -> Iterator[Run]:
    """The same one by one, as the exporter does it: what `runs` must agree with."""
    state: State | None = None
    for first, count, span in _stretches(list(spans(vendor, end)), rhythm):
        for number in range(count):
            now = first + number * EVERY
            state = _probe(state, judged(_drawn(span, now)), span.secret, now)
            yield Run(state, now, now)


def _stretches(cut: Sequence[Span], rhythm: Sequence[Beat]) -> Iterator[tuple[float, int, Span]]:
    """(first probe, how many) of each beat in each span."""
    position = 0
    for beat in rhythm:
        now = beat.first
        while now < beat.until and position < len(cut):
            span = cut[position]
            count = _probes(now, min(span.end, beat.until))
            if count:
                yield now, count, span
            now += count * EVERY
            if now >= span.end:
                position += 1


def _probes(first: float, until: float) -> int:
    """How many probes begin before `until`."""
    return max(0, int(-((first - until) // EVERY)))


def _stretch(state: State | None, first: float, count: int, span: Span, judged: Judge) -> Iterator[Run]:
    equal = len(span.answers) == 1
    while count:
        run = _run(state, judged(_drawn(span, first)), span.secret, first, count if equal else 1)
        yield run
        done = round((run.last - first) / EVERY) + 1
        state, first, count = run.at(run.last), first + done * EVERY, count - done


def _drawn(span: Span, now: float) -> Answer:
    return span.answers[zlib.crc32(f"{now:.3f}".encode()) % len(span.answers)]


def _run(state: State | None, judged: Judged, secret: str, first: float, count: int) -> Run:
    """As many of `count` equal answers as the past makes the same of. It changes its mind at most once in a stretch:
    when a failure has gone on for too long."""
    longest = Run(_probe(state, judged, secret, first), first, first + (count - 1) * EVERY)

    def same(more: int) -> bool:
        before = longest.at(first + (more - 1) * EVERY)
        after = _probe(before, judged, secret, first + more * EVERY)
        return (after.kind, after.certainty) == (longest.state.kind, longest.state.certainty)

    known, refuted = 0, count
    while refuted - known > 1:
        # the whole first: as a rule nothing changes
        middle = count - 1 if refuted == count and known == 0 else (known + refuted) // 2
        known, refuted = (middle, refuted) if same(middle) else (known, middle)
    return replace(longest, last=first + known * EVERY)


def _probe(state: State | None, judged: Judged, secret: str, now: float) -> State:
    verdict, shape = judged
    past = Past(ever_ok=False) if state is None else state.past(secret, now)
    look = Look(conclude(verdict, past, shape), PROBE_SECONDS, credential=secret, shape=shape)
    return advance(state, look, now)
