"""The commands that ask a running receiver, over real HTTP."""

import asyncio
from pathlib import Path

import pytest

from receiver.__main__ import COMMAND
from tests.contract.conftest import AUTH, Client, StartReceiver
from tests.contract.test_receiver import Sink, alert, config, post, settle, sink  # noqa: F401 - sink is a fixture


@pytest.fixture
async def client(start_receiver: StartReceiver, sink: Sink) -> Client:  # noqa: F811 - the fixture
    """A receiver with an incident that somebody has, and one that has ended."""
    client, receiver = await start_receiver(config(sink))
    for number, one in enumerate([alert("Bill", severity="critical"), alert(), alert(status="resolved")], start=1):
        await post(client, one)
        await settle(receiver, sink, number)
    await client.post("/v1/incidents/1/ack", json={"by": "ada [/bold]"}, headers=AUTH)
    return client


async def said(client: Client, folder: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    url, token = f"http://127.0.0.1:{client.port}", str(folder / "token")
    assert await asyncio.to_thread(COMMAND.main, [*arguments, "--url", url, "--token-file", token]) == 0
    return capsys.readouterr().out


async def test_incidents_lists_what_is_going_on(
    client: Client, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    going_on = " ".join((await said(client, folder, capsys, "incidents")).split())
    assert "Bill it is" in going_on
    assert "acknowledged by ada [/bold]" in going_on
    assert "Down it is" not in going_on
    everything = " ".join((await said(client, folder, capsys, "incidents", "--all")).split())
    assert "2 P2 resolved 2026-11-20 10:00:00 UTC 1h 0 Down it is" in everything


async def test_explain_and_report_print_lines(client: Client, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    lines = (await said(client, folder, capsys, "explain", "1")).splitlines()
    assert "Incident 1: acknowledged, critical" in lines
    assert any(line.endswith("told, since opened: the first alert of the incident. To inbox") for line in lines)
    assert "Alertmanager told of 3 alert events" in await said(client, folder, capsys, "report", "--since", "2d")


async def test_a_command_that_is_not_answered_says_why(
    client: Client, capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    url = f"http://127.0.0.1:{client.port}"
    for arguments, words in (
        (["incidents", "--url", url], "asks who we are: name a file with one of its tokens in --token-file"),
        (
            ["explain", "Nobody", "--url", url, "--token-file", str(folder / "token")],
            "nothing is on record of 'Nobody'",
        ),
        (["report", "--url", "http://127.0.0.1:1"], "can't be reached (ClientConnectorError)"),
    ):
        assert await asyncio.to_thread(COMMAND.main, arguments) == 1
        assert words in capsys.readouterr().err
