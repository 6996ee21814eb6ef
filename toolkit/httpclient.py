"""What those who ask other servers have in common: the token that they show, and how much of an answer they read."""

import aiohttp

from toolkit.secretfile import SecretFile


class TooLong(Exception):
    """A body has more bytes than its reader takes. The message says how many: `more than 1024 bytes`."""


async def read_at_most(response: aiohttp.ClientResponse, most: int) -> bytes:
    """The body, of at most `most` bytes once it is unpacked. Raises TooLong without waiting for the rest."""
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > most:
            raise TooLong(f"more than {most} bytes")
    return bytes(body)


def bearer(token: SecretFile | None) -> dict[str, str]:
    """The headers that show `token`, read now; none without one. Raises SecretUnreadable."""
    return {"Authorization": f"Bearer {token.read()}"} if token else {}
