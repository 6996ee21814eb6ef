"""What we remember of a provider, and what its past adds to an answer. Pure.

`conclude` settles verdicts that the answer alone leaves open; `advance` is the memory: (state, verdict, now) -> state.
"""

from dataclasses import dataclass, replace

from exporter.providers.kinds import Certainty, Kind, Verdict

QUOTA_AFTER_SECONDS = 3600.0
"""Throttling clears within its window, a minute as a rule; one that has stood for an hour is a spent quota."""
BUSY = "general:busy"
"""The rule of a 503 that asks to come back soon."""
OUTAGE_AFTER_SECONDS = 3600.0
"""A failure with a 200 less than this ago is a passing one: the field's rule against false alarms."""


@dataclass(frozen=True)
class Past:
    """What is known of the time before an answer; None where it is not.

    `last_ok_age`, `failing_for` and, of that, `throttled_for` are seconds. `ever_ok`: whether this request was ever
    answered well. `credential_changed`: whether the secret is another one than at the last good answer.
    """

    ever_ok: bool | None = None
    credential_changed: bool | None = None
    last_ok_age: float | None = None
    failing_for: float | None = None
    throttled_for: float | None = None


@dataclass(frozen=True)
class State:
    """A provider's past. Times are seconds since the epoch.

    `since` is when the present run of equal verdicts began and `streak` how many probes it has lasted; `failing_since`
    is when the last good answer was followed by another, None while all is well. `ok_credential` is the fingerprint of
    the secret that the last good answer was given to.
    """

    kind: Kind
    certainty: Certainty
    reason: str
    signature: str
    since: float
    streak: int
    watched_since: float
    last_probe: float
    last_success: float | None
    failing_since: float | None
    ok_credential: str
    probe_seconds: float

    def past(self, credential: str, now: float) -> Past:
        """What this state knows at `now`, of a probe made with a secret of this fingerprint."""
        return Past(
            ever_ok=self.last_success is not None,
            credential_changed=self.last_success is not None and credential != self.ok_credential,
            last_ok_age=None if self.last_success is None else now - self.last_success,
            failing_for=None if self.failing_since is None else now - self.failing_since,
            throttled_for=self._throttled_for(now),
        )

    def _throttled_for(self, now: float) -> float | None:
        # what failed in another way before the throttling is no part of it; what was a spent quota still is one
        if self.kind is Kind.QUOTA_EXHAUSTED:
            return now - self.since + QUOTA_AFTER_SECONDS
        return now - self.since if self.kind is Kind.RATE_LIMITED else None


def conclude(verdict: Verdict, past: Past) -> Verdict:
    """`verdict`, or what the past makes of one that rests on a status alone."""
    if verdict.kind is Kind.RATE_LIMITED and (past.throttled_for or 0) > QUOTA_AFTER_SECONDS:
        return _throttled_too_long(verdict, past)
    if verdict.certainty is not Certainty.STATUS or verdict.signature != "general:status":
        return verdict
    if verdict.kind is Kind.AMBIGUOUS:
        return _refused(verdict, past)
    if verdict.kind is Kind.PAYMENT_REQUIRED and past.ever_ok is False:
        reason = f"{verdict.reason}, and was never answered well: it may be part of another plan"
        return Verdict(Kind.PLAN_RESTRICTED, Certainty.HISTORY, reason, "history:never-ok")
    return verdict


def _throttled_too_long(verdict: Verdict, past: Past) -> Verdict:
    reason = f"{verdict.reason}, and has for {past.throttled_for:.0f} s: no throttling lasts so long"
    # a server that is busy for an hour is down; one that counts our calls has counted too many
    kind = Kind.OUTAGE if verdict.signature == BUSY else Kind.QUOTA_EXHAUSTED
    return Verdict(kind, Certainty.HISTORY, reason, "history:beyond-its-window")


def _refused(verdict: Verdict, past: Past) -> Verdict:
    """A bare 401 or 403: a bad key, or a bill that hides behind the look of one."""
    if past.ever_ok is False:
        reason = f"{verdict.reason}, and was never answered well with this request: a mistake in its set-up"
        return Verdict(Kind.CREDENTIALS_INVALID, Certainty.HISTORY, reason, "history:never-ok")
    if past.credential_changed:
        reason = f"{verdict.reason}, since the secret was changed"
        return Verdict(Kind.CREDENTIALS_INVALID, Certainty.HISTORY, reason, "history:key-changed")
    if past.ever_ok and past.credential_changed is False:
        reason = f"{verdict.reason}, to a secret that was good and has not changed: an unpaid bill is suspected"
        return Verdict(Kind.PAYMENT_REQUIRED, Certainty.HISTORY, reason, "history:key-unchanged")
    return verdict


def passing(verdict: Verdict, past: Past) -> Verdict:
    """`ok` in place of an outage that is none yet, because a 200 came less than an hour ago.

    For the question "what would you have said?", where no rule holds the hour.
    """
    if verdict.kind is not Kind.OUTAGE or past.last_ok_age is None or past.last_ok_age >= OUTAGE_AFTER_SECONDS:
        return verdict
    reason = f"{verdict.reason}; a passing failure, for the last good answer is {past.last_ok_age:.0f} s old"
    return Verdict(Kind.OK, Certainty.HISTORY, reason, "history:passing")


def advance(state: State | None, verdict: Verdict, credential: str, probe_seconds: float, now: float) -> State:
    """The state after one more probe, made with a secret of fingerprint `credential`, that ended at `now`."""
    ok = verdict.kind is Kind.OK
    same = state is not None and state.kind is verdict.kind
    failing_since = state.failing_since if state is not None and state.failing_since is not None else now
    fresh = State(
        kind=verdict.kind,
        certainty=verdict.certainty,
        reason=verdict.reason,
        signature=verdict.signature,
        since=now,
        streak=1,
        watched_since=state.watched_since if state else now,
        last_probe=now,
        last_success=now if ok else (state.last_success if state else None),
        failing_since=None if ok else failing_since,
        ok_credential=credential if ok else (state.ok_credential if state else ""),
        probe_seconds=probe_seconds,
    )
    return replace(fresh, since=state.since, streak=state.streak + 1) if state is not None and same else fresh
