"""What of its series a scrape asks for: some collectors, some families, one shard of the usage series. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from multidict import MultiMapping

from exporter.exposition import Family
from toolkit.configfile import nearest

COLLECTORS = ("providers", "usage", "self")
"""What `collect[]` may name: third parties, product usage, the exporter itself."""
MAX_SHARDS = 1000


@dataclass(frozen=True)
class Shard:
    """One part of several, by a number that is fixed for each series. `number` counts from 1 to `of`."""

    number: int = 1
    of: int = 1

    def holds(self, number: int) -> bool:
        """Whether the series with this number is of this shard."""
        return number % self.of == self.number - 1


WHOLE = Shard()


@dataclass(frozen=True)
class Wanted:
    """`?collect[]=usage&name[]=checkouts_total&shard=1&of=4`, all of it optional."""

    collect: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()
    shard: Shard = WHOLE

    @classmethod
    def parse(cls, query: MultiMapping[str]) -> "Wanted":
        """What a scrape's query asks for. Raises ValueError."""
        collect = query.getall("collect[]", [])
        for one in collect:
            if one not in COLLECTORS:
                raise ValueError(f"collect[]: nothing is called {one!r}{nearest(one, COLLECTORS)}")
        return cls(frozenset(collect), frozenset(query.getall("name[]", [])), _shard(query))

    def includes(self, collector: str, by_default: bool = True) -> bool:
        """Whether it wants this collector. What is no usage series is on the first shard."""
        if collector != "usage" and self.shard.number > 1:
            return False
        return collector in self.collect if self.collect else by_default

    def named(self, families: Iterable[tuple[Family, Iterable[bytes]]]) -> Iterator[tuple[Family, Iterable[bytes]]]:
        """The families that it wants."""
        for family, lines in families:
            if not self.names or family.name in self.names:
                yield family, lines


def _shard(query: Mapping[str, str]) -> Shard:
    if "shard" not in query and "of" not in query:
        return WHOLE
    try:
        number, of = int(query["shard"]), int(query["of"])
    except (KeyError, ValueError):
        raise ValueError("shard and of go together, both whole numbers, as in ?shard=1&of=4") from None
    if not 1 <= number <= of <= MAX_SHARDS:
        raise ValueError(f"shard goes from 1 to of, which is at most {MAX_SHARDS}; not {number} of {of}")
    return Shard(number, of)
