"""What of a request must never be repeated, though the vendor may repeat it to us."""

from collections.abc import Iterator
from urllib.parse import parse_qsl, urlsplit

from exporter.config import Provider, ProviderAuth
from toolkit.secretfile import SecretUnreadable

_NEGOTIATION = ("accept", "content-type", "user-agent")
"""How the names of headers begin that say what we can read or are, not who we are."""


def secrets_of(provider: Provider) -> frozenset[str]:
    """The credential, whole and in parts, and the values of headers, query and placeholders."""
    query = (value for _, value in parse_qsl(urlsplit(provider.url).query))
    return frozenset([*_credential(provider.auth), *_headers(provider), *query, *provider.values.values()])


def _credential(auth: ProviderAuth | None) -> Iterator[str]:
    """The secret, and of `user:password` both. None when it can't be read, for then it was not sent either."""
    if auth is None:
        return
    try:
        secret = auth.secret_file.read()
    except SecretUnreadable:
        return
    yield secret
    yield from secret.split(":")


def _headers(provider: Provider) -> Iterator[str]:
    """Each value, and its words without a scheme such as `Bearer`."""
    for name, value in provider.headers.items():
        if not name.lower().startswith(_NEGOTIATION):
            yield value
            yield from (word for word in value.split() if not word.isalpha())
