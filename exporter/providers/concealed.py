"""What of a request must never be repeated, though the vendor may repeat it to us."""

from collections.abc import Iterator
from urllib.parse import parse_qsl, urlsplit

from exporter.config import Provider
from toolkit.secretfile import SecretFile, SecretUnreadable

_NEGOTIATION = ("accept", "content-type", "user-agent")
"""How the names of headers begin that say what we can read or are, not who we are."""


def secrets_of(provider: Provider, sent: str = "") -> Iterator[str]:
    """The secret that was `sent` and those in the provider's files, whole and in parts; the values of headers, query
    and placeholders. Files are read only as far as the caller goes on asking."""
    yield from _parts(sent)
    yield from _headers(provider)
    for _, value in parse_qsl(urlsplit(provider.url).query):
        yield value
    yield from provider.values.values()
    for file in _files(provider):
        yield from _parts(_read(file))


def _files(provider: Provider) -> Iterator[SecretFile]:
    if provider.auth is not None:
        yield provider.auth.secret_file
    if provider.oauth is not None:
        yield from (file for file in (provider.oauth.client_secret_file, provider.oauth.refresh_token_file) if file)


def _read(file: SecretFile) -> str:
    try:
        return file.read()
    except SecretUnreadable:
        return ""  # then it was not sent either


def _parts(secret: str) -> Iterator[str]:
    """The secret, and of `user:password` both."""
    yield secret
    yield from secret.split(":")


def _headers(provider: Provider) -> Iterator[str]:
    """Each value, and its words without a scheme such as `Bearer`."""
    for name, value in provider.headers.items():
        if not name.lower().startswith(_NEGOTIATION):
            yield value
            yield from (word for word in value.split() if not word.isalpha())
