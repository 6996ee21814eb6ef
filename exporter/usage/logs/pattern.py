"""One pattern, compiled: the text of a log entry -> the fields of its event. Pure."""

from collections.abc import Collection, Mapping
from typing import Any

import re2

from exporter.usage.logs import grok
from exporter.usage.logs.fields import CONVERT, Convert, Value
from exporter.usage.logs.greedy import greedy
from exporter.usage.logs.literals import certain, prefix
from exporter.usage.logs.settings import LogPattern

MUSTS = 3
"""How many texts are looked for before the pattern is tried: each costs a twentieth of a failed try."""


class CompiledPattern:
    """Says whether a text matches, and what its groups hold. RE2 has the word: linear time whatever the text."""

    def __init__(self, settings: LogPattern, wanted: Collection[str] | None = None) -> None:
        """Of the groups only those in `wanted` are told, or all."""
        expanded = grok.expand(settings.pattern)
        self.event, self.regex = settings.event, expanded.regex
        names = [name for name in expanded.names if wanted is None or name in wanted]
        options = re2.Options()
        options.never_capture = not names  # RE2 needs no second look for groups that nobody asks for
        self._re2 = re2.compile(self.regex, options)
        self._prefix, self._greedy = prefix(self.regex), greedy(self.regex)
        self._musts = certain(self.regex)[:MUSTS]
        types: Mapping[str, Any] = {**expanded.types, **settings.types}
        self._groups: list[tuple[str, int, Convert | None]] = [
            (name, self._re2.groupindex[name] - 1, CONVERT[types.get(name, "string")]) for name in names
        ]

    def fields_of(self, text: str) -> dict[str, Value] | None:
        """The groups that took part in the first match, or None where there is none."""
        values = self._groups_of(text)
        if values is None:
            return None
        fields: dict[str, Value] = {}
        for name, group, convert in self._groups:
            value = values[group]
            if value is not None:
                fields[name] = convert(value) if convert else value
        return fields

    def _groups_of(self, text: str) -> tuple[str | None, ...] | None:
        """No match begins before the prefix first stands in `text`, so one that begins there is the first."""
        for must in self._musts:
            if must not in text:
                return None
        start = text.find(self._prefix)
        if start < 0:
            return None
        found = self._greedy.match(text, start) if self._greedy else None
        found = found or self._re2.search(text)
        return None if found is None else found.groups()
