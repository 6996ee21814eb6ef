"""One secret, put wherever a program or a vendor could put one: it reaches neither the exporter nor a log."""

import logging

import aiohttp
import httpx
import pytest
import requests
from aiohttp import web

from tests.support.observing import PATIENCE, Exporter, observed, vendor
from tests.unit.test_observe_hooks import PLENTY
from tocsin_observe import Observer

CANARIES = [
    ("a key of a known shape", "sk_live_c4n4ryc4n4ryc4n4ryc4"),
    ("a random run", "c4n4ryQmVhcmVyIHRva2VuMTIzNDU2"),
    ("hex", "c4n4ry" + "5f4dcc3b5aa765d61d8327deb882cf99"),
]
every_canary = pytest.mark.parametrize("canary", [row[1] for row in CANARIES], ids=[row[0] for row in CANARIES])


async def answer(request: web.Request) -> web.StreamResponse:
    """Says back everything that it was told, in every form that errors have, as bad APIs do."""
    canary = request.headers["X-Canary"]
    body = (
        f'{{"error": "No such key: {canary}", "token": "{canary}", "sent": "{{\\"password\\": \\"{canary}\\"}}", '
        f'"url": "{request.url}", "mail": "{canary}@example.com", "see": "https://me:{canary}@host/{canary}/?k={canary}", '
        f'"header": "{request.headers["Authorization"]}", "xml": "<Secret>{canary}</Secret>", "form": "apikey={canary}&a=1"}}'
    )
    headers = {
        "WWW-Authenticate": f'Bearer realm="{canary}", error="{canary}"',
        "Set-Cookie": f"session={canary}",
        "Location": f"/x?token={canary}",
        "X-RateLimit-Key": canary,
        "X-Debug": canary,
        "Reason": f"No such key: {canary}",
        "Content-Type": f"application/json; boundary={canary}",
    }
    return web.Response(status=401, body=body.encode(), headers=headers)


def headers(canary: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {canary}", "X-Canary": canary, "Cookie": f"session={canary}"}


def with_requests(observer: Observer, url: str, canary: str) -> None:
    with requests.Session() as session:
        observer.watch_requests(session)
        session.post(url, headers=headers(canary), data={"password": canary}, timeout=PLENTY)


def with_httpx(observer: Observer, url: str, canary: str) -> None:
    with httpx.Client(transport=observer.httpx.transport(), timeout=PLENTY) as client:
        client.post(url, headers=headers(canary), data={"password": canary})


async def with_aiohttp(observer: Observer, url: str, canary: str) -> None:
    async with aiohttp.ClientSession(trace_configs=[observer.aiohttp_trace()]) as session:
        # aiohttp takes no userinfo beside an Authorization header
        (
            await session.post(url.replace(f"me:{canary}@", ""), headers=headers(canary), data={"password": canary})
        ).close()


def by_hand(observer: Observer, url: str, canary: str) -> None:
    for refusal in (401, 200):
        observer.observe(
            "vendor",
            status=refusal,
            headers={"Authorization": canary, "Reason": f"key={canary}", "X-Api-Key": canary},
            body=f'{{"key": "{canary}"}} {url}',
            operation=f"POST {url}",
        )
    observer.observe("vendor", error=canary)
    observer.observe_failure("vendor", ConnectionResetError(104, canary), operation=url)


@every_canary
@pytest.mark.parametrize("program", [with_requests, with_httpx, with_aiohttp, by_hand])
async def test_the_canary_is_heard_nowhere(
    program: object, canary: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    # of tocsin_observe alone: urllib3 logs the URLs of its requests itself, by the program's own wish
    caplog.set_level(logging.DEBUG)
    exporter = Exporter(500, token="token")
    with vendor(answer) as url, observed(exporter) as observer:
        assert callable(program)
        outcome = program(observer, f"{url.replace('//', f'//me:{canary}@')}/{canary}?key={canary}#{canary}", canary)
        if outcome is not None:
            await outcome
        assert observer.statistics().observed >= 1
        observer.flush(PATIENCE)
        observer.close(PATIENCE)
        assert observer.statistics().delivered >= 1
    assert exporter.observations
    assert b"c4n4ry" not in exporter.raw
    ours = "".join(record.getMessage() for record in caplog.records if record.name.startswith("tocsin"))
    assert "c4n4ry" not in ours
    assert "c4n4ry" not in capfd.readouterr().err
