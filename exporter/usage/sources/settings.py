"""What `usage.sources` says: what the exporter reads by itself."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

from exporter.usage.logs.settings import LogSet
from exporter.usage.sources.files import settings as files
from exporter.usage.sources.files.settings import FileSettings
from exporter.usage.sources.kafka import settings as kafka
from exporter.usage.sources.kafka.settings import KafkaSettings
from exporter.usage.sources.sql import settings as sql
from exporter.usage.sources.sql.settings import SqlSettings
from toolkit.configfile import Location, Model, nearest


class SourceSettings(Model):
    """Files, Kafka topics and databases."""

    files: tuple[FileSettings, ...] = ()
    kafka: tuple[KafkaSettings, ...] = ()
    sql: tuple[SqlSettings, ...] = ()

    @property
    def of_events(self) -> Iterator[FileSettings | KafkaSettings]:
        """Those that deliver events."""
        return chain(self.files, self.kafka)


def lint(sources: SourceSettings, producers: Iterable[str], logs: Iterable[LogSet]) -> Iterator[tuple[Location, str]]:
    """Names used twice, kinds of log that are none, and what contradicts itself. Locations start in `sources`."""
    taken, known = set(producers), [one.name for one in logs]
    kinds: dict[str, Sequence[FileSettings | KafkaSettings | SqlSettings]] = {
        "files": sources.files,
        "kafka": sources.kafka,
        "sql": sources.sql,
    }
    for kind, every in kinds.items():
        for index, one in enumerate(every):
            if one.name in taken:
                yield (kind, index, "name"), f"the name '{one.name}' is used twice (sources and producers share them)"
            taken.add(one.name)
            for location, text in _alone(one):
                yield (kind, index, *location), text
            if not isinstance(one, SqlSettings):
                for location, text in _log(one, known):
                    yield (kind, index, *location), text


def _alone(one: FileSettings | KafkaSettings | SqlSettings) -> Iterator[tuple[Location, str]]:
    if isinstance(one, FileSettings):
        return files.lint(one)
    return kafka.lint(one) if isinstance(one, KafkaSettings) else sql.lint(one)


def _log(one: FileSettings | KafkaSettings, known: list[str]) -> Iterator[tuple[Location, str]]:
    """How its lines are read: needed where there are several ways, or none."""
    if one.format != "lines":
        if one.log:
            yield ("log",), "says how lines are read; this source has no format: lines"
    elif one.log and one.log not in known:
        yield ("log",), f"no entry of usage.logs is named '{one.log}'{nearest(one.log, known)}"
    elif not one.log and len(known) != 1:
        names = f" ({', '.join(known)})" if known else ", which has none"
        yield (), f"say in log how its lines are read: by an entry of usage.logs{names}"
