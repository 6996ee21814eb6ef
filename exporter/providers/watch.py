"""The one state of each provider, which the schedule, `/probe` and observations read and write."""

from collections import Counter
from dataclasses import replace

from exporter.config import Provider
from exporter.providers.account import Account, read
from exporter.providers.answer import Exchange, Outcome
from exporter.providers.concealed import secrets_of
from exporter.providers.history import (
    PROBE,
    Look,
    Past,
    State,
    advance,
    conclude,
    second_look,
    tells_of_the_account,
    unexplained,
)
from exporter.providers.kinds import Certainty, Kind, Verdict
from exporter.providers.probe import request_fingerprint
from exporter.providers.prober import Found
from exporter.providers.reading import shape_of
from exporter.providers.verdict import judge
from toolkit.logs import Logger

Responses = Counter[tuple[str, str, str]]
"""Answers by (provider, verdict, code)."""


class Watch:
    """States and accounts by provider name, what changed since they were last saved, and counts of answers."""

    def __init__(self, log: Logger) -> None:
        self._log = log
        self.states: dict[str, State] = {}
        self.accounts: dict[str, Account] = {}
        self.changed: set[str] = set()
        self.responses: Responses = Counter()
        self.observations: Responses = Counter()
        self._silent: set[str] = set()

    def probed(self, provider: Provider, found: Found, now: float) -> State:
        """The state after a look of our own."""
        outcome, known = found.outcome, request_fingerprint(provider, found.credential)
        state, shape = self.states.get(provider.name), shape_of(outcome)
        verdict = self._judged(provider, outcome, found.credential.secret)
        if found.second is not None:
            verdict = second_look(verdict, self._judged(provider, found.second, found.credential.secret))
        verdict = conclude(verdict, state.past(known, now) if state else Past(ever_ok=False), shape)
        self.responses[provider.name, verdict.kind.value, outcome.code] += 1
        expires = outcome.certificate_expires if isinstance(outcome, Exchange) else None
        return self._enter(provider, Look(verdict, outcome.seconds, PROBE, known, shape, expires), outcome, now)

    def is_open(self, provider: Provider, found: Found) -> bool:
        """Whether an answer is a refusal that tells nothing of its cause."""
        return unexplained(self._judged(provider, found.outcome, found.credential.secret))

    def observed(self, provider: Provider, outcome: Outcome, source: str, now: float) -> bool:
        """Takes what a program was answered; returns whether our own probe should have a look.

        An answer that tells nothing of the account is counted only. A refusal without its cause is left to our probe,
        which knows its secret and its past; where none is scheduled, it is taken as it is.
        """
        state = self.states.get(provider.name)
        verdict = self._judged(provider, outcome)
        verdict = conclude(verdict, state.past(None, now) if state else Past())
        self.observations[provider.name, verdict.kind.value, outcome.code] += 1
        if unexplained(verdict) and provider.scheduled:
            return True
        if unexplained(verdict) or tells_of_the_account(verdict):
            self._enter(provider, Look(verdict, outcome.seconds, source), outcome, now)
        return False

    def told(self, provider: Provider, answer: Outcome, now: float) -> None:
        """Takes what an answer says of the account."""
        if provider.account is None or not isinstance(answer, Exchange):
            return
        account = read(provider.account, answer, self.accounts.get(provider.name), now)
        if account is not None:
            self.accounts[provider.name] = account
            self.changed.add(provider.name)
        elif 200 <= answer.status < 300 and provider.name not in self._silent:
            self._silent.add(provider.name)
            self._log.warning("an answer tells nothing where `account` looks for it", provider=provider.name)

    def forget_balance(self, name: str) -> None:
        """What is read next is no spending: it is read elsewhere."""
        self._silent.discard(name)
        if name in self.accounts:
            self.accounts[name] = replace(self.accounts[name], credit=None)

    def _enter(self, provider: Provider, look: Look, outcome: Outcome, now: float) -> State:
        before = self.states.get(provider.name)
        state = advance(before, look, now)
        self.states[provider.name] = state
        self.changed.add(provider.name)
        if before is None or before.kind is not state.kind:
            self._log.info(
                "verdict changed",
                provider=provider.name,
                verdict=state.kind.value,
                certainty=state.certainty.value,
                reason=state.reason,
                signature=state.signature,
                status=outcome.status if isinstance(outcome, Exchange) else None,
                source=state.source,
            )
        return state

    def _judged(self, provider: Provider, outcome: Outcome, sent: str = "") -> Verdict:
        try:
            return judge(outcome, provider.signatures, secrets_of(provider, sent))
        except Exception as error:  # noqa: BLE001 - a vendor's answer must not end the probing of the others
            self._log.exception("an answer could not be judged", provider=provider.name)
            return Verdict(Kind.UNKNOWN, Certainty.STATUS, f"internal error: {type(error).__name__}")
