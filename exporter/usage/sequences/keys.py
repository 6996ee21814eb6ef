"""The keys of one rule in one part: what is remembered of each, which are due, what changed since a commit. Pure."""

import math
from collections import Counter, OrderedDict
from collections.abc import Iterator
from itertools import islice

import msgspec

from exporter.usage.sequences.rule import Labels, Memory, Moment, Outcome, Rule
from exporter.usage.sequences.settle import due, settle, waiting
from exporter.usage.sequences.wheel import Wheel

MOST_AT_ONCE = 2000
"""So many keys are settled at one look, so that a wave of them stops nobody else for long. The rest waits for the next
look: what is decided does not depend on when it is."""
_MOST_LABELS_SHARED = 10_000
_encoder = msgspec.msgpack.Encoder()


class Mark(msgspec.Struct, frozen=True, array_like=True):
    """How far a part was decided (Unix time, whole seconds), and until when absence proves nothing, because keys had
    to go. It is stored under the empty key."""

    watermark: int = 0
    blind_until: float = -math.inf


class Census:
    """What is counted of a rule's keys in all parts: how many there are, and how many of them are silent."""

    def __init__(self) -> None:
        self.size = 0
        self.silent: Counter[Labels] = Counter()
        self._labels: dict[Labels, Labels] = {}

    def shared(self, labels: Labels) -> Labels:
        """Equal labels as one object."""
        found = self._labels.get(labels)
        if found is None:
            if len(self._labels) >= _MOST_LABELS_SHARED:
                self._labels.clear()
            found = self._labels[labels] = labels
        return found


