"""What a probe costs, against Debian's blackbox exporter: CPU time of the processes, in the same minute.

Both probe the same thousand vendors on loopback every 15 s, with a new connection each time. One real Prometheus drives
the blackbox exporter as it is meant to be driven, a scrape of /probe for each vendor, and scrapes ours once in 15 s.
"""

import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import trustme
import yaml
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families as families

from tests.bench.figure import Bench, Figure, quantile
from tests.bench.scrape import Parsed, seconds
from tests.support.binaries import Missing, blackbox
from tests.support.ports import free_ports
from tests.support.stack import ROOT

TARGETS = 1000
INTERVAL_SECONDS = 15
WARM_UP_SECONDS = 25.0
WINDOW_SECONDS = 45.0
SCRAPES = 24
PLAIN_BAR = 1.0
TLS_BAR = 1.5
DELAY_BAR_SECONDS = 1.0
SCRAPE_BAR_SECONDS = 0.05
AS_PROMETHEUS = {
    "Accept": "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
    "Accept-Encoding": "gzip",
}
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Cost:
    """What a prober used in the window: seconds of CPU, and how many probes reached a vendor."""

    cpu: float
    probes: int

    @property
    def per_probe(self) -> float:
        return self.cpu / self.probes


@dataclass(frozen=True)
class Measured:
    """Costs by prober; of ours the p99 of the schedule's delay, and scrapes while probing: each one's seconds, and
    those of `generate_latest` for the same series."""

    costs: Mapping[str, Cost]
    delay: float
    scrapes: Sequence[float]
    generated: float


class World:
    """The processes of one run, their ports and files."""

    def __init__(self, binaries: Path, folder: Path, tls: bool, exits: AsyncExitStack) -> None:
        self._binaries, self._folder, self._exits = binaries, folder, exits
        self._scheme = "https" if tls else "http"
        names = ("targets", "ours", "unscraped", "blackbox", "blackbox-1", "prometheus")
        self._ports = dict(zip(names, free_ports(len(names)), strict=True))
        self.processes: dict[str, asyncio.subprocess.Process] = {}
        self._certificates = _certificates(folder)

    def url(self, name: str) -> str:
        """Where a process listens."""
        return f"{self._scheme if name == 'targets' else 'http'}://127.0.0.1:{self._ports[name]}"

    @property
    def authority(self) -> Path:
        """The file of the CA that signed for the targets."""
        return self._folder / "ca.pem"

    async def start(self) -> None:
        """Starts the vendors, the probers, and Prometheus."""
        pair = self._certificates if self._scheme == "https" else ()
        await self._run("targets", sys.executable, "-m", "tests.bench.targets", str(self._ports["targets"]), *pair)
        for name in ("ours", "unscraped"):
            await self._exporter(name)
        self._write("blackbox.yml", {"modules": {"http": self._module()}})
        for name, more in (("blackbox", {}), ("blackbox-1", {"GOMAXPROCS": "1"})):
            listen = f"--web.listen-address=127.0.0.1:{self._ports[name]}"
            program = str(blackbox(self._binaries.parent))
            await self._run(name, program, f"--config.file={self._folder / 'blackbox.yml'}", listen, **more)
        self._write("prometheus.yml", self._prometheus())
        await self._run(
            "prometheus",
            str(self._binaries / "prometheus"),
            f"--config.file={self._folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={self._folder / 'prometheus'}",
            f"--web.listen-address=127.0.0.1:{self._ports['prometheus']}",
        )

    async def _exporter(self, name: str) -> None:
        pace = {"interval": f"{INTERVAL_SECONDS}s", "timeout": "10s"}
        providers = [
            {"name": f"provider-{one}", "url": f"{self.url('targets')}/{name}/{one}", **pace} for one in range(TARGETS)
        ]
        config = self._write(f"{name}.yml", {"providers": providers})
        await self._run(
            name,
            *(sys.executable, "-m", "exporter", "run", f"--config.file={config}"),
            f"--storage.path={self._folder / name}",
            f"--web.listen-address=127.0.0.1:{self._ports[name]}",
            SSL_CERT_FILE=str(self.authority),
        )

    def _module(self) -> dict[str, Any]:
        http = {"preferred_ip_protocol": "ip4", "tls_config": {"ca_file": str(self.authority)}}
        return {"prober": "http", "timeout": "10s", "http": http}

    def _prometheus(self) -> dict[str, Any]:
        jobs: list[dict[str, Any]] = [self._job("ours", [f"127.0.0.1:{self._ports['ours']}"])]
        for name in ("blackbox", "blackbox-1"):
            targets = [f"{self.url('targets')}/{name}/{one}" for one in range(TARGETS)]
            relabel = [
                {"source_labels": ["__address__"], "target_label": "__param_target"},
                {"source_labels": ["__param_target"], "target_label": "instance"},
                {"target_label": "__address__", "replacement": f"127.0.0.1:{self._ports[name]}"},
            ]
            more = {"metrics_path": "/probe", "params": {"module": ["http"]}, "relabel_configs": relabel}
            jobs.append(self._job(name, targets) | more)
        return {"global": {"scrape_interval": f"{INTERVAL_SECONDS}s"}, "scrape_configs": jobs}

    def _job(self, name: str, targets: Sequence[str]) -> dict[str, Any]:
        return {"job_name": name, "static_configs": [{"targets": list(targets)}]}

    def _write(self, name: str, content: object) -> Path:
        path = self._folder / name
        path.write_text(yaml.safe_dump(content))
        return path

    async def _run(self, name: str, *argv: str, **environment: str) -> None:
        with (self._folder / f"{name}.log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                *argv, cwd=ROOT, stdout=log, stderr=log, env={**os.environ, **environment}
            )
        self.processes[name] = process
        self._exits.push_async_callback(_end, process)

    def cpu(self, names: Iterable[str]) -> dict[str, float]:
        """Seconds of CPU that processes have used."""
        return {name: _cpu(self.processes[name].pid) for name in names}

    async def end_all_but(self, *names: str) -> None:
        """Leaves only the named processes."""
        for name, process in self.processes.items():
            if name not in names:
                await _end(process)


