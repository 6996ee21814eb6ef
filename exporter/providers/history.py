"""What we remember of a provider, and what its past adds to an answer. Pure.

`conclude` settles verdicts that the answer alone leaves open; `advance` is the memory: (state, look, now) -> state.
"""

from dataclasses import dataclass, replace

from exporter.providers.kinds import Certainty, Kind, Verdict
from exporter.providers.reading import Shape

QUOTA_AFTER_SECONDS = 3600.0
"""Throttling clears within its window, a minute as a rule; one that has stood for an hour is a spent quota."""
BUSY = "general:busy"
"""The rule of a 503 that asks to come back soon."""
BEYOND_ITS_WINDOW = "history:beyond-its-window"
OUTAGE_AFTER_SECONDS = 3600.0
"""A failure with a 200 less than this ago is a passing one: the field's rule against false alarms."""
REFUSAL_STANDS_SECONDS = 600.0
"""A vendor refuses one kind of call and goes on answering another: until this long after the last refusal, only an ok
to the kind of call that was refused ends it."""
PROBE = "probe"
"""The source of our own looks; those of other programs' calls are named by what was called."""
_REFUSALS = frozenset({Kind.PAYMENT_REQUIRED, Kind.ACCOUNT_SUSPENDED, Kind.CREDENTIALS_INVALID, Kind.QUOTA_EXHAUSTED})
_PASSING = frozenset({Kind.OK, Kind.OUTAGE, Kind.RATE_LIMITED})
_TOLD = frozenset({Certainty.CODE, Certainty.WORDS})


@dataclass(frozen=True)
class Past:
    """What is known of the time before an answer; None where it is not.

    `last_ok_age`, `failing_for` and, of that, `throttled_for` are seconds. `ever_ok`: whether this request was ever
    answered well. `credential_changed`: whether the secret is another one than at the last good answer. `ok_shape`:
    what good answers were.
    """

    ever_ok: bool | None = None
    credential_changed: bool | None = None
    last_ok_age: float | None = None
    failing_for: float | None = None
    throttled_for: float | None = None
    ok_shape: str = ""


@dataclass(frozen=True)
class Look:
    """One answer, judged. `source`: PROBE, or what a program called. `credential` is the fingerprint of the secret it
    was made with, a dot, and that of the request, None where they are not known; `shape` what the body was;
    `certificate_expires` as in Exchange."""

    verdict: Verdict
    seconds: float
    source: str = PROBE
    credential: str | None = None
    shape: Shape | None = None
    certificate_expires: float | None = None


@dataclass(frozen=True)
class State:
    """A provider's past. Times are seconds since the epoch.

    `since` is when the present run of equal verdicts began and `streak` how many probes it has lasted; `failing_since`
    is when the last good answer was followed by another, None while all is well. `last_probe` is 0 before our first
    own. `ok_credential` is the fingerprint of secret and request of our last good probe, and `ok_shape` what its body
    was, "" before the first. `source` is whose look gave the present verdict, and `seen_at` when it last did.
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
    ok_shape: str = ""
    source: str = PROBE
    seen_at: float = 0.0
    certificate_expires: float | None = None

    def past(self, credential: str | None, now: float) -> Past:
        """What this state knows at `now`, of a look made with a secret of this fingerprint, if that is known."""
        return Past(
            ever_ok=(self.last_success is not None or None) if credential is None else self._was_ok(credential),
            credential_changed=None if credential is None else self._changed(credential),
            last_ok_age=None if self.last_success is None else now - self.last_success,
            failing_for=None if self.failing_since is None else now - self.failing_since,
            ok_shape=self.ok_shape,
            throttled_for=self._throttled_for(now),
        )

    def _was_ok(self, credential: str) -> bool:
        """Whether this request was ever answered well: another URL is another request."""
        request, known = _parts(credential)[1], _parts(self.ok_credential)[1]
        return bool(self.ok_shape) and (request == known or not known)

    def _changed(self, credential: str) -> bool:
        return bool(self.ok_shape) and _parts(credential)[0] != _parts(self.ok_credential)[0]

    def _throttled_for(self, now: float) -> float | None:
        # what failed in another way before the throttling is no part of it; what was a spent quota still is one
        if self.kind is Kind.QUOTA_EXHAUSTED or self.signature == BEYOND_ITS_WINDOW:
            return now - self.since + QUOTA_AFTER_SECONDS
        return now - self.since if self.kind is Kind.RATE_LIMITED else None


def _parts(credential: str) -> tuple[str, str]:
    """The fingerprints of secret and request; the second "" in what was remembered before there was one."""
    secret, _, request = credential.partition(".")
    return secret, request


def conclude(verdict: Verdict, past: Past, shape: Shape | None = None) -> Verdict:
    """`verdict`, or what the past makes of one that rests on a status alone. `shape`: what the answer's body was."""
    if verdict.kind is Kind.RATE_LIMITED and (past.throttled_for or 0) > QUOTA_AFTER_SECONDS:
        return _throttled_too_long(verdict)
    if verdict.certainty is not Certainty.STATUS or verdict.signature != "general:status":
        return verdict
    if unexplained(verdict) and shape == "html" and past.ok_shape == "json":
        # of one vendor it is a hint; of several at once it is ours (egress.py)
        verdict = replace(verdict, reason=f"{verdict.reason}, with a web page where JSON was usual (a proxy's?)")
    if verdict.kind is Kind.AMBIGUOUS:
        return _refused(verdict, past)
    if verdict.kind is Kind.PAYMENT_REQUIRED and past.ever_ok is False:
        reason = f"{verdict.reason}, and was never answered well: it may be part of another plan"
        return Verdict(Kind.PLAN_RESTRICTED, Certainty.HISTORY, reason, "history:never-ok")
    return verdict


