"""A delivery that a defect keeps from being counted -> what of it can be counted, and the rest rejected.

A rule, a library or this program may break on events that nobody thought of. Then those are rejected, as events that
break their contract are, and whatever came with them counts.

What that costs is bounded. It is done in steps of STEP_SECONDS and what one attempt takes beyond that, with at most
SPAN records each, and commits go on between them. Of n records that break there are at most 2 n attempts while they are
few, and n where they are many.
"""

import hashlib
import time
from collections.abc import Callable, Sequence

from exporter.usage.contract import Breach
from exporter.usage.delivery import Delivery, Fenced, Format
from exporter.usage.engine import Engine
from exporter.usage.tally import Tally
from toolkit.logs import frames

SPAN = 256
"""So many records are tried together at most."""
STEP_SECONDS = 0.005
FEW = 100
"""Once so many records were found to break, those that broke together are tried one by one, and not by halves."""

Attempt = Callable[[Tally], None]
"""Does with a tally what has to be done with it, without any effect, and raises what is wrong with that; Fenced, where
nothing of the delivery may be counted here any more."""


class Sieve:
    """Sifts one delivery. `tally` is what can be counted of the records that were tried, in their order; `failed` the
    last error that a record of it alone brought about. `now` is Unix time."""

    def __init__(
        self,
        engine: Engine,
        delivery: Delivery,
        now: float,
        attempt: Attempt,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine, self._delivery, self._now, self._attempt, self._clock = engine, delivery, now, attempt, clock
        self._form: Format = "records" if delivery.form == "json" else delivery.form
        self._records = self._divided()
        starts = range(0, len(self._records), SPAN)
        self._spans = [range(start, min(start + SPAN, len(self._records))) for start in reversed(starts)]
        """What is still to be tried, the first at the end."""
        self._broken = 0
        self.tally = self._begun()
        self.failed: Exception | None = None

    def step(self) -> bool:
        """Tries some records. Whether there are more."""
        end = self._clock() + STEP_SECONDS
        while self._spans and self._clock() < end:
            self._try(self._spans.pop())
        return bool(self._spans)

    def _try(self, span: range) -> None:
        error = self._error_of(span)
        if error is None or len(span) == 1:
            self._enter(span, error)
        else:
            size = (len(span) + 1) // 2 if self._broken < FEW else 1
            self._spans += [span[start : start + size] for start in reversed(range(0, len(span), size))]

    def _begun(self) -> Tally:
        return begun(self._engine, self._delivery, self._now)

    def _divided(self) -> Sequence[bytes]:
        """The whole as one, where not even its parts can be told from one another."""
        body = self._delivery.body
        try:
            return self._engine.records(body, self._delivery.form, self._delivery.log)
        except Exception:  # noqa: BLE001 - as in `_error_of`, which will say so
            return body if not isinstance(body, bytes) else [body]

    def _of(self, span: range) -> Sequence[bytes]:
        return self._records[span.start : span.stop]

    def _error_of(self, span: range) -> Exception | None:
        """What keeps these records from being counted together."""
        tally = self._begun()
        tally.begun = span.start  # when a record was sent goes by its place among all
        try:
            self._count(tally, self._of(span))
            self._attempt(tally)
        except Fenced:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, it is to stay with what brings it about
            return error
        return None

    def _enter(self, span: range, error: Exception | None) -> None:
        part = self._of(span)
        if error is None:
            self._count(self.tally, part)
        else:
            self.failed = error
            self._broken += 1
            _reject(self.tally, b"".join(part), error)
        self.tally.before.append(self._whole(part))

    def _count(self, tally: Tally, part: Sequence[bytes]) -> None:
        self._engine.count(tally, self._whole(part), self._form, self._delivery.log)

    def _whole(self, part: Sequence[bytes]) -> bytes | Sequence[bytes]:
        """Records as they can be counted: what came in one piece, in one piece."""
        return b"".join(part) if self._form != "records" and isinstance(self._delivery.body, bytes) else part


def begun(engine: Engine, delivery: Delivery, now: float) -> Tally:
    """An empty tally for a delivery."""
    return engine.begin(delivery.source, now, delivery.part, delivery.sent)


def refused(engine: Engine, delivery: Delivery, now: float, error: Exception) -> Tally:
    """The tally of a delivery as one record that can't be counted."""
    tally, body = begun(engine, delivery, now), delivery.body
    _reject(tally, body if isinstance(body, bytes) else b"".join(body[:1]), error)
    return tally


def reference(error: Exception) -> str:
    """What a defect is called in logs and answers: the same text for the same place in the program."""
    places = " ".join([type(error).__name__, *frames(error)[-3:]])
    return hashlib.blake2b(places.encode(), digest_size=4).hexdigest()


def _reject(tally: Tally, raw: bytes, error: Exception) -> None:
    detail = f"a defect of the exporter, {reference(error)} in its log"
    tally.reject(1, Breach("defect", detail), raw)
