"""Whether an answer bears a vendor's signature. Pure."""

from typing import Any

from exporter.providers.catalogue import Signature, When
from exporter.providers.paths import values_at
from exporter.providers.reading import Reading


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
