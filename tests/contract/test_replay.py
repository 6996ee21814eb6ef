"""Messages that were given up: how people see them, and how they are tried again."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from receiver.__main__ import COMMAND
from tests.contract.conftest import AUTH, Client, StartReceiver, sql
from tests.contract.test_receiver import Sink, alert, config, post, settle, sink  # noqa: F401 - sink is a fixture

REPLAY = "/v1/outbox/replay"


@pytest.fixture
async def given_up(start_receiver: StartReceiver, sink: Sink, any_database: str) -> Client:  # noqa: F811 - the fixture
    """A receiver that gave two messages up; the sink is well again."""
    client, receiver = await start_receiver(config(sink))
    sink.status = 500
    for name in ("One", "Two"):
        await post(client, alert(name))
        await settle(receiver, sink, 0)
    end = "update outbox set state = 'dead', finished_at = 1, planned_at = planned_at - 172800, attempts = 200"
    await sql(any_database, end)
    sink.status = 200
    return client


async def listed(client: Client, query: str) -> list[dict[str, Any]]:
    answer = await client.get(f"/v1/outbox{query}", headers=AUTH)
    assert answer.status == 200, await answer.text()
    found: list[dict[str, Any]] = (await answer.json())["messages"]
    return found


async def come(sink: Sink, count: int) -> None:  # noqa: F811 - no fixture here
    for _ in range(1000):
        if len(sink.messages) == count:
            return
        await asyncio.sleep(0.02)
    raise AssertionError(sink.titles)


async def test_they_are_listed_with_what_came_of_the_last_attempt(given_up: Client) -> None:
    found = await listed(given_up, "?state=dead")
    assert [(row["id"], row["target"]) for row in found] == [(2, "inbox"), (1, "inbox")]
    assert {row["message"]["summary"] for row in found} == {"One it is", "Two it is"}
    assert found[0]["last_attempt"]["http_status"] == 500
    assert [row["id"] for row in await listed(given_up, "?limit=1&target=inbox")] == [2]
    assert await listed(given_up, "?state=sent") == []
    assert await listed(given_up, "?target=nobody") == []


async def test_they_are_told_after_all_and_given_another_day(given_up: Client, sink: Sink) -> None:  # noqa: F811
    sink.status = 500
    answer = await given_up.post(REPLAY, json={"target": "inbox"}, headers=AUTH)
    assert await answer.json() == {"ids": [1, 2], "dry_run": False, "targets_gone": []}
    for _ in range(1000):
        if len(await listed(given_up, "?state=failed")) == 2:
            break
        await asyncio.sleep(0.02)
    assert [row["attempts"] for row in await listed(given_up, "?state=failed")] == [1, 1], "it is not dead at once"
    shown = await (await given_up.get("/v1/incidents/1", headers=AUTH)).json()
    assert [one["result"] for one in shown["notices"][0]["deliveries"]] == ["failed", "replayed", "failed"]


async def test_one_of_them_or_none_at_all(given_up: Client, sink: Sink) -> None:  # noqa: F811
    answer = await given_up.post(REPLAY, json={"all": True, "dry_run": True}, headers=AUTH)
    assert (await answer.json())["ids"] == [1, 2]
    assert len(await listed(given_up, "?state=dead")) == 2
    answer = await given_up.post(REPLAY, json={"ids": [2, 99]}, headers=AUTH)
    assert (await answer.json())["ids"] == [2]
    await come(sink, 1)
    assert [row["id"] for row in await listed(given_up, "?state=dead")] == [1]


async def test_what_has_no_target_any_more_is_left_and_named(given_up: Client, folder: Path, sink: Sink) -> None:  # noqa: F811
    (folder / "receiver.yml").write_text(config(sink).replace("name: inbox", "name: other"))
    assert (await given_up.post("/-/reload", headers=AUTH)).status == 200
    answer = await given_up.post(REPLAY, json={"all": True}, headers=AUTH)
    assert await answer.json() == {"ids": [], "dry_run": False, "targets_gone": ["inbox"]}


REFUSED = [
    ("nothing", b"", "truncated"),
    ("no JSON", b"{", "truncated"),
    ("no selection", b"{}", "either ids, or a target, or all"),
    ("two selections", b'{"all": true, "ids": [1]}', "either ids, or a target, or all"),
    ("an unknown key", b'{"al": true}', "unknown field `al`"),
    ("an id that is none", b'{"ids": ["1"]}', "Expected `int`, got `str`"),
    ("no UTF-8", b'{"target": "\xff"}', "utf-8"),
]


@pytest.mark.parametrize(("sent", "words"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
async def test_what_is_no_request_is_refused(given_up: Client, sent: bytes, words: str) -> None:
    answer = await given_up.post(REPLAY, data=sent, headers=AUTH)
    assert (answer.status, words in await answer.text()) == (400, True), await answer.text()


@pytest.mark.parametrize(
    "query", ["?state=lost", "?limit=0", "?limit=1001", "?limit=-1", "?limit=x", "?limit=9999999999"]
)
async def test_a_question_that_has_no_answer_is_refused(given_up: Client, query: str) -> None:
    assert (await given_up.get(f"/v1/outbox{query}", headers=AUTH)).status == 400


async def test_a_stranger_is_refused(given_up: Client) -> None:
    assert (await given_up.get("/v1/outbox")).status == 401
    assert (await given_up.post(REPLAY, json={"all": True})).status == 401


# --- the command


async def command(client: Client, *arguments: str) -> int:
    given = ["replay", "--url", f"http://127.0.0.1:{client.port}", *arguments]
    return await asyncio.to_thread(COMMAND.main, given)


async def test_the_command_says_what_is_tried_again(
    given_up: Client,
    sink: Sink,  # noqa: F811 - the fixture
    folder: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def said() -> list[str]:
        """The lines; what the receiver logs meanwhile comes the same way."""
        return capsys.readouterr().out.splitlines()

    token = str(folder / "token")
    assert await command(given_up, "--token-file", token, "--all", "--dry-run") == 0
    assert "2 messages would be tried again: 1, 2" in said()
    assert await command(given_up, "--token-file", token, "--id", "1", "--id", "2") == 0
    assert "2 messages are tried again: 1, 2" in said()
    await come(sink, 2)
    assert await command(given_up, "--token-file", token, "--target", "inbox") == 0
    assert "0 messages are tried again" in said()


MISTAKES = [
    ("no token", ["--all"], "{url} asks who we are: name a file with one of its tokens in --token-file"),
    ("no file", ["--all", "--token-file", "nowhere"], "--token-file: secret file nowhere: No such file or directory"),
    ("nobody there", ["--all", "--url", "http://127.0.0.1:1"], "http://127.0.0.1:1 can't be reached (ClientConnectorError): does the receiver run there? (--url)"),
    ("no URL", ["--all", "--url", "receiver"], "receiver can't be reached (InvalidUrlClientError): does the receiver run there? (--url)"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "words"), [row[1:] for row in MISTAKES], ids=[row[0] for row in MISTAKES])
async def test_the_command_names_a_mistake(
    given_up: Client, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    assert await command(given_up, *arguments) == 1
    expected = words.replace("{url}", f"http://127.0.0.1:{given_up.port}")
    assert capsys.readouterr().err == f"tocsin-receiver: {expected}\n"


async def test_the_command_tells_what_the_receiver_says(
    given_up: Client, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    elsewhere = f"http://127.0.0.1:{given_up.port}/elsewhere"
    assert await command(given_up, "--all", "--token-file", str(folder / "token"), "--url", elsewhere) == 1
    assert capsys.readouterr().err == "tocsin-receiver: 404: Not Found\n"


def test_the_command_wants_to_know_which(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        COMMAND.main(["replay"])
    assert ended.value.code == 2
    assert "one of the arguments --target --id --all is required" in capsys.readouterr().err


async def test_a_replay_of_what_is_out_of_date_sends_nothing(given_up: Client, sink: Sink, any_database: str) -> None:  # noqa: F811
    await sql(any_database, "update outbox set state = 'sent', incident_id = 1, revision = 2 where id = 2")
    assert json.loads(await (await given_up.post(REPLAY, json={"ids": [1]}, headers=AUTH)).text())["ids"] == [1]
    for _ in range(1000):
        if found := await listed(given_up, "?state=superseded"):
            break
        await asyncio.sleep(0.02)
    assert [(row["id"], row["superseded_by"]) for row in found] == [(1, 2)]
    assert sink.messages == []
