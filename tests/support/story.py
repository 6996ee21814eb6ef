"""Tells what happens in a running stack, hop by hop with its time, and in the sandbox makes it happen.

Act one: the bill is left unpaid, and paid again. Act two: checkouts stop, and flow again. Then it only watches.
"""

import argparse
import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import aiohttp
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console
from rich.panel import Panel
from rich.text import Text

from tests.support.stack import Ports

POLL_SECONDS = 0.3
PAUSE_SECONDS = 15
"""How long a message stands before the story goes on."""
COLOURS = {"firing": "red", "delivered": "red", "resolved": "green", "pending": "yellow", "unpaid": "yellow"}


class Story:
    """Watches the stack's HTTP APIs and prints each change once."""

    def __init__(
        self,
        ports: Ports,
        session: aiohttp.ClientSession,
        tokens: dict[str, str],
        console: Console,
        tell_deliveries: bool,
    ) -> None:
        self._ports, self._session, self._tokens, self._console = ports, session, tokens, console
        self._tell_deliveries = tell_deliveries
        self._started = time.monotonic()
        self._known: dict[str, str] = {}
        self._shown = 0
        self.messages: list[dict[str, Any]] = []

    def tell(self, hop: str, text: str) -> None:
        elapsed = int(time.monotonic() - self._started)
        line = Text(f"{elapsed // 60}:{elapsed % 60:02d}  ", style="dim")
        line.append(f"{hop:<10}", style=f"bold {COLOURS.get(hop, 'cyan')}")
        self._console.print(line.append(text, style=""), soft_wrap=True)

    async def ready(self) -> None:
        for name, path in (("exporter", "/-/ready"), ("receiver", "/-/ready"), ("alertmanager", "/-/ready")):
            await self._until(f"{self._ports.url(name)}{path}")
        await self._until(f"{self._ports.url('prometheus')}/-/ready")
        self.tell("started", "exporter, receiver, Prometheus and Alertmanager are ready")

    async def watch(self, sandboxed: bool) -> None:
        while True:
            async for key, hop, text in self._news():
                if self._known.get(key) != f"{hop} {text}":
                    self._known[key] = f"{hop} {text}"
                    self.tell(hop, text)
            if sandboxed:
                self._show_messages((await self._get("sandbox", "/state"))["messages"])
            await asyncio.sleep(POLL_SECONDS)

    async def _news(self) -> AsyncIterator[tuple[str, str, str]]:
        """(what it is about, the hop, what it says) as things stand."""
        for provider, verdict in self._verdicts(await self._text("exporter", "/metrics")):
            yield f"verdict {provider}", "judged", f"exporter: {provider} is {verdict}"
        firing = set()
        for alert in (await self._get("prometheus", "/api/v1/alerts"))["data"]["alerts"]:
            labels = alert["labels"]
            about = labels.get("provider") or labels.get("rule") or labels.get("instance", "")
            # Tocsin's own alerts are pending for a moment until it is first scraped
            if labels.get("severity") != "info" and (
                alert["state"] == "firing" or not labels["alertname"].startswith("Tocsin")
            ):
                firing.add(f"alert {labels['alertname']} {about}")
                yield (
                    f"alert {labels['alertname']} {about}",
                    alert["state"],
                    f"Prometheus: {labels['alertname']} {about}",
                )
        for key in [key for key in self._known if key.startswith("alert ") and key not in firing]:
            if self._known.pop(key).startswith("firing"):
                self.tell("ended", f"Prometheus: {key.removeprefix('alert ')} no longer fires")
        for incident in (await self._get("receiver", "/v1/incidents"))["incidents"]:
            async for news in self._deliveries(incident["id"]):
                yield news
            name = incident["alerts"][0]["labels"].get("alertname", "")
            yield (
                f"incident {incident['id']}",
                "incident",
                f"receiver: incident {incident['id']} ({name}) is {incident['state']}",
            )

    async def _deliveries(self, incident: int) -> AsyncIterator[tuple[str, str, str]]:
        """What became of each message, where the inbox doesn't show it."""
        for notice in (
            (await self._get("receiver", f"/v1/incidents/{incident}"))["notices"] if self._tell_deliveries else ()
        ):
            detail = notice["deliveries"][-1]["detail"] if notice["deliveries"] else ""
            text = (
                f"receiver: incident {incident}, message {notice['revision']} to {notice['target']}: {notice['state']}"
            )
            yield (
                f"notice {notice['id']}",
                "delivery",
                text + (f" ({detail})" if notice["state"] != "sent" and detail else ""),
            )

    def _verdicts(self, metrics: str) -> Iterator[tuple[str, str]]:
        for family in text_string_to_metric_families(metrics):
            if family.name == "thirdparty_verdict":
                for sample in family.samples:
                    if sample.value == 1:
                        yield sample.labels["provider"], sample.labels["verdict"]

    def _show_messages(self, messages: list[dict[str, Any]]) -> None:
        for message in messages[self._shown :]:
            resolved = "RESOLVED" in message["title"]
            self.tell("resolved" if resolved else "delivered", f"{message['channel']}: the responder reads")
            body = Text(message["body"])
            self._console.print(Panel(body, title=Text(message["title"]), border_style="green" if resolved else "red"))
        self._shown = len(messages)
        self.messages = messages

    async def act(self) -> None:
        """The two acts. What a person does by hand in between is fine too."""
        await self._verdict("ok")
        await asyncio.sleep(3)
        self.tell("unpaid", "sandbox: the vendor's bill is left unpaid, it answers 402 from now on")
        await self._post("/bill/unpaid")
        await self._message("unpaid", resolved=False)
        self.tell("wait", f"sandbox: it will be paid in {PAUSE_SECONDS} s (or press the button in the inbox)")
        await asyncio.sleep(PAUSE_SECONDS)
        await self._post("/bill/paid")
        self.tell("paid", "sandbox: the bill is paid")
        await self._message("unpaid", resolved=True)
        await self._usage_drop()
        self.tell("your turn", f"the buttons are at {self._ports.url('sandbox')}/ ; Ctrl-C stops everything")

    async def _usage_drop(self) -> None:
        await asyncio.sleep(5)
        self.tell("closed", "sandbox: checkouts stop; the rule looks at two minutes, so the alert takes that long")
        await self._post("/shop/closed")
        await self._message("checkouts", resolved=False)
        await self._post("/shop/open")
        self.tell("open", "sandbox: checkouts flow again")
        await self._message("checkouts", resolved=True)

    async def _verdict(self, wanted: str) -> None:
        while not any(text.endswith(f"is {wanted}") for text in self._known.values()):
            await asyncio.sleep(POLL_SECONDS)

    async def _message(self, word: str, resolved: bool) -> None:
        before = self._shown
        while not any(
            word in message["title"] and ("RESOLVED" in message["title"]) == resolved
            for message in self.messages[before:]
        ):
            await asyncio.sleep(POLL_SECONDS)

    async def _until(self, url: str) -> None:
        while True:
            try:
                async with self._session.get(url) as response:
                    if response.status == 200:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.1)

    async def _text(self, name: str, path: str) -> str:
        headers = {"Authorization": f"Bearer {self._tokens[name]}"} if name in self._tokens else {}
        async with self._session.get(f"{self._ports.url(name)}{path}", headers=headers) as response:
            text = await response.text()
            if response.status != 200:
                raise RuntimeError(f"{name} answered {response.status} to {path}: {text[:200]}")
            return text

    async def _get(self, name: str, path: str) -> Any:
        return json.loads(await self._text(name, path))

    async def _post(self, path: str) -> None:
        async with self._session.post(f"{self._ports.url('sandbox')}{path}"):
            pass


