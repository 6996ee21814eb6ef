"""A body's bytes -> groups of equal events -> what to add to each series: the hot path. Pure.

Events are grouped by the fields that decide which series they count into, while they are decoded; rules are asked once
for each combination of values and remembered in a `Plan`. So a rule more costs nothing per event, and an event costs
its decoding and one dictionary look-up (`make bench ARGS=events`).
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Any

import msgspec
import re2

from exporter.usage.book import Book, Exemplar, Labels, Series
from exporter.usage.contract import Breach, Event, Shape, contracts_of, deciding, measuring, shape
from exporter.usage.delivery import Format
from exporter.usage.logs.entries import joined
from exporter.usage.logs.reader import LogReader, log_reader
from exporter.usage.nesting import value_of
from exporter.usage.plans import Planner, key_of
from exporter.usage.rules import CompiledRule, compile_rules, declared_labels, text_of
from exporter.usage.settings import Usage
from exporter.usage.tally import LogRaws, Places, Plan, Raws, Tally, items_of

PIECE_BYTES = 1024 * 1024
"""A larger body is counted in pieces, so that others get their turn between them."""
MESSAGES_AT_ONCE = 5000
"""Of lines that come in messages."""
_SHARED_LINE = re2.compile(rb"\}[ \t\r]*\{")
"""Where two objects may stand in one line. A text can look like that as well; line by line it is found to be none. What
begins with a byte that is rare costs next to nothing to look for."""


class Engine:
    """One configuration's way to count. Its series are those of `book`; `now` is Unix time."""

    def __init__(self, usage: Usage, book: Book, now: float) -> None:
        self.usage = usage
        self._shape: Shape = shape(usage)
        self._contracts = contracts_of(usage, self._shape)
        self._times = {name: one.time for name, one in self._contracts.items() if one.time is not None}
        self._rules = compile_rules(usage.rules, self._shape, book, self._times)
        self._planner = Planner(usage, self._shape, self._contracts, self._rules)
        wanted = _wanted(usage)
        self._readers = {one.name: log_reader(one, wanted) for one in usage.logs}
        self._trusted: Mapping[str, Mapping[str, str]] = usage.trusted
        self._one: msgspec.json.Decoder[Event] = msgspec.json.Decoder(self._shape.struct)
        self._many: msgspec.json.Decoder[list[Event]] = msgspec.json.Decoder(list[self._shape.struct])  # type: ignore[name-defined]  # made at run time
        self._declare(now)

    @property
    def rules(self) -> Iterator[CompiledRule]:
        """Every rule."""
        for rules in self._rules.values():
            yield from rules

    def _declare(self, now: float) -> None:
        for rule in self.rules:
            for labels in declared_labels(rule.settings):
                for shelf in rule.shelves:
                    shelf.put(labels, now)

    # --- bytes to groups

    def begin(self, source: str, now: float, part: str = "", sent: Sequence[float] = ()) -> Tally:
        """An empty tally for what `source` delivers; `part` and `sent` as in exporter.usage.delivery.Partitioned."""
        return Tally(source, now, part=part, sent=sent)

    def pieces(self, body: bytes | Sequence[bytes], form: Format, log: str = "") -> Iterator[bytes | Sequence[bytes]]:
        """The body in parts that take some milliseconds each; lines and entries stay whole, and JSON is one part."""
        if form == "lines" and not isinstance(body, bytes):
            yield from (body[start : start + MESSAGES_AT_ONCE] for start in range(0, len(body), MESSAGES_AT_ONCE))
            return
        if form == "json" or not isinstance(body, bytes):
            yield body
            return
        start = end = 0
        while len(body) - end > PIECE_BYTES:
            end = body.find(b"\n", end + PIECE_BYTES) + 1 or len(body)
            whole = self.reader(log).finished(body[start:end]) if form == "lines" else end - start
            if whole:  # else one entry goes on for longer than that
                yield body[start : start + whole]
                start = end = start + whole
        yield body[start:] if start else body

    def records(self, body: bytes | Sequence[bytes], form: Format, log: str = "") -> Sequence[bytes]:
        """The body in the smallest parts that can be counted alone: lines with their breaks, entries, items."""
        if not isinstance(body, bytes):
            return body
        if form == "json":
            return items_of(body)
        return self.reader(log).split(body) if form == "lines" else [line + b"\n" for line in body.split(b"\n")]

    def count(self, tally: Tally, piece: bytes | Sequence[bytes], form: Format, log: str = "") -> None:
        """Adds what `piece` holds to `tally`."""
        if form == "lines":
            events, raws = self._log(tally, piece, self.reader(log))
        elif form == "json":
            events, raws = self._values(tally, _bytes(piece))
        elif form == "records":
            events, raws = self._records(tally, [piece] if isinstance(piece, bytes) else piece)
        else:
            events, raws = self._lines(tally, _bytes(piece))
        self._group(tally, events, raws)

    def reads(self, log: str) -> bool:
        """Whether lines of this name can be read; "" is the only kind of log that there is."""
        return log in self._readers or (not log and len(self._readers) == 1)

    def reader(self, log: str) -> LogReader:
        """What reads lines of this name."""
        return self._readers[log or next(iter(self._readers))]

    def _log(self, tally: Tally, piece: bytes | Sequence[bytes], reader: LogReader) -> tuple[list[Event], Places]:
        read = reader.read(piece) if isinstance(piece, bytes) else reader.read(*joined(piece))
        tally.lines += read.entries
        tally.cut += read.cut
        tally.idle += read.unmatched
        raws, events = LogRaws(read), list[Event]()
        for reject in read.rejects:
            place, raw = raws.shown(reject.position)
            tally.reject(place, Breach("not_json", reject.reason), raw)
        for number, (name, fields) in enumerate(read.events):
            event = self._built(name, fields, tally.source)
            if isinstance(event, Breach):
                place, raw = raws.first(number)
                tally.reject(place, event, raw)
            else:
                raws.numbers.append(number)
                events.append(event)
        return events, raws

    def _lines(self, tally: Tally, piece: bytes) -> tuple[list[Event], Places]:
        if not _SHARED_LINE.search(piece):
            with suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                events = self._one.decode_lines(piece)
                # to the decoder a line break is but a space: fewer objects than lines, and one goes on in the next
                if _are_lines(piece, len(events)):
                    return events, Raws(piece)
        return self._records(tally, piece.split(b"\n"))

    def _values(self, tally: Tally, body: bytes) -> tuple[list[Event], Places]:
        try:
            if body.lstrip()[:1] != b"[":
                return [self._one.decode(body)], Raws([body])
            return self._many.decode(body), Raws(body, array=True)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return self._records(tally, items_of(body))

    def _records(self, tally: Tally, records: Sequence[bytes]) -> tuple[list[Event], Places]:
        """One by one: the good are kept, the bad named. Blank ones are nothing, unless there is no other."""
        events, places = list[Event](), list[int]()
        alone = len(records) == 1
        for place, raw in enumerate(records, start=1):
            if not alone and not raw.strip():
                continue
            event = self._decoded(raw, tally.source)
            if isinstance(event, Breach):
                tally.reject(place, event, bytes(raw))
            else:
                events.append(event)
                places.append(place)
        return events, Raws(records, places)

    def _decoded(self, raw: bytes, source: str) -> Event | Breach:
        """One event, or what is wrong with it."""
        try:
            return self._one.decode(raw)
        except msgspec.ValidationError:
            return self._second_look(raw, source)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            return _not_json(error)

    def _second_look(self, raw: bytes, source: str) -> Event | Breach:
        """What one contract asks of a field does not bind the events of another: only an event's own fields count."""
        try:
            event = msgspec.json.decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            return _not_json(error)
        if not isinstance(event, dict):
            return Breach("no_event", "not a JSON object")
        name = event.get("event")
        if not isinstance(name, str):
            hint = "; CloudEvents come as application/cloudevents+json" if "specversion" in event else ""
            return Breach("no_event", f"the field 'event' is missing or no text{hint}")
        return self._built(name, event, source)

    def _built(self, name: str, fields: Mapping[str, Any], source: str) -> Event | Breach:
        """An event of fields that no decoder has checked, or what is wrong with it. What its contract does not name is
        text, as far as rules ask for it."""
        contract = self._contracts.get(name)
        settled = contract.settled({**fields, **self._trusted.get(source, {})}) if contract else {}
        if isinstance(settled, Breach):
            return replace(settled, event=name)
        found = {field: value_of(fields, field) for field in self._shape.attributes}
        loose = {
            field: _plain(value, self._shape.types.get(field)) for field, value in found.items() if value is not None
        }
        named = {self._shape.attributes[field]: value for field, value in {**loose, **settled}.items()}
        return self._shape.struct(**named | {"event": name})

    # --- groups to plans

    def _group(self, tally: Tally, events: list[Event], raws: Places) -> None:
        followed = self._shape.follow(events, self._planner.known(tally.source).get)
        numbers = _numbers(followed)
        if None in numbers:  # for some there is no plan yet
            followed = self._shape.follow(events, self._planner.planning(tally.source, tally.now))
            numbers = _numbers(followed)
        apart = [plan for plan in numbers if not plan.simple]
        if apart:
            self._look_at(tally, apart, numbers, events, followed, raws)
        kept = sum(numbers.values())
        tally.events += kept
        tally.matched += kept - sum([number for plan, number in numbers.items() if not plan.matched])
        tally.numbers.append(numbers)

    def _look_at(
        self,
        tally: Tally,
        apart: list[Plan],
        numbers: dict[Plan, int],
        events: list[Event],
        followed: list[Plan],
        raws: Places,
    ) -> None:
        """Rejects events that are against their contract, and keeps those that are measured."""
        if tally.sent and any(plan.dated for plan in apart):
            every = enumerate(zip(events, followed, strict=True))
            tally.dated((raws.place(number), event) for number, (event, plan) in every if plan.dated)
        groups: dict[Plan, list[Event]] = {plan: [] for plan in apart}
        for event, plan in zip(events, followed, strict=True):
            if not plan.simple:
                groups[plan].append(event)
        for plan, group in groups.items():
            kept = self._kept(tally, plan, group, events, raws)
            numbers[plan] = len(kept)
            if plan.unknown:
                tally.unknown += len(kept)
                place = followed.index(plan)
                breach = Breach("unknown_event", "no event of this name is declared", group[0].event)
                tally.sample(breach, *raws[place])
            if kept:
                plan.settle(tally.now)
                if plan.measures or plan.watched or plan.exemplary:
                    tally.groups.append((plan, kept))

    def _kept(self, tally: Tally, plan: Plan, group: list[Event], events: list[Event], raws: Places) -> list[Event]:
        """The events of a group that keep to their contract; the others are rejected."""
        if plan.breach is not None:
            breaches: Mapping[int, Breach] = dict.fromkeys(range(len(group)), plan.breach)
        else:
            breaches = plan.contract.breaches(group, tally.now, tally.dates) if plan.contract else {}
        if not breaches:
            return group
        wrong = {id(group[place]): breach for place, breach in breaches.items()}
        for place, event in enumerate(events):
            if id(event) in wrong:
                position, raw = raws[place]
                tally.reject(position, replace(wrong[id(event)], event=event.event), raw)
        return [event for event in group if id(event) not in wrong]

    # --- plans to deltas

    def deltas(self, tallies: Sequence[Tally]) -> tuple[dict[Series, Any], Counter[str]]:
        """What the tallies add to each series, and how many events of each rule had no usable value."""
        numbers: dict[Plan, int] = {}
        for tally in tallies:
            for piece in tally.numbers:
                for plan, number in piece.items():
                    if plan.counts:
                        numbers[plan] = numbers.get(plan, 0) + number
        found: dict[Series, Any] = {}
        for plan, number in numbers.items():
            for series in plan.counts:
                found[series] = found.get(series, 0) + number
        return found, self._measured(tallies, found)

    def _measured(self, tallies: Sequence[Tally], found: dict[Series, Any]) -> Counter[str]:
        """Adds what rules measure of the events; returns how many of each rule had no usable value."""
        groups: dict[Plan, list[Event]] = {}
        for tally in tallies:
            for plan, events in tally.groups:
                groups.setdefault(plan, []).extend(events)
        unusable: Counter[str] = Counter()
        for plan, events in groups.items():
            for series, measure, rule in plan.measures:
                delta, without = measure(events, tallies[0].now)
                unusable[rule] += without
                if delta is not None:
                    found[series] = series.shelf.kind.add(found[series], delta) if series in found else delta
        return +unusable

    def exemplars(self, tallies: Sequence[Tally]) -> dict[Series, Exemplar]:
        """What of the tallies is to be shown beside its series, once it is counted."""
        found: dict[Series, Exemplar] = {}
        for tally in tallies:
            for plan, events in tally.groups:
                for series, pick in plan.exemplary:
                    exemplar = pick(events, tally.now)
                    if exemplar is not None:
                        found[series] = exemplar
        return found

    def sightings(self, tallies: Sequence[Tally]) -> Iterator[tuple[str, str, str, Labels, float]]:
        """What the tallies hold for rules about keys."""
        for tally in tallies:
            for plan, events in tally.groups:
                for rule, read, labels in plan.watched:
                    time, dates = self._times.get(events[0].event), tally.dates
                    for event in events:
                        at = time(event) if time else None
                        when = at.timestamp() if isinstance(at, datetime) else dates.get(id(event), tally.now)
                        yield rule, event.event, key_of(text_of(read(event))), labels, when


