"""When a token is fetched: from a real server, by a clock that the test moves."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from exporter.config import OAuth, Provider
from exporter.providers.oauth import EARLY_SECONDS, Tokens
from exporter.providers.probe import Credential
from exporter.providers.transport import Sessions

LIFETIME = 3600.0
BEGAN = 1000.0


@dataclass
class Bench:
    """A provider whose tokens are t-1, t-2 and so on, each good for LIFETIME seconds."""

    file: Path
    url: str = ""
    now: float = BEGAN
    given: int = 0
    sessions: Sessions = field(default_factory=Sessions)

    def __post_init__(self) -> None:
        self.tokens = Tokens(self.sessions, lambda: self.now)

    async def give(self, _: web.Request) -> web.Response:
        self.given += 1
        return web.json_response({"access_token": f"t-{self.given}", "expires_in": LIFETIME})

    async def token(self) -> str:
        oauth = OAuth.model_validate(
            {"token_url": f"{self.url}/token", "client_id": "us", "client_secret_file": str(self.file)}
        )
        provider = Provider.model_validate({"name": "mail", "url": f"{self.url}/me", "oauth": oauth})
        found = await self.tokens.get(provider, oauth, 20, fresh=False)
        assert isinstance(found, Credential), found
        return found.secret


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    (tmp_path / "secret").write_text("first")
    bench = Bench(tmp_path / "secret")
    app = web.Application()
    app.add_routes([web.post("/token", bench.give)])
    async with TestServer(app) as server:
        bench.url = str(server.make_url("")).rstrip("/")
        yield bench
        await bench.sessions.close()


AGES = [
    ("a token that is good for long is kept", LIFETIME / 2, "t-1"),
    ("one is kept until shortly before it ends", LIFETIME - EARLY_SECONDS - 1, "t-1"),
    ("one that ends in a moment is fetched anew, for it may end on the way", LIFETIME - EARLY_SECONDS + 1, "t-2"),
    ("one that has ended is fetched anew", LIFETIME + 1, "t-2"),
]


@pytest.mark.parametrize(("age", "expected"), [row[1:] for row in AGES], ids=[row[0] for row in AGES])
async def test_a_kept_token_by_its_age(bench: Bench, age: float, expected: str) -> None:
    assert await bench.token() == "t-1"
    bench.now = BEGAN + age
    assert await bench.token() == expected


async def test_a_token_of_a_secret_that_was_rotated_is_not_used_any_more(bench: Bench) -> None:
    assert await bench.token() == await bench.token() == "t-1"
    bench.file.write_text("second")
    assert await bench.token() == "t-2"
