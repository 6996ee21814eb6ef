"""What the deliveries of a commit hold: for the ledger, for rules about keys, for those who look at metrics. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from exporter.usage.book import Exemplar, Series
from exporter.usage.delivery import OWN
from exporter.usage.engine import Engine
from exporter.usage.tally import Tally
from exporter.usage.watching import Seen, Watching


class Findings(NamedTuple):
    """What some deliveries hold."""

    deltas: dict[Series, Any]
    sightings: Mapping[str, Iterable[Seen]]
    """For rules about keys, by part."""
    unusable: Mapping[str, int]
    """How many events of each rule had no value that it could take."""
    unplaced: Mapping[str, int]
    """How many events of each rule about keys came in no part, where only parts are watched."""
    shown: Mapping[Series, Exemplar]
    """What is to be shown beside series from now on."""


def findings(engine: Engine, tallies: Sequence[Tally], watching: Watching, shared: bool) -> Findings:
    """What `tallies` of one engine hold; `watching` has the rules about keys in force, and `shared` says whether others
    count into the ledger too."""
    deltas, unusable = engine.deltas(tallies)
    shown = engine.exemplars(tallies)
    sightings = _sightings(engine, tallies, watching) if engine.usage.sequences else {}
    unplaced = Counter(rule for rule, *_ in sightings.pop(OWN, ())) if shared else Counter[str]()
    return Findings(deltas, sightings, unusable, unplaced, shown)


def _sightings(engine: Engine, tallies: Sequence[Tally], watching: Watching) -> dict[str, Iterable[Seen]]:
    """What they hold for the rules about keys in force, by part."""
    parts: dict[str, list[Tally]] = {}
    for tally in tallies:
        parts.setdefault(tally.part, []).append(tally)
    if engine.usage.sequences == watching.settings:
        return {part: engine.sightings(same) for part, same in parts.items()}
    # tallied before a reload: what rules saw that are gone or have changed says nothing now
    kept = watching.of_same_version(engine.usage.sequences)
    return {part: [seen for seen in engine.sightings(same) if seen[0] in kept] for part, same in parts.items()}
