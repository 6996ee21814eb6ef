"""What came and could not be counted: how often, why, and some of it to look at."""

import time
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypedDict

from toolkit.redaction import impersonal, printable, quoted

MAX_SAMPLES = 20
"""Of each reason; the oldest makes room."""
MAX_SAMPLE_BYTES = 500


@dataclass(frozen=True)
class Sample:
    """One that was rejected: where from, which event it called itself (as far as is known), what was wrong with it, its
    line or its place in what was delivered, from 1."""

    at: float
    source: str
    event: str
    detail: str
    raw: bytes
    position: int


class Shown(TypedDict):
    """What of one reason is shown."""

    count: int
    samples: list[dict[str, str]]


class Rejects:
    """The last samples of each reason; what they may not show is masked when they are looked at, which is rare."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._samples: dict[str, deque[tuple[Sample, str]]] = {}

    def note(self, why: Mapping[str, int], unknown: int, samples: Mapping[str, list[Sample]], begin: str = "") -> None:
        """So many were rejected for each reason, so many had an undeclared name; `samples` are some of them. `begin`
        tells where the delivery begins in what its source reads."""
        self.counts.update(why)
        if unknown:
            self.counts["unknown_event"] += unknown
        for reason, found in samples.items():
            self._samples.setdefault(reason, deque(maxlen=MAX_SAMPLES)).extend((one, begin) for one in found)

    def shown(self) -> dict[str, Shown]:
        """For `GET /v1/rejects`: by reason, how many since the start and the samples, newest first."""
        return {
            reason: {"count": count, "samples": [_shown(*one) for one in reversed(self._samples.get(reason, deque()))]}
            for reason, count in sorted(self.counts.items())
        }


def _shown(sample: Sample, begin: str) -> dict[str, str]:
    text = sample.raw[:MAX_SAMPLE_BYTES].decode(errors="replace")
    return {
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(sample.at)),
        "source": sample.source,
        "event": _safe(sample.event),
        "detail": _safe(sample.detail),
        "position": f"{sample.position} from {_safe(begin)}" if begin else str(sample.position),
        "sample": _safe(text),
    }


def _safe(text: str) -> str:
    return printable(impersonal(quoted(text)))
