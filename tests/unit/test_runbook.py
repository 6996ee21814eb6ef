from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from receiver.alerts import AlertEvent
from receiver.enrichers.absence import Absent
from receiver.enrichers.runbook import MAX_BYTES, Runbook, RunbookEnricher, name_in, parse, read
from receiver.incidents import advance
from receiver.message import Found
from tests.support.stack import CONFIG

TEXT = """# Vendor unpaid

What it means.

## First steps

1. Open `billing` at the vendor.
2. Pay, with **the** [card](http://x/).

   ```
   curl -X POST /pay
   ```
3. Three.
4. Four.
5. Five is for the page.

## If that fails

Call them
by phone.

Not this.
"""


def test_the_first_steps_and_the_fallback_are_quoted_as_plain_text() -> None:
    assert parse(TEXT, "u") == Runbook(
        steps=("Open billing at the vendor.", "Pay, with the card. curl -X POST /pay", "Three.", "Four."),
        fallback="Call them by phone.",
        url="u",
    )


@pytest.mark.parametrize("text", ["", "# Only a title", "## First steps\n\nNo list.", "<script>alert(1)</script>"])
def test_a_page_without_steps_has_none(text: str) -> None:
    assert parse(text, "u").steps == ()


LINKS = [
    ("our own", "http://localhost:9971/runbooks/VendorUnpaid", "VendorUnpaid"),
    ("a file", "https://git.example/runbooks/VendorUnpaid.md", "VendorUnpaid"),
    ("with a fragment", "https://git.example/VendorUnpaid/#steps", "VendorUnpaid"),
    ("a way out of the folder", "http://x/..%2f..%2fetc%2fpasswd", None),
    ("dots", "http://x/..", None),
    ("nothing", "http://x/", None),
    ("no link", "http://[", None),
]


@pytest.mark.parametrize(("link", "name"), [row[1:] for row in LINKS], ids=[row[0] for row in LINKS])
def test_the_file_is_named_by_the_links_last_part(link: str, name: str | None) -> None:
    assert name_in(link) == name


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "", ".", "a/b", "a\x00b"])
def test_nothing_outside_the_folder_is_read(tmp_path: Path, name: str) -> None:
    (tmp_path / "secret.md").write_text("secret")
    folder = tmp_path / "runbooks"
    folder.mkdir()
    assert read(folder, name) is None


def test_a_link_that_leads_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret.md").write_text("secret")
    folder = tmp_path / "runbooks"
    folder.mkdir()
    (folder / "Linked.md").symlink_to(tmp_path / "secret.md")
    with pytest.raises(Absent, match="leads out of its folder"):
        read(folder, "Linked")


async def enriched(folder: Path | None, link: str, *prefixes: str) -> Found | None:
    event = AlertEvent("f", "firing", 1, None, {}, {"runbook_url": link} if link else {}, "")
    incident = advance(None, {}, "key", [event], now=1).incident
    assert incident is not None
    async with aiohttp.ClientSession() as session:
        return await RunbookEnricher(folder, "http://receiver", session, prefixes)(incident)


async def test_a_runbook_of_ours_is_quoted_and_linked_where_people_reach_it(tmp_path: Path) -> None:
    (tmp_path / "X.md").write_text(TEXT)
    found = await enriched(tmp_path, "http://localhost:9971/runbooks/X")
    assert found is not None
    assert (found["runbook_url"], len(found["first_steps"])) == ("http://receiver/runbooks/X", 4)


async def test_a_runbook_of_somebody_else_is_linked(tmp_path: Path) -> None:
    assert await enriched(tmp_path, "https://wiki.example/X") == {"runbook_url": "https://wiki.example/X"}


@pytest.fixture
async def wiki() -> AsyncIterator[str]:
    """Where runbooks are served, with a page that is too large and one that leads elsewhere."""

    async def page(request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if name == "elsewhere.md":
            raise web.HTTPFound("/secret")
        return web.Response(text=TEXT if name == "X.md" else "#" * (MAX_BYTES + 1))

    app = web.Application()
    app.add_routes([web.get("/books/{name}", page), web.get("/secret", page)])
    async with TestServer(app) as server:
        yield str(server.make_url("/books/"))


async def test_a_runbook_behind_an_allowed_link_is_quoted(wiki: str) -> None:
    found = await enriched(None, f"{wiki}X.md", wiki)
    assert found is not None
    assert (found["runbook_url"], len(found["first_steps"])) == (f"{wiki}X.md", 4)


@pytest.mark.parametrize(
    "link", ["{}../secret", "{}%2e%2e/secret", "https://else.example/books/X.md", "http://[/", "file:///etc/passwd"]
)
async def test_a_link_that_is_not_allowed_is_only_linked(wiki: str, link: str) -> None:
    link = link.format(wiki)
    assert await enriched(None, link, wiki) == {"runbook_url": link}


@pytest.mark.parametrize(
    ("name", "why"), [("elsewhere.md", "answered 302"), ("large.md", "more than 262144 bytes"), ("", "answered 404")]
)
async def test_a_page_that_cannot_be_had_is_named(wiki: str, name: str, why: str) -> None:
    with pytest.raises(Absent, match=why):
        await enriched(None, f"{wiki}{name}", wiki)


async def test_a_wiki_that_is_not_there_is_named() -> None:
    with pytest.raises(Absent, match="can't be reached"):
        await enriched(None, "http://127.0.0.1:1/X.md", "http://127.0.0.1:1/")


async def test_an_alert_without_a_runbook_has_none(tmp_path: Path) -> None:
    assert await enriched(tmp_path, "") is None


@pytest.mark.parametrize("path", sorted((CONFIG / "runbooks").glob("*.md")), ids=lambda path: path.stem)
def test_every_runbook_we_ship_has_first_steps_and_a_fallback(path: Path) -> None:
    found = parse(path.read_text(), "u")
    assert 2 <= len(found.steps) <= 4
    assert found.fallback
