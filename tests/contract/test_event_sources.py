"""Events over HTTP: each way to send them, who may, and what happens when one is sent twice."""

import asyncio
import base64
import gzip
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.contract.conftest import AUTH, Client, StartExporter
from tests.support.processes import until

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

CONFIG = """
auth: {bearer_token_files: [token]}
usage:
  producers:
    - {name: web, bearer_token_files: [web.token], labels: {app: shop}}
  events:
    - name: Order Completed
      fields:
        plan: {values: [free, pro]}
        amount: {type: number}
        user_id: {type: string}
    - {name: identify, fields: {plan: {}}}
    - {name: com.example.paid, fields: {plan: {}}}
  rules:
    - {name: orders, metric: orders_total, help: Orders., event: Order Completed, owner: me, labels: {plan: [free, pro], app: {}}}
    - {name: known, metric: known_total, help: Known., event: identify, owner: me, labels: {plan: {}}}
    - {name: paid, metric: paid_total, help: Paid., event: com.example.paid, owner: me, labels: {plan: {}}}
"""
JOINED = """
auth: {bearer_token_files: [token]}
usage:
  logs:
    - name: java
      multiline: {begins: '^\\d', quiet: 1h}
      patterns: [{event: failed, pattern: at failed}, {event: entry, pattern: '^\\d'}]
  rules:
    - {name: failed, metric: failed_total, help: F., event: failed, owner: me}
    - {name: entries, metric: entries_total, help: E., event: entry, owner: me}
  sources:
    files: [{name: app, paths: [FILE], start: beginning, interval: 50ms}]
"""
TRACK = {"event": "Order Completed", "userId": "u1", "messageId": "m1", "properties": {"plan": "pro", "amount": 3}}
IDENTIFY = {"type": "identify", "userId": "u1", "messageId": "m2", "traits": {"plan": "pro"}}
CLOUD = {"specversion": "1.0", "type": "com.example.paid", "source": "/shop", "id": "1", "data": {"plan": "pro"}}
ORDER = {"event": "Order Completed", "plan": "pro"}
ORDERS, KNOWN, PAID = 'orders_total{plan="pro",app=""}', 'known_total{plan="pro"}', 'paid_total{plan="pro"}'
NDJSON = {"Content-Type": "application/x-ndjson"}
BINARY = {
    "ce-specversion": "1.0",
    "ce-type": "com.example.paid",
    "ce-source": "/s",
    "ce-id": "7",
    "Content-Type": "application/json",
}

SENT: list[tuple[str, str, Any, dict[str, str], dict[str, int]]] = [
    ("one event", "/v1/events", ORDER, {}, {ORDERS: 1}),
    ("an array", "/v1/events", [ORDER, ORDER], {}, {ORDERS: 2}),
    ("lines", "/v1/events", b"\n".join([json.dumps(ORDER).encode()] * 3), NDJSON, {ORDERS: 3}),
    ("lines, zipped", "/v1/events", gzip.compress(b"\n".join([json.dumps(ORDER).encode()] * 3)), {**NDJSON, "Content-Encoding": "gzip"}, {ORDERS: 3}),
    ("lines, by zstd", "/v1/events", zstd.compress(b"\n".join([json.dumps(ORDER).encode()] * 3)), {**NDJSON, "Content-Encoding": "zstd"}, {ORDERS: 3}),
    ("a track of Segment", "/v1/track", TRACK, {}, {ORDERS: 1}),
    ("an identify of Segment", "/v1/identify", IDENTIFY, {}, {KNOWN: 1}),
    ("a batch of Segment", "/v1/batch", {"batch": [{**TRACK, "type": "track"}, IDENTIFY]}, {}, {ORDERS: 1, KNOWN: 1}),
    ("a structured CloudEvent", "/v1/events", CLOUD, {"Content-Type": "application/cloudevents+json"}, {PAID: 1}),
    ("a batch of CloudEvents", "/v1/events", [CLOUD, {**CLOUD, "id": "2"}], {"Content-Type": "application/cloudevents-batch+json; charset=utf-8"}, {PAID: 2}),
    ("a binary CloudEvent", "/v1/events", {"plan": "pro"}, BINARY, {PAID: 1}),
]  # fmt: skip


async def post(client: Client, path: str, body: Any, headers: dict[str, str]) -> tuple[int, Any]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    async with client.post(path, data=data, headers={**AUTH, "Content-Type": "application/json", **headers}) as answer:
        text = await answer.text()
        return answer.status, json.loads(text) if answer.content_type == "application/json" else text


