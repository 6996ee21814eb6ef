"""A key's waiting events, once their time has gone by: looked at one after the other. Pure."""

import math
from bisect import bisect, bisect_left
from operator import attrgetter

import msgspec

from exporter.usage.sequences.rule import UNKNOWN, Memory, Moment, Outcome, Rule, Turn

_TIME = attrgetter("time")


def due(rule: Rule, memory: Memory) -> float:
    """When `settle` has something to do (Unix time): infinity for a key of which nothing is to be remembered."""
    lapses = rule.due(memory)
    return min(memory.waiting[0].time, lapses) if memory.waiting else lapses


def waiting(rule: Rule, memory: Memory, moment: Moment) -> Memory | None:
    """What is remembered once `moment` waits too; None where no more fit."""
    wait = memory.waiting
    if rule.repeats(wait, moment):
        return memory
    at = len(wait) if not wait or moment > wait[-1] else bisect(wait, moment)
    kept = rule.wait((*wait[:at], moment, *wait[at:]), at)
    return None if kept is None else msgspec.structs.replace(memory, waiting=kept)


def settle(rule: Rule, memory: Memory, before: float, blind_until: float = -math.inf) -> tuple[Memory, list[Outcome]]:
    """What is remembered once all is told of the time before `before`, and what happened in it.

    Up to `blind_until` an absence proves nothing: what a rule concludes from one is `unknown`.
    """
    wait, outcomes = memory.waiting, list[Outcome]()
    passed = bisect_left(wait, before, key=_TIME)
    memory = msgspec.structs.replace(memory, waiting=()) if wait else memory
    for moment in wait[:passed]:
        memory = _lapse(rule, memory, moment.time, outcomes)
        turn = rule.look(memory, moment)
        if turn.outcome in rule.by_absence and moment.time < blind_until:
            turn = turn._replace(outcome=UNKNOWN)
        memory = _tell(rule, memory, turn, outcomes)
    memory = _lapse(rule, memory, before, outcomes)
    rest = wait[passed:]
    return (msgspec.structs.replace(memory, waiting=rest) if rest else memory), outcomes


def _lapse(rule: Rule, memory: Memory, before: float, outcomes: list[Outcome]) -> Memory:
    while rule.due(memory) < before:
        memory = _tell(rule, memory, rule.lapse(memory), outcomes)
    return memory


def _tell(rule: Rule, memory: Memory, turn: Turn, outcomes: list[Outcome]) -> Memory:
    after: Memory = turn.memory
    if turn.outcome:
        # a key that is forgotten has no labels any more
        outcomes.append(Outcome(rule.name, turn.outcome, after.labels or memory.labels, turn.seconds))
    return after
