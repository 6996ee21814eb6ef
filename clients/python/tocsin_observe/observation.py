"""One observation, from whatever a program hands over to the line that is sent."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass

from tocsin_observe.failures import REASONS
from tocsin_observe.redaction import safe_body, safe_headers, safe_operation

MOST_NAME = 200


class UnusableError(ValueError):
    """These arguments make no observation."""


@dataclass(frozen=True)
class Outcome:
    """How a call ended: an HTTP status, or the reason why no answer came. One of them is None."""

    status: int | None
    error: str | None

    @property
    def refusal(self) -> bool:
        """Whether it is worth a look: no answer, or an answer that is an error."""
        return self.status is None or self.status >= 400

    @classmethod
    def parse(cls, status: object, error: object) -> Outcome:
        """`status` from 100 to 599, or `error` out of `REASONS`. Raises UnusableError."""
        if isinstance(status, int) and not isinstance(status, bool) and 100 <= status <= 599:
            return cls(int(status), None)
        if status is None and isinstance(error, str) and error in REASONS:
            return cls(None, error)
        raise UnusableError("neither an HTTP status nor a known reason")


def parse_name(name: object) -> str:
    """A provider's name in exporter.yml. Raises UnusableError."""
    if isinstance(name, str) and 0 < len(name) <= MOST_NAME:
        return str(name)
    raise UnusableError("not a provider's name")


def line(
    provider: str,
    outcome: Outcome,
    headers: Mapping[str, str] | None,
    body: bytes | str | None,
    operation: str,
    seconds: float | None,
) -> bytes:
    """One line of JSON, without its end. From here on nothing holds a credential; a success has no body."""
    told: dict[str, object] = {"provider": provider}
    if outcome.status is None:
        told["error"] = outcome.error
    else:
        told["status"] = outcome.status
        told["headers"] = safe_headers(headers)
        told["body"] = safe_body(body) if outcome.refusal else ""
    if operation:
        told["operation"] = safe_operation(operation)
    if isinstance(seconds, (int, float)) and math.isfinite(seconds) and seconds >= 0:
        told["seconds"] = round(float(seconds), 6)
    return json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
