"""A look at a provider: its request, and the further ones that a doubtful answer asks for."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from exporter.config import OAuth, Provider
from exporter.providers.answer import Exchange, Failure, Outcome
from exporter.providers.oauth import Tokens, secrets_fingerprint
from exporter.providers.probe import Call, Credential, call, credential, exchange
from exporter.providers.transport import Route, Sessions
from toolkit.clock import Now
from toolkit.secretfile import SecretUnreadable

LEAST_SECONDS = 0.05
Left = Callable[[], float]
"""How many seconds are left of a look, never less than LEAST_SECONDS."""


@dataclass(frozen=True)
class Found:
    """What came of a look: the answer, the secret it was made with, and the answer to the second request, if any.
    `by_token_server`: whether it is that server's answer, for want of a token to ask the vendor with."""

    outcome: Outcome
    credential: Credential
    second: Outcome | None = None
    by_token_server: bool = False


class Prober:
    """Makes the requests. Never raises for anything that the network, a vendor or a secret file does."""

    def __init__(self, sessions: Sessions, now: Now) -> None:
        self._sessions, self._tokens = sessions, Tokens(sessions, now)

    async def look(self, provider: Provider, limit: float) -> Found:
        """Asks the provider, within `limit` seconds in all; with a token that is fetched anew once if it is refused."""
        deadline = time.monotonic() + limit
        return await self._ask(provider, lambda: max(deadline - time.monotonic(), LEAST_SECONDS))

    async def look_again(self, provider: Provider, found: Found, url: str, limit: float) -> Found:
        """`found`, with the answer to a second request, which every good key may make."""
        second = await exchange(self._sessions, call(provider, found.credential, max(limit, LEAST_SECONDS), url))
        return replace(found, second=second)

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
                return Found(token, found.credential, by_token_server=True)
            found = Found(await exchange(self._sessions, call(provider, token, left())), token)
            if not (isinstance(found.outcome, Exchange) and found.outcome.status == 401):
                break
        return found
