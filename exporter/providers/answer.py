"""What a provider answered, as a value."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

FailureReason = Literal["timeout", "dns", "private_address", "connect", "tls", "protocol", "secret"]
FAILURE_REASONS: frozenset[str] = frozenset(get_args(FailureReason))


@dataclass(frozen=True)
class Exchange:
    """An answer: HTTP status (0 when unknown), lower-cased headers, the beginning of the body, seconds it took.

    `phases` are seconds by step; `certificate_expires` is when the server's certificate ends, in seconds since the
    epoch, None without TLS.
    """

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    phases: Mapping[str, float] = field(default_factory=dict)
    certificate_expires: float | None = None

    @property
    def code(self) -> str:
        """The `code` label of `thirdparty_responses_total`."""
        return str(self.status) if 100 <= self.status <= 599 else "other"


@dataclass(frozen=True)
class Failure:
    """No answer. `detail` is for people and holds no secret."""

    reason: FailureReason
    detail: str
    seconds: float = 0.0
    phases: Mapping[str, float] = field(default_factory=dict)

    @property
    def code(self) -> str:
        """The `code` label of `thirdparty_responses_total`."""
        return self.reason


Outcome = Exchange | Failure
