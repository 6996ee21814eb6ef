"""The closed sets of a verdict."""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What a provider's answer means. Closed: the values are label values."""

    OK = "ok"
    PAYMENT_REQUIRED = "payment_required"
    ACCOUNT_SUSPENDED = "account_suspended"
    CREDENTIALS_INVALID = "credentials_invalid"
    QUOTA_EXHAUSTED = "quota_exhausted"
    RATE_LIMITED = "rate_limited"
    PLAN_RESTRICTED = "plan_restricted"
    OUTAGE = "outage"
    AMBIGUOUS = "ambiguous"
    NOT_ACCOUNT_PROBLEM = "not_account_problem"
    UNKNOWN = "unknown"


class Certainty(StrEnum):
    """What a verdict rests on: a machine code, words in an error field, the provider's past, or the status alone."""

    CODE = "code"
    WORDS = "words"
    HISTORY = "history"
    STATUS = "status"


@dataclass(frozen=True)
class Verdict:
    """A judgement of one answer. `reason` is for people and holds no part of a secret; `signature` names the vendor's
    signature or the general rule that decided, "" where none did."""

    kind: Kind
    certainty: Certainty
    reason: str
    signature: str = ""