class Keys:
    """Remembers keys, the least recently seen first. Everything since the last `committed` can be undone."""

    def __init__(self, rule: Rule, census: Census) -> None:
        self._rule, self._census = rule, census
        self._mark = Mark()
        self._memories: OrderedDict[str, Memory] = OrderedDict()
        self._wheel = Wheel()
        self._decoder = msgspec.msgpack.Decoder(type(rule.blank))
        self._before: dict[str, Memory | Mark | None] = {}
        """What the keys that changed were before; of those handed out by `changes` it is in `_sent`."""
        self._sent: dict[str, Memory | Mark | None] = {}

    def __len__(self) -> int:
        return len(self._memories)

    def take(self, event: str, key: str, labels: Labels, time: float, clock: float) -> Outcome | None:
        """An event of a key. What comes of it is told by `advance`, but for an event that is not looked at."""
        rule = self._rule
        if not key:
            return Outcome(rule.name, "keyless", labels)
        if not self._mark.watermark <= time <= clock + rule.lateness:
            return Outcome(rule.name, "untimely", labels)
        old = self._memories.get(key)
        moment = Moment(time, rule.events[event], self._census.shared(labels))
        new = waiting(rule, rule.blank if old is None else old, moment)
        if new is None:
            return Outcome(rule.name, "crowded", labels)
        self._before.setdefault(key, old)
        if old is not None and old.waiting and new.waiting[0] is old.waiting[0]:
            # it is due when it was, and as silent: all that `_change` would find out
            self._memories[key] = new
        else:
            self._change(key, old, new)
        self._memories.move_to_end(key)
        return None

    def advance(self, now: float) -> list[Outcome]:
        """What is decided now that all have come that happened up to `now` less the lateness: of MOST_AT_ONCE keys at
        most."""
        watermark = max(self._mark.watermark, math.floor(now - self._rule.lateness))
        passed = list(islice(self._wheel.passed(watermark), MOST_AT_ONCE))
        if passed:
            self._before.setdefault("", self._mark)
        for key in passed:  # all before the first is settled: the wheel has let go of them, and `undo` puts them back
            self._before.setdefault(key, self._memories[key])
        self._mark = Mark(watermark, self._mark.blind_until)
        return [outcome for key in passed for outcome in self._settle(key, watermark)]

    @property
    def is_behind(self) -> bool:
        """Whether the last look left something for the next."""
        return self._wheel.is_behind

    def evict(self) -> Outcome:
        """Forgets the key that was not seen for the longest. For as long as it could have been remembered, nothing is
        concluded from the absence of an event."""
        key, old = next(iter(self._memories.items()))
        blind_until = self._mark.watermark + 2 * self._rule.lateness + self._rule.horizon
        self._before.setdefault("", self._mark)
        self._mark = Mark(self._mark.watermark, max(self._mark.blind_until, blind_until))
        self._before.setdefault(key, old)
        self._change(key, old, None)
        began = old.waiting[0].labels if old.waiting else ()
        return Outcome(self._rule.name, "evicted", old.labels or began)

    # --- what is stored

    def changes(self) -> Iterator[tuple[str, bytes | None]]:
        """The rows of what changed since the last `committed`: None for a key that is forgotten."""
        self._sent = {**self._before, **self._sent}
        self._before = {}
        for key, before in self._sent.items():
            now = self._mark if not key else self._memories.get(key)
            if now is not before:
                yield key, None if now is None else self._row(now)

    def committed(self) -> None:
        """What `changes` last told is stored."""
        self._sent = {}

    def undo(self) -> None:
        """Everything since the last `committed` did not happen."""
        before = {**self._before, **self._sent}
        self._before, self._sent = {}, {}
        mark = before.pop("", None)
        self._mark = mark if isinstance(mark, Mark) else self._mark
        for key, memory in before.items():
            self._change(key, self._memories.get(key), memory if isinstance(memory, Memory) else None)

    def rows(self) -> Iterator[tuple[str, bytes]]:
        """Everything, as it would be stored."""
        yield "", self._row(self._mark)
        for key, memory in self._memories.items():
            yield key, self._row(memory)

    def restore(self, key: str, row: bytes) -> bool:
        """A row that was stored. False where it is of no use, because the rule has changed since."""
        if row[:4] != self._rule.version:
            return False
        try:
            if not key:
                self._mark = msgspec.msgpack.decode(row[4:], type=Mark)
                return True
            memory = self._decoder.decode(row[4:])
        except msgspec.DecodeError:
            return False
        labels = self._census.shared(memory.labels)
        self._change(key, self._memories.get(key), msgspec.structs.replace(memory, labels=labels))
        return True

    def drop(self) -> None:
        """Forgets all without a trace: it is another's now."""
        for key, memory in list(self._memories.items()):
            self._change(key, memory, None)
        self._before, self._sent = {}, {}

    def _row(self, memory: Memory | Mark) -> bytes:
        return self._rule.version + _encoder.encode(memory)

    def _settle(self, key: str, watermark: int) -> list[Outcome]:
        """A key that the wheel has let go of. If it came up before it is due, nothing happens to it."""
        old = self._memories[key]
        new, outcomes = settle(self._rule, old, watermark, self._mark.blind_until)
        self._put(key, old, new)
        return outcomes

    # --- the one way in

    def _change(self, key: str, old: Memory | None, new: Memory | None) -> None:
        """As `_put`, of a key that stands in the wheel if it is known."""
        if old is not None:
            self._wheel.remove(key, due(self._rule, old))
        self._put(key, old, new)

    def _put(self, key: str, old: Memory | None, new: Memory | None) -> None:
        """`new` is remembered of `key` in place of `old`; nothing, where that is None or says nothing."""
        at = math.inf if new is None else due(self._rule, new)
        if self._rule.knows_silence:
            self._count_silent(old, -1)
            self._count_silent(new, 1)
        if new is not None and at < math.inf:
            self._census.size += old is None
            self._memories[key] = new
            self._wheel.add(key, at)
        elif old is not None:
            self._census.size -= 1
            del self._memories[key]

    def _count_silent(self, memory: Memory | None, step: int) -> None:
        if memory is not None and self._rule.is_silent(memory):
            self._census.silent[memory.labels] += step
