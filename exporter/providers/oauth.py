"""Access tokens that are fetched and kept in memory (RFC 6749: the grants `refresh_token` and `client_credentials`)."""

from dataclasses import dataclass

import msgspec

from exporter.config import OAuth, Provider
from exporter.providers.answer import Exchange, Failure, Outcome
from exporter.providers.probe import Call, Credential, exchange, fingerprint, route
from exporter.providers.transport import Sessions
from toolkit.clock import Now

EARLY_SECONDS = 30.0
"""A token is fetched anew this long before it ends."""
DEFAULT_LIFETIME_SECONDS = 3600.0


class _Answer(msgspec.Struct):
    access_token: str
    expires_in: float | str | None = None


@dataclass(frozen=True)
class _Token:
    asked: OAuth
    credential: Credential
    ends: float


class Tokens:
    """The tokens of providers with `oauth`, each fetched when it is needed."""

    def __init__(self, sessions: Sessions, now: Now) -> None:
        self._sessions, self._now = sessions, now
        self._kept: dict[str, _Token] = {}

    async def get(self, provider: Provider, oauth: OAuth, limit: float, fresh: bool) -> Credential | Outcome:
        """A credential with a token, `fresh` or as kept; or how its fetching went wrong, in at most `limit` seconds.

        Its fingerprint is that of the secrets the token is fetched with: tokens come and go. Raises SecretUnreadable.
        """
        known = secrets_fingerprint(oauth)
        kept = self._kept.get(provider.name)
        if kept is not None and not fresh and self._is_good(kept, oauth, known):
            return kept.credential
        outcome = await exchange(self._sessions, _request(provider, oauth, limit))
        if not isinstance(outcome, Exchange) or not 200 <= outcome.status < 300:
            return _refusal(outcome)
        answer = _read(outcome)
        if answer is None:
            return Failure("protocol", "the token server's answer holds no token", outcome.seconds, outcome.phases)
        secret = answer.access_token
        credential = Credential(secret, known, header=("Authorization", f"Bearer {secret}"))
        self._kept[provider.name] = _Token(oauth, credential, self._now() + _lifetime(answer) - EARLY_SECONDS)
        return credential

    def _is_good(self, kept: _Token, oauth: OAuth, known: str) -> bool:
        return kept.asked == oauth and kept.credential.fingerprint == known and kept.ends > self._now()


def secrets_fingerprint(oauth: OAuth) -> str:
    """Tells one pair of secrets from another. Raises SecretUnreadable."""
    files = (oauth.client_secret_file, oauth.refresh_token_file)
    return fingerprint("\n".join([oauth.client_id, *(file.read() for file in files if file is not None)]))


def _request(provider: Provider, oauth: OAuth, limit: float) -> Call:
    form = {"client_id": oauth.client_id, "grant_type": "client_credentials"}
    if oauth.refresh_token_file is not None:
        form |= {"grant_type": "refresh_token", "refresh_token": oauth.refresh_token_file.read()}
    if oauth.client_secret_file is not None:
        form["client_secret"] = oauth.client_secret_file.read()
    if oauth.scope:
        form["scope"] = oauth.scope
    return Call(oauth.token_url, limit, route(provider), "POST", form=form, proxy=provider.proxy)


def _read(outcome: Exchange) -> _Answer | None:
    try:
        answer = msgspec.json.decode(outcome.body, type=_Answer)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return answer if answer.access_token and answer.access_token.isprintable() else None


def _lifetime(answer: _Answer) -> float:
    try:
        return float(answer.expires_in) if answer.expires_in is not None else DEFAULT_LIFETIME_SECONDS
    except ValueError:
        return DEFAULT_LIFETIME_SECONDS


def _refusal(outcome: Outcome) -> Outcome:
    """What is judged in place of an answer to the request itself.

    `invalid_grant` is what a vendor says of a token that it withdrew, for whatever reason: as open as a bare 401, so
    the past decides.
    """
    if isinstance(outcome, Exchange) and outcome.status in (400, 401) and b"invalid_grant" in outcome.body:
        return Exchange(401, seconds=outcome.seconds, phases=outcome.phases)
    return outcome
