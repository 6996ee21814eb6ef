"""A vendor whose bill can be left unpaid, a shop that sells, and an inbox that shows what a responder gets.

Runs as one process (`python -m tests.support.sandbox --port 9972 --exporter http://127.0.0.1:9970`): real HTTP for the
exporter to probe, for Apprise's `json://` and for Alertmanager's PagerDuty integration to post to.
"""

import argparse
import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

PAGE = Path(__file__).parent / "inbox.html"
EVENTS_PER_SECOND = 5
SANDBOX_KEY = "sandbox-key-4711"
UNPAID = {
    "error": {
        "type": "billing_error",
        "message": "Your subscription is past due. Update your payment method to restore access.",
    }
}


@dataclass
class Sandbox:
    """The vendor's books, the shop's till and the inbox."""

    paid: bool = True
    selling: bool = True
    answers: dict[int, int] = field(default_factory=dict)
    sold: int = 0
    messages: list[dict[str, Any]] = field(default_factory=list)

    def keep(self, channel: str, title: str, body: str) -> None:
        self.messages.append(
            {"id": len(self.messages) + 1, "at": time.time(), "channel": channel, "title": title, "body": body}
        )


def application(sandbox: Sandbox, exporter: str | None = None, token: str = "") -> web.Application:
    """The sandbox as a web application; with `exporter`'s address it also sells and reports each sale there."""
    endpoints = _Endpoints(sandbox)
    app = web.Application()
    app.add_routes(
        [
            web.get("/", endpoints.page),
            web.get("/v1/account", endpoints.account),
            web.post("/bill/{state:paid|unpaid}", endpoints.bill),
            web.post("/shop/{state:open|closed}", endpoints.shop),
            web.post("/inbox", endpoints.inbox),
            web.post("/v2/enqueue", endpoints.pager),
            web.get("/state", endpoints.state),
        ]
    )
    if exporter:

        async def sell(_: web.Application) -> AsyncIterator[None]:
            task = asyncio.create_task(_sell(sandbox, exporter, token))
            yield
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

        app.cleanup_ctx.append(sell)
    return app


class _Endpoints:
    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    async def page(self, _: web.Request) -> web.Response:
        return web.Response(text=PAGE.read_text(encoding="utf-8"), content_type="text/html")

    async def account(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != f"Bearer {SANDBOX_KEY}":
            return self._answer(401, {"error": {"type": "invalid_api_key", "message": "Invalid API key."}})
        if not self._sandbox.paid:
            return self._answer(402, UNPAID)
        return self._answer(200, {"account": "sandbox", "plan": "pro"})

    def _answer(self, status: int, body: dict[str, Any]) -> web.Response:
        self._sandbox.answers[status] = self._sandbox.answers.get(status, 0) + 1
        return web.json_response(body, status=status)

    async def bill(self, request: web.Request) -> web.Response:
        self._sandbox.paid = request.match_info["state"] == "paid"
        return web.Response(text=f"the bill is {request.match_info['state']}\n")

    async def shop(self, request: web.Request) -> web.Response:
        self._sandbox.selling = request.match_info["state"] == "open"
        return web.Response(text=f"the shop is {request.match_info['state']}\n")

    async def inbox(self, request: web.Request) -> web.Response:
        """What Apprise's json:// posts: version, title, message, attachments, type."""
        posted = await request.json()
        self._sandbox.keep("inbox", posted["title"], posted["message"])
        return web.Response(text="ok\n")

    async def pager(self, request: web.Request) -> web.Response:
        """PagerDuty's Events API v2, as far as Alertmanager uses it."""
        posted = await request.json()
        title = f"{posted['event_action']}: {posted.get('payload', {}).get('summary', posted['dedup_key'])}"
        self._sandbox.keep("pager", title, json.dumps(posted.get("payload", {}).get("custom_details", {}), indent=1))
        return web.json_response({"status": "success", "message": "ok", "dedup_key": posted["dedup_key"]}, status=202)

    async def state(self, _: web.Request) -> web.Response:
        sandbox = self._sandbox
        return web.json_response(
            {
                "paid": sandbox.paid,
                "selling": sandbox.selling,
                "answers": sandbox.answers,
                "sold": sandbox.sold,
                "messages": sandbox.messages,
            }
        )


async def _sell(sandbox: Sandbox, exporter: str, token: str) -> None:
    """Posts EVENTS_PER_SECOND checkouts a second while the shop is open. An exporter that is away misses some."""
    headers = {"Authorization": f"Bearer {token}"}
    async with aiohttp.ClientSession(headers=headers) as session:
        while True:
            await asyncio.sleep(1)
            if not sandbox.selling:
                continue
            events = [
                {"event": "checkout_completed", "plan": "pro" if number % 3 else "free", "currency": "EUR"}
                for number in range(EVENTS_PER_SECOND)
            ]
            try:
                async with session.post(f"{exporter}/v1/events", json=events) as response:
                    sandbox.sold += EVENTS_PER_SECOND if response.status == 200 else 0
            except aiohttp.ClientError:
                continue


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--exporter", help="where to report sales, such as http://127.0.0.1:9970")
    parser.add_argument("--token-file", type=Path, help="the token to show the exporter")
    arguments = parser.parse_args()
    token = arguments.token_file.read_text().strip() if arguments.token_file else ""
    app = application(Sandbox(), arguments.exporter, token)
    web.run_app(app, host="127.0.0.1", port=arguments.port, print=None, access_log=None)


if __name__ == "__main__":
    main()
