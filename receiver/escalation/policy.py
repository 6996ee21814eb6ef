"""What an escalation does next: (policy, how far it is, how the incident stands, now) -> an act with its reason. Pure.

Each step is taken once: what is done goes on record together with the step that follows.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Literal

from receiver.delivery.outbox import REFUSALS
from receiver.escalation.people import NOBODY, Called
from receiver.escalation.settings import Escalation, Step
from receiver.incidents import State

EndedBy = Literal[
    "acknowledged", "exhausted", "policy_gone", "snoozed", "resolved", "vanished", "source_lost", "merged"
]
"""Why nobody more is called. `snoozed`: nobody was ever called, but somebody is to be reminded later."""
Reason = Literal[
    "step_due",  # nobody has acknowledged within the last step's wait
    "unreachable",  # nobody of the last step could be told, so the next is taken at once
    "reminder_due",  # it goes on, and it is time to say so again
    "exhausted",  # all steps were taken as often as was wanted, and nobody has acknowledged
    "acknowledged",  # somebody has it: nobody more is called
    "policy_gone",  # the configuration has this escalation no more
    "clock_set_back",  # it is due later than it could be: the clock was set back, and the wait begins anew
    "not_due",  # the wait is not over
    "snoozed",  # it was put off by somebody, and that time is not over
]
QUIET: frozenset[Reason] = frozenset({"not_due", "snoozed"})
"""The reasons to do nothing."""
TRIES_BEFORE_UNREACHABLE = 2
"""Attempts, each of several quick tries, after which a target is taken for unreachable; one is enough when it refuses.
It is tried further all the same."""


@dataclass(frozen=True)
class Progress:
    """How far an incident's escalation is. Times are seconds since the epoch.

    `round` and `step`, from 0, name the step that is taken next, at `due_at`. Once `ended_by` is set nobody more is
    called, and `due_at` is the next reminder's; None when there is none either. `called` are the targets of the last
    step, which the incident's revision `called_at` told.
    """

    policy: str
    started_at: float
    due_at: float | None
    round: int = 0
    step: int = 0
    ended_by: EndedBy | None = None
    called: tuple[str, ...] = ()
    called_at: int = 0

    @property
    def active(self) -> bool:
        """Whether somebody may still be called."""
        return self.due_at is not None and self.ended_by is None


@dataclass(frozen=True)
class Standing:
    """How the incident stands, as far as it matters here."""

    state: State
    snoozed_until: float | None = None


@dataclass(frozen=True)
class Reach:
    """What became of the newest message for a target that was called. `stood_in`: its fallback was told instead."""

    state: str
    attempts: int
    http_status: int | None
    stood_in: bool = False


@dataclass(frozen=True)
class Move:
    """What is done: the progress afterwards, the step that is taken and whom it calls, and why others were left out."""

    progress: Progress
    number: int = 0
    called: Called = NOBODY
    skipped: tuple[str, ...] = ()


def decide(policy: Escalation | None, progress: Progress, standing: Standing, reached: bool, now: float) -> Reason:
    """What is to be done now. `reached`: somebody of the last step could be told, or may yet be."""
    if progress.due_at is None:
        return "not_due"
    if standing.snoozed_until is not None and now < standing.snoozed_until:
        return "snoozed"
    if progress.ended_by is None and (policy is None or standing.state == "acknowledged"):
        return "policy_gone" if policy is None else "acknowledged"
    if progress.due_at > now:
        return _early(policy, fitted(policy, progress), standing, reached, now)
    return _due(policy, fitted(policy, progress))


def _due(policy: Escalation | None, progress: Progress) -> Reason:
    """Once its time is over."""
    if progress.ended_by is not None or policy is None:
        return "reminder_due"
    return "exhausted" if progress.round > policy.repeat else "step_due"


def _early(policy: Escalation | None, progress: Progress, standing: Standing, reached: bool, now: float) -> Reason:
    """Before its time is over."""
    due = progress.due_at or 0.0
    longest = _wait(policy, progress)
    if longest is not None and due > now + longest and due != standing.snoozed_until:
        return "clock_set_back"
    # the next round is never begun early: with nobody to be reached the rounds would be over in no time
    return "unreachable" if progress.ended_by is None and progress.step > 0 and not reached else "not_due"


def _wait(policy: Escalation | None, progress: Progress) -> float | None:
    """How long the wait is that the progress is in; None when that is unknown."""
    if policy is None:
        return None
    if progress.ended_by is not None:
        return policy.reminder
    return policy.steps[fitted(policy, progress).step - 1].wait


def is_reached(found: Iterable[Reach]) -> bool:
    """Whether one of those who were called was told, or may yet be; also when nobody was called."""
    return not (known := list(found)) or not all(map(_failed, known))


def _failed(reach: Reach) -> bool:
    if reach.stood_in or reach.state in ("sent", "superseded", "shadow"):
        return False
    refused = reach.http_status in REFUSALS and reach.attempts > 0
    tried = reach.state in ("failed", "unknown") and reach.attempts >= TRIES_BEFORE_UNREACHABLE
    return reach.state == "dead" or refused or tried


def begin(policy: str, now: float) -> Progress:
    """Before the first step, which is due now."""
    return Progress(policy, now, now)


def fitted(policy: Escalation | None, progress: Progress) -> Progress:
    """`progress` within `policy`: one that has fewer steps by now than were taken goes on with the next round."""
    if policy is None or progress.step < len(policy.steps):
        return progress
    return replace(progress, round=progress.round + 1, step=0)


def take(policy: Escalation, progress: Progress, call: Callable[[Step], Called], now: float) -> Move:
    """Takes the step that is next; one that reaches nobody is left out, and the one after it taken at once.

    The rest of a round may reach nobody: then the next round begins after the last step's wait.
    """
    skipped: list[str] = []
    steps, progress = policy.steps, fitted(policy, progress)
    for index in range(progress.step, len(steps)):
        found, is_last = call(steps[index]), index + 1 == len(steps)
        following = replace(
            progress,
            round=progress.round + is_last,
            step=0 if is_last else index + 1,
            due_at=now + steps[index].wait,
            called=found.targets,
        )
        if found.calls:
            return Move(following, index + 1, found, tuple(skipped))
        skipped.append(f"step {index + 1}, {'; '.join(found.gaps)}")
    return Move(following, skipped=tuple(skipped))


def ended(policy: Escalation | None, progress: Progress, by: EndedBy, now: float) -> Progress:
    """Nobody else is called; somebody is reminded, where the policy says so."""
    reminder = policy.reminder if policy is not None else None
    return replace(progress, ended_by=by, due_at=now + reminder if reminder is not None else None)


def reminded(policy: Escalation | None, progress: Progress, now: float) -> Progress:
    """After a reminder."""
    return ended(policy, progress, progress.ended_by or "exhausted", now)


def held_up(policy: Escalation | None, progress: Progress, now: float) -> Progress:
    """The wait begins anew."""
    return replace(progress, due_at=now + (_wait(policy, progress) or 0.0))


def put_off(progress: Progress | None, until: float, now: float) -> Progress:
    """Snoozed: nothing happens before `until`. Where nothing would have happened afterwards, somebody is reminded."""
    if progress is not None and progress.due_at is not None:
        return progress
    if progress is None:
        return Progress("", now, until, ended_by="snoozed")
    return replace(progress, due_at=until)


def starts(policy: str | None, progress: Progress | None, state: State, anew: bool) -> bool:
    """Whether news of a live incident starts an escalation: there is none yet; or it has ended, and the news are such
    that everybody must hear them (`anew`). Not while somebody has the incident."""
    if policy is None or state == "acknowledged":
        return False
    if progress is None or progress.policy == "":
        return True
    return anew and not progress.active


def resumed(
    policy: Escalation | None, progress: Progress, called: tuple[str, ...], revision: int, now: float
) -> Progress:
    """Handed to somebody, whose targets are `called`: unless they acknowledge, it goes on with the step that is next.
    All of them were taken: then it begins anew."""
    if policy is None:
        return progress
    progress = fitted(policy, progress)
    spent = progress.round > policy.repeat
    again = replace(progress, round=0, step=0) if spent else progress
    anew = replace(again, ended_by=None, called=called, called_at=revision)
    return replace(anew, due_at=now + (_wait(policy, anew) or 0.0))