def addresses(console: Console, ports: Ports, sandboxed: bool, token_file: Path | None, log: Path) -> None:
    rows = [
        ("inbox", ports.url("sandbox"), "the responder's messages, a vendor to leave unpaid, a shop to close"),
        ("Prometheus", f"{ports.url('prometheus')}/", "the rules of config/rules/ at work"),
        ("Alertmanager", f"{ports.url('alertmanager')}/api/v2/alerts", "what it holds and silences"),
        ("exporter", f"{ports.url('exporter')}/metrics", "what is measured (wants the token)"),
        ("receiver", f"{ports.url('receiver')}/v1/incidents", "what was told, to whom"),
    ]
    console.print("[bold]Tocsin[/] is starting: exporter, receiver, Prometheus, Alertmanager")
    for name, url, about in rows if sandboxed else rows[1:]:
        console.print(f"  [bold]{name:<13}[/]{url:<40} [dim]{about}[/]", soft_wrap=True)
    if token_file is not None:
        console.print(f"  [bold]{'token':<13}[/]{token_file}", soft_wrap=True)
    console.print(f"  [bold]{'logs':<13}[/]{log}\n", soft_wrap=True)


async def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    for field in fields(Ports):
        parser.add_argument(f"--{field.name}-port", type=int, default=field.default)
    for service in ("exporter", "receiver"):
        parser.add_argument(f"--{service}-token-file", type=Path)
    parser.add_argument("--watch-only", action="store_true", help="don't act, only tell")
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--no-sandbox", dest="sandboxed", action="store_false")
    arguments = parser.parse_args()
    ports = Ports(**{field.name: getattr(arguments, f"{field.name}_port") for field in fields(Ports)})
    console = Console(highlight=False)
    files = {service: getattr(arguments, f"{service}_token_file") for service in ("exporter", "receiver")}
    tokens = {service: file.read_text().strip() for service, file in files.items() if file is not None}
    addresses(console, ports, arguments.sandboxed, files["exporter"], arguments.log)
    async with aiohttp.ClientSession() as session:
        story = Story(ports, session, tokens, console, arguments.watch_only)
        await story.ready()
        async with asyncio.TaskGroup() as group:
            group.create_task(story.watch(arguments.sandboxed))
            if not arguments.watch_only:
                group.create_task(story.act())


if __name__ == "__main__":
    asyncio.run(main())
