"""A look at a provider: its request, and the further ones that a doubtful answer asks for."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from exporter.config import OAuth, Provider
from exporter.providers.answer import Exchange, Failure, Outcome
from exporter.providers.history import unexplained
from exporter.providers.oauth import Tokens, secrets_fingerprint
from exporter.providers.probe import Call, Credential, call, credential, exchange
from exporter.providers.transport import Route, Sessions
from exporter.providers.verdict import judge
from toolkit.clock import Now
from toolkit.secretfile import SecretUnreadable

LEAST_SECONDS = 0.05
Left = Callable[[], float]
"""How many seconds are left of a look, never less than LEAST_SECONDS."""


@dataclass(frozen=True)
class Found:
    """What came of a look: the answer, the secret it was made with, and the answer to the second request, if any."""

    outcome: Outcome
    credential: Credential
    second: Outcome | None = None


class Prober:
    """Makes the requests. Never raises for anything that the network, a vendor or a secret file does."""

    def __init__(self, sessions: Sessions, now: Now) -> None:
        self._sessions, self._tokens = sessions, Tokens(sessions, now)

    async def look(self, provider: Provider, limit: float) -> Found:
        """Asks the provider, within `limit` seconds in all: with a token that is fetched anew once if the kept one is
        refused, and a second time where the answer is open."""
        deadline = time.monotonic() + limit
        found = await self._ask(provider, lambda: max(deadline - time.monotonic(), LEAST_SECONDS))
        if provider.second_url is None or not unexplained(judge(found.outcome, provider.signatures)):
            return found
        left = max(deadline - time.monotonic(), LEAST_SECONDS)
        second = await exchange(self._sessions, call(provider, found.credential, left, provider.second_url))
        return Found(found.outcome, found.credential, second)

    async def read(self, provider: Provider, url: str, known: Credential) -> Outcome:
        """Another address of the vendor, asked with the same credential."""
        return await exchange(self._sessions, call(provider, known, provider.timeout, url))

    async def read_public(self, provider: Provider, url: str) -> Outcome:
        """An address that needs no credential, by the same proxy."""
        request = Call(url, provider.timeout, Route(networks=None if provider.proxy else ()), proxy=provider.proxy)
        return await exchange(self._sessions, request)

    async def _ask(self, provider: Provider, left: Left) -> Found:
        try:
            if provider.oauth is not None:
                return await self._ask_with_token(provider, provider.oauth, left)
            known = credential(provider)
        except SecretUnreadable as error:
            return Found(Failure("secret", str(error)), Credential())
        return Found(await exchange(self._sessions, call(provider, known, left())), known)

    async def _ask_with_token(self, provider: Provider, oauth: OAuth, left: Left) -> Found:
        found = Found(Failure("secret", "no token"), Credential(fingerprint=secrets_fingerprint(oauth)))
        for fresh in (False, True):
            token = await self._tokens.get(provider, oauth, left(), fresh)
            if not isinstance(token, Credential):
                return Found(token, found.credential)
            found = Found(await exchange(self._sessions, call(provider, token, left())), token)
            if not (isinstance(found.outcome, Exchange) and found.outcome.status == 401):
                break
        return found
