"""Real Alertmanagers that post every alert by itself to one webhook, and alerts posted to them as Prometheus does."""

import asyncio
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp

from tests.support.ports import free_ports
from tests.support.processes import Process

PEER_TIMEOUT_SECONDS = 2
"""How long the second of a pair waits for the first to tell."""
HOUR = 3600.0


@dataclass(frozen=True)
class Alert:
    """One alert. Times are seconds since the epoch; `ends_at` is None while it fires."""

    name: str
    starts_at: float
    ends_at: float | None = None

    @property
    def status(self) -> str:
        """`firing` or `resolved`."""
        return "firing" if self.ends_at is None else "resolved"

    def posted(self) -> dict[str, Any]:
        """As an item of `POST /api/v2/alerts`."""
        return {
            "labels": {"alertname": self.name, "severity": "critical", "instance": self.name},
            "annotations": {"summary": self.name},
            "startsAt": _rfc3339(self.starts_at),
            "endsAt": _rfc3339(self.starts_at + HOUR if self.ends_at is None else self.ends_at),
        }


@dataclass(frozen=True)
class Cluster:
    """As one of its members sees it. `settled`: it tells, from now on; `members`: how many, itself among them."""

    settled: bool
    own_name: str
    members: int


class Alertmanager:
    """One process. `peers` are the ports of a cluster's gossip, its own first; none: it stands alone."""

    def __init__(
        self,
        name: str,
        binaries: Path,
        folder: Path,
        session: aiohttp.ClientSession,
        webhook: str,
        peers: Sequence[int] = (),
    ) -> None:
        url = f"http://127.0.0.1:{free_ports(1)[0]}"
        config = folder / f"{name}.yml"
        config.write_text(json.dumps(configuration(webhook)))  # JSON is YAML
        argv = [
            str(binaries / "alertmanager"),
            f"--config.file={config}",
            f"--storage.path={folder / name}",
            f"--web.listen-address={url.removeprefix('http://')}",
            f"--web.external-url={url}",
            *_clustered(peers),
        ]
        self.process = Process(name, argv, url, folder, session)
        self._session = session

    async def post(self, alerts: Iterable[Alert]) -> None:
        """Raises aiohttp.ClientError when it is away."""
        items = [alert.posted() for alert in alerts]
        if not items:
            return
        async with self._session.post(f"{self.process.url}/api/v2/alerts", json=items) as answer:
            assert answer.status == 200, await answer.text()

    async def cluster(self) -> Cluster:
        """What it knows of its cluster."""
        async with self._session.get(f"{self.process.url}/api/v2/status") as answer:
            cluster = (await answer.json())["cluster"]
        return Cluster(cluster["status"] == "ready", cluster["name"], len(cluster["peers"]))


def configuration(webhook: str) -> dict[str, Any]:
    """Each alert is a group of its own, told after a second, its resolve too."""
    route = {
        "receiver": "tocsin",
        "group_by": ["..."],
        "group_wait": "1s",
        "group_interval": "1s",
        "repeat_interval": "4h",
    }
    hook = {"url": webhook, "send_resolved": True, "max_alerts": 0}
    return {"route": route, "receivers": [{"name": "tocsin", "webhook_configs": [hook]}]}


async def post_to_all(alertmanagers: Iterable[Alertmanager], alerts: Sequence[Alert]) -> None:
    """Posts to each as Prometheus does: one that is away does not keep the others from hearing."""

    async def one(alertmanager: Alertmanager) -> None:
        try:
            await alertmanager.post(alerts)
        except aiohttp.ClientError:
            return

    await asyncio.gather(*(one(alertmanager) for alertmanager in alertmanagers))


def webhook(alerts: Iterable[Alert]) -> bytes:
    """The body that Alertmanager would post of these alerts together."""
    items = [{**alert.posted(), "status": alert.status, "fingerprint": alert.name} for alert in alerts]
    return json.dumps({"version": "4", "alerts": items}).encode()


def _clustered(peers: Sequence[int]) -> list[str]:
    if not peers:
        return ["--cluster.listen-address="]
    own, *others = (f"127.0.0.1:{port}" for port in peers)
    return [
        f"--cluster.listen-address={own}",
        f"--cluster.advertise-address={own}",
        f"--cluster.peer-timeout={PEER_TIMEOUT_SECONDS}s",
        "--cluster.settle-timeout=5s",
        *(f"--cluster.peer={other}" for other in others),
    ]


def _rfc3339(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat()