def _cpu(pid: int) -> float:
    stat = Path(f"/proc/{pid}/stat").read_text()
    user, system = stat.rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / TICKS


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.kill()
    await process.wait()


def _certificates(folder: Path) -> tuple[str, str]:
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    issued.private_key_and_cert_chain_pem.write_to_path(folder / "targets.pem")
    return str(folder / "targets.pem"), str(folder / "targets.pem")


# --- the measurement


async def measure(binaries: Path, tls: bool) -> Measured:
    """All probers side by side: the CPU they use in a window. Then ours alone, scraped while it probes on."""
    with tempfile.TemporaryDirectory() as folder:
        async with AsyncExitStack() as exits:
            session = await exits.enter_async_context(aiohttp.ClientSession())
            world = World(binaries, Path(folder), tls, exits)
            await world.start()
            await asyncio.sleep(WARM_UP_SECONDS)
            probers = [name for name in world.processes if name not in {"targets", "prometheus"}]
            delays_before = _delays(await _text(session, world))
            before, probes_before = world.cpu(probers), await _probes(session, world)
            await asyncio.sleep(WINDOW_SECONDS)
            after, probes_after = world.cpu(probers), await _probes(session, world)
            text = await _text(session, world)
            costs = {
                name: Cost(after[name] - before[name], probes_after[name] - probes_before[name]) for name in probers
            }
            delays = {bound: count - delays_before[bound] for bound, count in _delays(text).items()}
            await world.end_all_but("targets", "ours")
            scrapes = [await _scrape(session, world) for _ in range(SCRAPES)]
            return Measured(costs, _upper_bound(delays, 0.99), scrapes, _generated(text))


