"""One pattern, compiled: the text of a log entry -> the fields of its event. Pure."""

from collections.abc import Collection, Mapping
from typing import Any

import re2

from exporter.usage.logs import grok
from exporter.usage.logs.fields import CONVERT, Value
from exporter.usage.logs.greedy import greedy
from exporter.usage.logs.literals import certain, prefix
from exporter.usage.logs.settings import LogPattern


class CompiledPattern:
    """Says whether a text matches, and what its groups hold. RE2 has the word: linear time whatever the text."""

    def __init__(self, settings: LogPattern, wanted: Collection[str] | None = None) -> None:
        """Of the groups only those in `wanted` are told, or all."""
        expanded = grok.expand(settings.pattern)
        self.event, self.regex = settings.event, expanded.regex
        self._names = [name for name in expanded.names if wanted is None or name in wanted]
        self._prefix = prefix(self.regex)
        self.must, *self._musts = [text for text in certain(self.regex) if text not in self._prefix] or [""]
        """A text without which nothing matches: a caller who looks for it first saves the call."""
        self._greedy = greedy(self.regex, self._names)
        options = re2.Options()
        options.never_capture = not self._names  # RE2 needs no second look for groups that nobody asks for
        self._re2 = re2.compile(self.regex, options)
        types: Mapping[str, Any] = {**expanded.types, **settings.types}
        converts = ((name, CONVERT[types.get(name, "string")]) for name in self._names)
        self._converts = [(name, convert) for name, convert in converts if convert]

    def fields_of(self, text: str) -> dict[str, Value] | None:
        """The groups that took part in the first match, or None where there is none."""
        fields = self._groups_of(text)
        if fields is None:
            return None
        if None in fields.values():
            fields = {name: value for name, value in fields.items() if value is not None}
        for name, convert in self._converts:
            if name in fields:
                fields[name] = convert(fields[name])
        return fields

    def _groups_of(self, text: str) -> dict[str, Any] | None:
        """No match begins before the prefix first stands in `text`, so one that begins there is the first."""
        start = text.find(self._prefix)
        if start < 0:
            return None
        if self._greedy and (found := self._greedy.match(text, start)):
            return found.groupdict()
        return self._asked(text) if all(must in text for must in self._musts) else None

    def _asked(self, text: str) -> dict[str, Any] | None:
        """What RE2 finds, which takes ten times as long."""
        found = self._re2.search(text)
        return None if found is None else {name: found[name] for name in self._names}
