"""What a provider answered, as a value."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

FailureReason = Literal["timeout", "dns", "connect", "tls", "protocol", "secret"]


@dataclass(frozen=True)
class Exchange:
    """An answer: HTTP status (0 when unknown), lower-cased headers, the beginning of the body, seconds it took."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0

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

    @property
    def code(self) -> str:
        """The `code` label of `thirdparty_responses_total`."""
        return self.reason
