from pathlib import Path

import pytest

from receiver.alerts import AlertEvent
from receiver.enrichers.absence import Absent
from receiver.enrichers.runbook import Runbook, RunbookEnricher, name_in, parse, read
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


async def enriched(folder: Path, link: str) -> Found | None:
    event = AlertEvent("f", "firing", 1, None, {}, {"runbook_url": link} if link else {}, "")
    incident = advance(None, {}, "key", [event], now=1).incident
    assert incident is not None
    return await RunbookEnricher(folder, "http://receiver")(incident)


async def test_a_runbook_of_ours_is_quoted_and_linked_where_people_reach_it(tmp_path: Path) -> None:
    (tmp_path / "X.md").write_text(TEXT)
    found = await enriched(tmp_path, "http://localhost:9971/runbooks/X")
    assert found is not None
    assert (found["runbook_url"], len(found["first_steps"])) == ("http://receiver/runbooks/X", 4)


async def test_a_runbook_of_somebody_else_is_linked(tmp_path: Path) -> None:
    assert await enriched(tmp_path, "https://wiki.example/X") == {"runbook_url": "https://wiki.example/X"}


async def test_an_alert_without_a_runbook_has_none(tmp_path: Path) -> None:
    assert await enriched(tmp_path, "") is None


@pytest.mark.parametrize("path", sorted((CONFIG / "runbooks").glob("*.md")), ids=lambda path: path.stem)
def test_every_runbook_we_ship_has_first_steps_and_a_fallback(path: Path) -> None:
    found = parse(path.read_text(), "u")
    assert 2 <= len(found.steps) <= 4
    assert found.fallback
