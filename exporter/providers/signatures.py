"""Whether an answer bears a vendor's signature. Pure."""

import re
from collections.abc import Iterator
from typing import Any

from exporter.providers.catalogue import Signature, When
from exporter.providers.reading import Reading

_STEP = re.compile(r"\['([^']+)'\]|\[\]|([^.\[\]]+)")


def bears(reading: Reading, signature: Signature) -> bool:
    """Whether everything that the signature asks holds."""
    when = signature.when
    return _status_fits(reading, when) and _fields_fit(reading, when) and _words_fit(reading, when)


def _status_fits(reading: Reading, when: When) -> bool:
    given = reading.exchange.status
    if when.status is None or given == 0:
        return True
    # a field of a healthy answer counts whichever 2xx it comes with
    return given == when.status or (200 <= given < 300 and 200 <= when.status < 300)


def _fields_fit(reading: Reading, when: When) -> bool:
    if any(reading.exchange.headers.get(name.lower()) != value for name, value in when.headers.items()):
        return False
    return all(
        any(_same(found, wanted) for found in values_at(reading.data, path)) for path, wanted in when.fields.items()
    )


def _words_fit(reading: Reading, when: When) -> bool:
    if not when.says:
        return True
    body = reading.exchange.body.decode(errors="replace").casefold()
    return any(phrase.casefold() in body for phrase in when.says)


def _same(found: Any, wanted: Any) -> bool:
    if isinstance(found, bool) or isinstance(wanted, bool):
        return found is wanted
    # one vendor writes its codes as numbers today and as text tomorrow
    return not isinstance(found, (dict, list)) and str(found) == str(wanted)


def values_at(data: Any, path: str) -> Iterator[Any]:
    """The values at `path` in a JSON value; `[]` stands for every element of a list."""
    steps = [(match.group(1) or match.group(2), match.group() == "[]") for match in _STEP.finditer(path)]
    yield from _walk(data, steps)


def _walk(value: Any, steps: list[tuple[str, bool]]) -> Iterator[Any]:
    if not steps:
        yield value
        return
    (name, every), rest = steps[0], steps[1:]
    if every and isinstance(value, list):
        for item in value[:100]:
            yield from _walk(item, rest)
    elif not every and isinstance(value, dict) and name in value:
        yield from _walk(value[name], rest)
