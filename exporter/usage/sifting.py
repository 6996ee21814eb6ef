"""A delivery that a defect keeps from being counted -> what of it can be counted, and the rest rejected.

A rule, a library or this program may break on events that nobody thought of. Then those are rejected, as events that
break their contract are, and whatever came with them counts.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from traceback import extract_tb

from exporter.usage.contract import Breach
from exporter.usage.delivery import Delivery, Fenced, Format
from exporter.usage.engine import Engine
from exporter.usage.tally import Tally

Attempt = Callable[[Tally], Awaitable[None]]
"""Does with a tally what has to be done with it, without any effect, and raises what is wrong with that; Fenced, where
nothing of the delivery may be counted here any more."""


class Sieve:
    """Sifts one delivery. `failed` is the last error that a record of it alone brought about."""

    def __init__(self, engine: Engine, delivery: Delivery, attempt: Attempt) -> None:
        self._engine, self._delivery, self._attempt = engine, delivery, attempt
        self._form: Format = "records" if delivery.form == "json" else delivery.form
        self._records: Sequence[bytes] = ()
        self.failed: Exception | None = None

    async def sifted(self, now: float) -> Tally:
        """The tally of what can be counted, in their order; found by halves. Others have their turn meanwhile."""
        tally, self._records = self._begun(now), self._divided()
        spans = [range(len(self._records))]
        while spans:
            span = spans.pop()
            error = await self._error_of(span, now)
            if error is not None and len(span) > 1:
                middle = len(span) // 2
                spans += [span[middle:], span[:middle]]
                continue
            self._enter(tally, self._of(span), error)
            await asyncio.sleep(0)
        return tally

    def refused(self, now: float, error: Exception) -> Tally:
        """The tally of the whole as one record that can't be counted."""
        tally, body = self._begun(now), self._delivery.body
        _reject(tally, body if isinstance(body, bytes) else b"".join(body[:1]), error)
        return tally

    def _begun(self, now: float) -> Tally:
        return self._engine.begin(self._delivery.source, now, self._delivery.part, self._delivery.sent)

    def _divided(self) -> Sequence[bytes]:
        """The whole as one, where not even its parts can be told from one another."""
        body = self._delivery.body
        try:
            return self._engine.records(body, self._delivery.form, self._delivery.log)
        except Exception:  # noqa: BLE001 - as in `_error_of`, which will say so
            return body if not isinstance(body, bytes) else [body]

    def _of(self, span: range) -> Sequence[bytes]:
        return self._records[span.start : span.stop]

    async def _error_of(self, span: range, now: float) -> Exception | None:
        """What keeps these records from being counted together."""
        tally = self._begun(now)
        tally.before.append(self._records[: span.start])  # when a record was sent goes by its place among all
        try:
            self._count(tally, self._of(span))
            await self._attempt(tally)
        except Fenced:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, it is to stay with what brings it about
            return error
        return None

    def _enter(self, tally: Tally, part: Sequence[bytes], error: Exception | None) -> None:
        if error is None:
            self._count(tally, part)
        else:
            self.failed = error
            _reject(tally, b"".join(part), error)
        tally.before.append(self._whole(part))

    def _count(self, tally: Tally, part: Sequence[bytes]) -> None:
        self._engine.count(tally, self._whole(part), self._form, self._delivery.log)

    def _whole(self, part: Sequence[bytes]) -> bytes | Sequence[bytes]:
        return part if self._form == "records" else b"".join(part)


def reference(error: Exception) -> str:
    """What a defect is called in logs and answers: the same text for the same place in the program."""
    places = [f"{frame.filename}:{frame.lineno}" for frame in extract_tb(error.__traceback__)[-3:]]
    return hashlib.blake2b(" ".join([type(error).__name__, *places]).encode(), digest_size=4).hexdigest()


def _reject(tally: Tally, raw: bytes, error: Exception) -> None:
    detail = f"a defect of the exporter, {reference(error)} in its log"
    tally.reject(1, Breach("defect", detail), raw)
