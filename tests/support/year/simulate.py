"""A year from end to end: (year, seed) -> what was told."""

from collections.abc import Iterator
from dataclasses import replace
from random import Random

from tests.support.stack import CONFIG
from tests.support.year import telling
from tests.support.year.probing import Beat, Run, beats, judging, runs
from tests.support.year.timeline import Vendor, Year
from tests.support.year.twin import Firing, Watch, cards, egress, firings, floor, folded


def probed(year: Year, seed: int = 0) -> dict[str, list[Run]]:
    """Every vendor's runs of probes; `seed` draws when the exporter probes."""
    chance, judged = Random(seed), judging()
    return {vendor.name: list(runs(vendor, rhythm(year, chance), year.end, judged)) for vendor in year.vendors}


def rhythm(year: Year, chance: Random) -> list[Beat]:
    """When one vendor is probed."""
    return list(beats(year.absences, year.end, chance))


def fired(year: Year, known: dict[str, list[Run]]) -> Iterator[Firing]:
    """Every alert that fired."""
    watch = Watch(year.absences, year.end)
    histories = {name: list(folded(found, watch)) for name, found in known.items()}
    for name, history in histories.items():
        yield from firings(name, history)
    yield from egress(known, watch)
    yield from cards(histories, {vendor.name: vendor.card for vendor in year.vendors}, watch)


def cut(year: Year, start: float, length: float) -> Year:
    """`length` seconds of a year from the tick at or before `start`, as a year of its own without its truth."""
    begun = floor(start)
    vendors = tuple(_moved(vendor, begun) for vendor in year.vendors)
    absences = [(away - begun, back - begun) for away, back in year.absences]
    inside = tuple((away, back) for away, back in absences if away > 0 and back < length)
    return Year(vendors, (), length, inside)


def _moved(vendor: Vendor, begun: float) -> Vendor:
    spells = (replace(spell, start=spell.start - begun, end=spell.end - begun) for spell in vendor.spells)
    # the first secret is the one of before
    secrets = tuple((at - begun if at else -begun, secret) for at, secret in vendor.secrets)
    return replace(vendor, spells=tuple(spell for spell in spells if spell.end > 0), secrets=secrets)


def told(year: Year, seed: int = 0) -> list[telling.Told]:
    """Every notification."""
    return telling.told(fired(year, probed(year, seed)), telling.inhibitions(CONFIG / "alertmanager.yml"))