def _wanted(usage: Usage) -> dict[str, set[str]]:
    """The fields of each event that somebody asks for."""
    found: dict[str, set[str]] = {one.name: set(one.fields) for one in usage.events}
    for rule in usage.rules:
        found.setdefault(rule.event, set()).update(deciding(rule) | measuring(rule))
    for one in usage.sequences:
        for _, event in one.mentions():
            found.setdefault(event, set()).update({one.key, *one.labels})
    return found


def _numbers(plans: Sequence[Plan]) -> dict[Plan, int]:
    """How often each comes; most bodies hold one event, of which a Counter is slow to find that out."""
    return Counter(plans) if len(plans) != 1 else {plans[0]: 1}


def _are_lines(piece: bytes, number: int) -> bool:
    """Whether `piece` has so many lines, blank ones left out; they are looked for only where the number is another."""
    lines = piece.count(b"\n") + (not piece.endswith(b"\n"))
    return lines == number or number == sum(bool(line.strip()) for line in piece.split(b"\n"))


def _bytes(piece: bytes | Sequence[bytes]) -> bytes:
    return piece if isinstance(piece, bytes) else b"\n".join(piece)


def _plain(value: Any, decoded: Any) -> Any:
    """A value that no contract speaks of, as the decoder would have it: text where it decodes text, and no list."""
    if not isinstance(value, (str, int, float)):
        return None
    return text_of(value) if decoded is str else value


def _not_json(error: Exception) -> Breach:
    if isinstance(error, RecursionError):
        return Breach("not_json", "not JSON: nested too deeply")
    hint = "; an object a line is application/x-ndjson" if "trailing characters" in str(error) else ""
    return Breach("not_json", f"not JSON: {error}{hint}")
