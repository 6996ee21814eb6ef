"""What we remember of a provider: (state, verdict, now) -> state. Pure."""

from dataclasses import dataclass, replace

from exporter.providers.verdict import Certainty, Kind, Verdict


@dataclass(frozen=True)
class State:
    """A provider's past. Times are seconds since the epoch.

    `since` is when the present run of equal verdicts began and `streak` how many probes it has lasted.
    """

    kind: Kind
    certainty: Certainty
    reason: str
    since: float
    streak: int
    watched_since: float
    last_probe: float
    last_success: float | None
    probe_seconds: float


def advance(state: State | None, verdict: Verdict, probe_seconds: float, now: float) -> State:
    """The state after one more probe that took `probe_seconds` and ended at `now`."""
    success = now if verdict.kind is Kind.OK else (state.last_success if state else None)
    if state is not None and state.kind is verdict.kind:
        return replace(
            state,
            certainty=verdict.certainty,
            reason=verdict.reason,
            streak=state.streak + 1,
            last_probe=now,
            last_success=success,
            probe_seconds=probe_seconds,
        )
    return State(
        kind=verdict.kind,
        certainty=verdict.certainty,
        reason=verdict.reason,
        since=now,
        streak=1,
        watched_since=state.watched_since if state else now,
        last_probe=now,
        last_success=success,
        probe_seconds=probe_seconds,
    )