async def counted(client: Client, query: str = "") -> dict[str, float]:
    text = await (await client.get(f"/metrics?collect[]=usage{query}", headers=AUTH)).text()
    lines = [line.rpartition(" ") for line in text.splitlines() if not line.startswith(("#", "usage_rule"))]
    return {name: float(value) for name, _, value in lines if float(value)}


@pytest.fixture
async def client(start_exporter: StartExporter, folder: Any) -> Client:
    (folder / "web.token").write_text("the-token-of-web")
    return (await start_exporter(CONFIG))[0]


@pytest.mark.parametrize(
    ("path", "body", "headers", "expected"), [row[1:] for row in SENT], ids=[row[0] for row in SENT]
)
async def test_events_come_in_many_envelopes(
    client: Client, path: str, body: Any, headers: dict[str, str], expected: dict[str, int]
) -> None:
    status, told = await post(client, path, body, headers)
    assert (status, told["rejects"]) == (200, [])
    assert told["events"] == sum(expected.values())
    assert await counted(client) == expected


@pytest.mark.parametrize(
    ("path", "body", "headers"),
    [(row[1], row[2], row[3]) for row in SENT if "Segment" in row[0] or "CloudEvent" in row[0]],
    ids=[row[0] for row in SENT if "Segment" in row[0] or "CloudEvent" in row[0]],
)
async def test_what_has_ids_is_counted_once_however_often_it_comes(
    client: Client, path: str, body: Any, headers: dict[str, str]
) -> None:
    first = await post(client, path, body, headers)
    before = await counted(client)
    assert await post(client, path, body, headers) == first
    assert await counted(client) == before


async def test_a_request_with_an_idempotency_key_is_counted_once(client: Client) -> None:
    for _ in range(3):
        assert (await post(client, "/v1/events", ORDER, {"Idempotency-Key": "k"}))[1]["matched"] == 1
    assert await counted(client) == {ORDERS: 1}
    for key in ("k" * 256, "é"):
        assert (await post(client, "/v1/events", ORDER, {"Idempotency-Key": key}))[0] == 400


@pytest.mark.parametrize(
    ("path", "body", "headers"),
    [
        ("/v1/batch", {"batch": []}, {}),
        ("/v1/batch", {"batch": [1]}, {}),
        ("/v1/track", b"[]", {}),
        ("/v1/track", b"nonsense", {}),
        ("/v1/events", b"{}", {"Content-Type": "application/cloudevents-batch+json"}),
        ("/v1/events", b"{}", {"ce-type": "x"}),
        ("/v1/events", b"{\xff", {"Content-Type": "application/cloudevents+json"}),
    ],
)
async def test_an_envelope_that_is_none_is_refused_with_a_reason(
    client: Client, path: str, body: Any, headers: dict[str, str]
) -> None:
    status, told = await post(client, path, body, headers)
    assert status == 400
    assert told.strip()
    assert await counted(client) == {}


WRITE_KEY = {"Authorization": "Basic " + base64.b64encode(b"the-token-of-web:").decode()}


@pytest.mark.parametrize(
    "headers", [{"Authorization": "Bearer the-token-of-web"}, WRITE_KEY], ids=["by token", "by write key"]
)
async def test_a_producer_is_known_by_its_token_and_its_labels_are_believed(
    client: Client, headers: dict[str, str]
) -> None:
    await post(client, "/v1/track", {**TRACK, "properties": {"plan": "pro", "app": "forged"}}, headers)
    assert await counted(client) == {'orders_total{plan="pro",app="shop"}': 1}


async def test_a_producers_token_opens_nothing_else(client: Client) -> None:
    for path in ("/metrics", "/v1/rejects", "/"):
        assert (await client.get(path, headers={"Authorization": "Bearer the-token-of-web"})).status == 401
    for path in ("/v1/events", "/v1/track", "/v1/logs"):
        assert (await client.post(path, data=b"{}", headers={"Authorization": "Bearer wrong"})).status == 401
        assert (await client.post(path, data=b"{}")).status == 401


async def test_a_file_of_entries_of_several_lines_is_read_by_its_log(
    start_exporter: StartExporter, folder: Path
) -> None:
    log = folder / "app.log"
    client, _ = await start_exporter(JOINED.replace("FILE", str(log)))
    log.write_bytes(b"1 a\n  at x\n  at failed\n2 b\n  at failed\n3 c\n")

    async def both_failed() -> bool:
        return (await counted(client)).get("failed_total") == 2

    await until(both_failed, "two entries are counted")
    assert (await counted(client))["entries_total"] == 2  # the third may go on


