"""The gaps of a rota in words, for `check`. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from receiver.oncall.rota import GAPS, Reason, gaps, nobody
from receiver.oncall.settings import Person, Rota

Span = tuple[float, float]
AHEAD_SECONDS = 90 * 86400.0
"""How far ahead gaps are looked for."""


def gap_lines(name: str, rota: Rota, now: float) -> Iterator[str]:
    """A line for each layer that is without anybody at times, for each reason; then one for when all layers are."""
    by_reason: dict[tuple[str, Reason], list[Span]] = {}
    for gap in gaps(rota, now, now + AHEAD_SECONDS):
        by_reason.setdefault((gap.layer, gap.reason), []).append((gap.since, gap.until))
    for (layer, reason), spans in by_reason.items():
        yield f"rotas.{name}: layer '{layer}' has nobody, {GAPS[reason]}: {_times(spans, rota)}"
    empty = list(nobody(rota, now, now + AHEAD_SECONDS))
    if empty:
        yield f"rotas.{name}: nobody at all is on call: {_times(empty, rota)}"


def unreachable_lines(people: Mapping[str, Person], rotas: Mapping[str, Rota]) -> Iterator[str]:
    """A line for each person on a rota who can be reached by no target."""
    named = {name for rota in rotas.values() for layer in rota.layers for name in layer.people}
    named |= {override.person for rota in rotas.values() for override in rota.overrides}
    for name in sorted(named):
        if not people[name].contacts:
            yield f"people.{name}: is on a rota and has no contacts, so a call reaches nobody"


def _times(spans: Sequence[Span], rota: Rota) -> str:
    since, until = (local(at, rota) for at in spans[0])
    more = f", and {len(spans) - 1} times more in 90 days" if len(spans) > 1 else ""
    return f"from {since} to {until} {rota.timezone.key}{more}"


def local(at: float, rota: Rota) -> str:
    """An instant as people on the rota read it: `"Mon 2026-01-05 09:00"`."""
    return datetime.fromtimestamp(at, rota.timezone).strftime("%a %Y-%m-%d %H:%M")