async def _probes(session: aiohttp.ClientSession, world: World) -> dict[str, int]:
    async with session.get(f"{world.url('targets')}/counts", ssl=False) as answer:
        counts: dict[str, int] = json.loads(await answer.read())
        return counts


async def _text(session: aiohttp.ClientSession, world: World) -> str:
    async with session.get(f"{world.url('ours')}/metrics") as answer:
        return await answer.text()


async def _scrape(session: aiohttp.ClientSession, world: World) -> float:
    """Seconds from the request to the last byte, asked as Prometheus asks; after a pause."""
    await asyncio.sleep(0.3)
    started = time.perf_counter()
    async with session.get(f"{world.url('ours')}/metrics", headers=AS_PROMETHEUS, auto_decompress=False) as answer:
        await answer.read()
    return time.perf_counter() - started


def _delays(text: str) -> dict[float, float]:
    """The schedule's delay: how many probes began at most so many seconds late."""
    name = "tocsin_exporter_probe_schedule_delay_seconds_bucket"
    samples = (sample for family in families(text) for sample in family.samples if sample.name == name)
    return {float(sample.labels["le"]): sample.value for sample in samples}


def _upper_bound(buckets: Mapping[float, float], share: float) -> float:
    """The least bound that at least `share` of all do not exceed."""
    return min(bound for bound, count in buckets.items() if count >= share * buckets[float("inf")])


def _generated(text: str) -> float:
    registry = CollectorRegistry()
    registry.register(Parsed(text))
    return statistics.median(seconds(lambda: generate_latest(registry)) for _ in range(5))


# --- the figures


async def run(binaries: Path) -> Sequence[Figure]:
    """Plain HTTP, then TLS; nothing but the reason where the blackbox exporter can't be had."""
    try:
        await asyncio.to_thread(blackbox, binaries.parent)
    except Missing as error:
        return [Figure("CPU of a probe", None, "blackbox exporter", str(error))]
    figures = []
    for title, tls, bar in (("HTTP", False, PLAIN_BAR), ("HTTPS", True, TLS_BAR)):
        measured = await measure(binaries, tls)
        figures += [_cost(title, measured.costs, bar), _delay(title, measured.delay), _scraped(title, measured)]
    return figures


def _cost(title: str, costs: Mapping[str, Cost], bar: float) -> Figure:
    ratio = costs["ours"].per_probe / costs["blackbox"].per_probe
    told = ", ".join(f"{name} {cost.per_probe * 1e3:.2f} ms" for name, cost in costs.items())
    share = f"{costs['ours'].cpu / WINDOW_SECONDS:.1%} of a core at {costs['ours'].probes} probes; bar {bar:g}"
    return Figure(f"CPU of a probe, {title}", ratio, "blackbox exporter", f"{told}; {share}", ratio > bar)


def _delay(title: str, delay: float) -> Figure:
    text = (
        f"p99 at most {delay:g} s late, {TARGETS:,} providers every {INTERVAL_SECONDS} s; bar {DELAY_BAR_SECONDS:g} s"
    )
    return Figure(f"schedule of probes, {title}", None, "-", text, delay > DELAY_BAR_SECONDS)


def _scraped(title: str, measured: Measured) -> Figure:
    middle, last = quantile(measured.scrapes, 0.5), quantile(measured.scrapes, 0.99)
    text = f"p50 {middle * 1e3:.0f} ms, p99 {last * 1e3:.0f} ms over HTTP; bar {SCRAPE_BAR_SECONDS * 1e3:g} ms at p50"
    name = f"scrape while probing, {title}"
    return Figure(name, middle / measured.generated, "generate_latest alone", text, middle > SCRAPE_BAR_SECONDS)


BENCH = Bench("probing", "CPU of a probe against the blackbox exporter, and a scrape while probing", run)