async def test_what_a_file_holds_that_is_rejected_is_told_with_its_place(
    start_exporter: StartExporter, folder: Path
) -> None:
    log = folder / "app.json"
    events = "  events: [{name: buy, fields: {plan: {values: [pro]}}}]\n"
    files = "  sources: {files: [{name: app, format: ndjson, paths: [FILE], start: beginning, interval: 50ms}]}\n"
    config = f"auth: {{bearer_token_files: [token]}}\nusage:\n{events}{files}".replace("FILE", str(log))
    client, _ = await start_exporter(config)
    found: list[dict[str, str]] = []

    async def all_rejected() -> bool:
        shown = await (await client.get("/v1/rejects", headers=AUTH)).json()
        found[:] = shown.get("not_allowed", {}).get("samples", [])
        return len(found) == log.read_bytes().count(b"gold")

    good, bad = b'{"event": "buy", "plan": "pro"}\n', b'{"event": "buy", "plan": "gold"}\n'
    for more in (good + bad, good + good + bad):
        with log.open("ab") as file:
            file.write(more)
        await until(all_rejected, "what is wrong is shown")
    assert [one["position"] for one in found] == [f"3 from {log} at byte {len(good + bad)}", f"2 from {log} at byte 0"]
    assert {one["event"] for one in found} == {"buy"}


async def test_what_was_rejected_can_be_looked_at_without_its_secrets(client: Client) -> None:
    bad = {**ORDER, "plan": "gold", "mail": "jane@example.com", "note": "api_key=abcdef123456"}
    status, told = await post(client, "/v1/events", bad, {})
    assert (status, told["rejected"]) == (400, 1)
    await post(client, "/v1/events", {"event": "Odrer Completed"}, {})
    shown = await (await client.get("/v1/rejects", headers=AUTH)).json()
    assert set(shown) == {"not_allowed", "unknown_event"}
    assert shown["not_allowed"]["count"] == 1
    [sample] = shown["not_allowed"]["samples"]
    assert "gold" in sample["sample"]
    assert "plan" in sample["detail"]
    assert "jane" not in sample["sample"]
    assert "abcdef" not in sample["sample"]
    text = await (await client.get("/metrics", headers=AUTH)).text()
    assert 'tocsin_exporter_rejects_total{reason="not_allowed"} 1.0\n' in text
    assert 'tocsin_exporter_events_total{outcome="unknown"} 1.0\n' in text


async def test_several_prometheus_share_a_scrape(client: Client) -> None:
    await post(client, "/v1/events", b"\n".join(b'{"event": "identify", "plan": "p%d"}' % n for n in range(40)), NDJSON)
    whole = await counted(client)
    parts = [await counted(client, f"&shard={number}&of=3") for number in (1, 2, 3)]
    assert all(parts)
    assert sum(map(len, parts)) == len(whole) == 40
    assert {name for part in parts for name in part} == set(whole)
    assert set(await counted(client, "&name[]=known_total")) == set(whole)
    assert await counted(client, "&name[]=orders_total") == {}
    for query, word in (
        ("shard=0&of=3", "from 1"),
        ("shard=1", "together"),
        ("shard=x&of=2", "whole"),
        ("collect[]=usge", "usage"),
    ):
        answer = await client.get(f"/metrics?{query}", headers=AUTH)
        assert answer.status == 400
        assert word in await answer.text()


@pytest.mark.parametrize(
    "header",
    [b"Idempotency-Key: \xff", b"ce-type: a\r\nce-specversion: 1.0\r\nce-subject: \xff", b"Idempotency-Key: a\x7fb"],
    ids=["a key that is no text", "an attribute that is no text", "a key with a control character"],
)
async def test_a_header_that_is_no_text_is_refused_and_the_service_goes_on(client: Client, header: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
    head = b"POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nConnection: close\r\n"
    token = f"Authorization: {AUTH['Authorization']}\r\n".encode()
    writer.write(head + token + header + b"\r\n\r\n{}")
    assert b" 400 " in (await reader.read()).partition(b"\r\n")[0]
    writer.close()
    assert (await post(client, "/v1/events", ORDER, {}))[0] == 200
