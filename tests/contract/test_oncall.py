"""Rotas as people meet them: the command, the endpoint, the calendar that a program subscribes to."""

import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from receiver.__main__ import COMMAND
from tests.contract.conftest import AUTH, Clock, StartReceiver

ROTAS = """
auth: {bearer_token_files: [token]}
targets: [{name: inbox, url: 'json://127.0.0.1'}]
people:
  ana: {name: "Ana [b]Lima", contacts: {default: [inbox]}}
  bo: {contacts: {default: [inbox]}}
rotas:
  platform:
    timezone: Europe/Lisbon
    layers:
      - {name: primary, people: [ana, bo], starts: 2026-01-05, handover: {every: week, on: monday, at: "09:00"}}
      - {name: backup, people: [bo], starts: 2027-01-04, handover: {every: day, at: "09:00"}}
  shop:
    layers: [{name: primary, people: [bo], starts: 2026-01-05, handover: {every: day, at: "09:00"}}]
"""
JANUARY_8TH = 1767873600.0


async def test_a_rota_is_a_calendar_that_a_program_without_our_token_can_read(
    start_receiver: StartReceiver, clock: Clock
) -> None:
    clock.at = JANUARY_8TH
    client, _ = await start_receiver(ROTAS)
    assert (await client.get("/v1/rotas")).status == 401
    platform, shop = (await (await client.get("/v1/rotas", headers=AUTH)).json())["rotas"]
    assert [(one["layer"], one["person"], one["reason"]) for one in platform["on_call"]] == [
        ("primary", "ana", "turn"),
        ("backup", None, "not_started"),
    ]
    url = platform["calendar_url"].removeprefix("http://receiver")
    answer = await client.get(url)
    assert (answer.status, answer.content_type) == (200, "text/calendar")
    assert "Ana [b]Lima is on call (platform\\, primary)" in await answer.text()

    assert (await client.get(shop["calendar_url"].removeprefix("http://receiver"))).status == 200
    token = urlsplit(url).query
    for other in (
        "/v1/rotas/shop.ics?" + token,
        "/v1/rotas/platform.ics",
        f"{url}x",
        url.replace("token=", "token=%00"),
    ):
        assert (await client.get(other)).status == 403, other
    again = (await (await client.get("/v1/rotas", headers=AUTH)).json())["rotas"][0]
    assert again["calendar_url"] == platform["calendar_url"]


@pytest.mark.parametrize("any_database", ["sqlite"], indirect=True)
async def test_a_calendar_holds_up_nobody_who_writes(start_receiver: StartReceiver, any_database: str) -> None:
    client, _ = await start_receiver(ROTAS)
    platform, _ = (await (await client.get("/v1/rotas", headers=AUTH)).json())["rotas"]
    with closing(sqlite3.connect(any_database.removeprefix("sqlite:///"), isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")  # a write beside it would end with a 503
        assert (await client.get(platform["calendar_url"].removeprefix("http://receiver"))).status == 200
        assert (await client.get("/v1/rotas/platform.ics?token=x")).status == 403


async def test_a_calendar_whose_rota_left_the_configuration_is_gone(
    start_receiver: StartReceiver, folder: Path
) -> None:
    client, receiver = await start_receiver(ROTAS)
    (_, shop) = (await (await client.get("/v1/rotas", headers=AUTH)).json())["rotas"]
    (folder / "receiver.yml").write_text(ROTAS.partition("  shop:")[0])
    await receiver.reload()
    assert (await client.get(shop["calendar_url"].removeprefix("http://receiver"))).status == 404


SAID = [
    ("who is on call in every rota", ["who", "--at", "2026-01-08"], ["platform primary ana (Ana [b]Lima) Mon 2026-01-05 09:00 Mon 2026-01-12 09:00 Europe/Lisbon", "platform backup nobody: it has not started yet ever Mon 2027-01-04 09:00 Europe/Lisbon", "shop primary bo Wed 2026-01-07 09:00 Thu 2026-01-08 09:00 UTC"]),
    ("who is on call in one", ["who", "shop", "--at", "2026-01-08 09:00"], ["shop primary bo Thu 2026-01-08 09:00 Fri 2026-01-09 09:00 UTC"]),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "lines"), [row[1:] for row in SAID], ids=[row[0] for row in SAID])
def test_oncall_who_tells(
    arguments: list[str], lines: list[str], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "receiver.yml").write_text(ROTAS)
    assert COMMAND.main(["oncall", *arguments, f"--config.file={folder / 'receiver.yml'}"]) == 0
    assert [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()[1:]] == lines


def test_oncall_show_lists_the_shifts_to_come(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "receiver.yml").write_text(ROTAS)
    assert COMMAND.main(["oncall", "show", "shop", "--days", "3", f"--config.file={folder / 'receiver.yml'}"]) == 0
    (_, *lines) = capsys.readouterr().out.splitlines()
    assert len(lines) in (3, 4)
    assert all(line.startswith("primary  bo") for line in lines)


def test_oncall_of_an_unknown_rota_names_the_nearest(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "receiver.yml").write_text(ROTAS)
    assert COMMAND.main(["oncall", "who", "shp", f"--config.file={folder / 'receiver.yml'}"]) == 1
    assert "no rota is named 'shp'; did you mean 'shop'?" in capsys.readouterr().err


def test_check_names_the_gaps(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "receiver.yml").write_text(ROTAS.replace("2027-01-04", "2199-01-04"))
    assert COMMAND.main(["check", f"--config.file={folder / 'receiver.yml'}"]) == 0
    assert "rotas.platform: layer 'backup' has nobody, it has not started yet: from " in capsys.readouterr().out