def _throttled_too_long(verdict: Verdict) -> Verdict:
    reason = f"{verdict.reason}, and this has gone on for an hour and more: no throttling lasts so long"
    # a server that is busy for an hour is down; one that counts our calls has counted too many
    kind = Kind.OUTAGE if verdict.signature == BUSY else Kind.QUOTA_EXHAUSTED
    return Verdict(kind, Certainty.HISTORY, reason, BEYOND_ITS_WINDOW)


def _refused(verdict: Verdict, past: Past) -> Verdict:
    """A bare 401 or 403: a bad key, or a bill that hides behind the look of one."""
    if past.ever_ok is False:
        reason = f"{verdict.reason}, and was never answered well with this request: a mistake in its set-up"
        return Verdict(Kind.CREDENTIALS_INVALID, Certainty.HISTORY, reason, "history:never-ok")
    if past.credential_changed:
        reason = f"{verdict.reason}, since the secret was changed"
        return Verdict(Kind.CREDENTIALS_INVALID, Certainty.HISTORY, reason, "history:key-changed")
    if past.ever_ok and past.credential_changed is False:
        reason = f"{verdict.reason}, where all was well and nothing of ours has changed: an unpaid bill is suspected"
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


def second_look(verdict: Verdict, second: Verdict) -> Verdict:
    """`verdict` of a refusal that tells nothing, or what a second request that every good key may make adds to it."""
    if second.kind is Kind.OK:
        reason = f"{verdict.reason}, but a request that needs no scope was answered well: a scope or a plan, no bill"
        return Verdict(Kind.PLAN_RESTRICTED, Certainty.HISTORY, reason, "history:second-look")
    return second if second.certainty in _TOLD else verdict


def unexplained(verdict: Verdict) -> bool:
    """Whether a refusal tells nothing of its cause."""
    return verdict.certainty is Certainty.STATUS and (verdict.kind is Kind.AMBIGUOUS or verdict.kind in _REFUSALS)


def tells_of_the_account(verdict: Verdict) -> bool:
    """Whether an answer to any call says something of vendor or account as a whole: all is well, it is down, it
    throttles, or a refusal that gives its cause. A bad request, a missing page, one call's scope or plan do not."""
    if verdict.kind in (Kind.OK, Kind.OUTAGE, Kind.RATE_LIMITED):
        return True
    return verdict.kind in _REFUSALS and verdict.certainty in _TOLD


def in_doubt(state: State, probes: int, seconds: float) -> bool:
    """Whether a trouble still waits for its confirmation, by that many probes over that many seconds."""
    if state.kind in (Kind.OK, Kind.RATE_LIMITED):
        return False  # asking more often is no cure for throttling
    return state.streak < probes or state.last_probe - state.since < seconds


def advance(state: State | None, look: Look, now: float) -> State:
    """The state after one more look that ended at `now`."""
    ok, verdict, own = look.verdict.kind is Kind.OK, look.verdict, look.source == PROBE
    last_success = now if ok else (state.last_success if state else None)
    last_probe = now if own else (state.last_probe if state else 0.0)
    if state is not None and _outvoted(state, look, now):
        return replace(state, last_success=last_success, last_probe=last_probe)
    own_ok = ok and look.credential is not None
    failing_since = state.failing_since if state is not None and state.failing_since is not None else now
    fresh = State(
        kind=verdict.kind,
        certainty=verdict.certainty,
        reason=verdict.reason,
        signature=verdict.signature,
        since=now,
        streak=1,
        watched_since=state.watched_since if state else now,
        last_probe=last_probe,
        last_success=last_success,
        failing_since=None if ok else failing_since,
        ok_credential=(look.credential or "") if own_ok else (state.ok_credential if state else ""),
        ok_shape=(look.shape or "text") if own_ok else (state.ok_shape if state else ""),
        probe_seconds=look.seconds if own else (state.probe_seconds if state else 0.0),
        source=look.source,
        seen_at=now,
        certificate_expires=look.certificate_expires or (state.certificate_expires if state else None),
    )
    if state is None or state.kind is not verdict.kind:
        return fresh
    return replace(fresh, since=state.since, streak=state.streak + 1)


def _outvoted(state: State, look: Look, now: float) -> bool:
    """Whether an ok, a failure or throttling of one kind of call is set aside, because another kind was refused a
    moment ago, with the cause: a program's own network says nothing of the bill."""
    refused = state.kind in _REFUSALS and state.certainty in _TOLD
    fresh = 0 <= now - state.seen_at < REFUSAL_STANDS_SECONDS
    return look.verdict.kind in _PASSING and refused and look.source != state.source and fresh
