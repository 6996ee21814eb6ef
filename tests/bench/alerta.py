"""How many one-alert webhooks are acknowledged in a second, against Alerta, by turns in the same run.

Alerta is PyPI's `alerta-server` under gunicorn with two workers. Both keep their alerts on the same real PostgreSQL,
fsync on, each in a database of its own. Both take the same Alertmanager bodies, each a group of its own, and neither
asks who posts. Alerta answers when it has worked on the alert, we when it is stored: so it is also told how many a
second we have worked into incidents. So many at once are a storm, and most of them go into its one incident.
"""

import asyncio
import statistics
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from tests.bench.figure import Bench, Figure
from tests.bench.load import Load, posted
from tests.bench.serving import Served, receiver, serving
from tests.support import postgres
from tests.support.binaries import Missing
from tests.support.ports import free_ports
from tests.support.stack import ROOT

PINS = Path(__file__).with_name("alerta-requirements.txt")
FOLDER = ROOT / ".cache" / "alerta"
WORKERS = 2
ROUNDS = 3
CONNECTIONS = (16, 64)
THEIRS = Load("/webhooks/prometheus", posts=500, at_once=0)
OURS = Load("/webhook/alertmanager", posts=2000, at_once=0)
BAR = 5.0


@dataclass(frozen=True)
class Rates:
    """Of one round: alerts a second, acknowledged by Alerta and by us, and made into incidents by us."""

    theirs: float
    ours: float
    worked: float


def install() -> Path:
    """The programs of Alerta's environment, made when need be. Raises Missing."""
    marker, pins = FOLDER / "pins", PINS.read_text()
    if not marker.exists() or marker.read_text() != pins:
        pip = [str(FOLDER / "bin" / "python"), "-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes"]
        try:
            subprocess.run([sys.executable, "-m", "venv", str(FOLDER)], check=True, capture_output=True, text=True)
            subprocess.run([*pip, "-r", str(PINS)], check=True, capture_output=True, text=True)
        except subprocess.CalledProcessError as error:
            raise Missing(f"alerta-server can't be installed: {error.stderr.strip()[-200:]}") from None
        marker.write_text(pins)
    return FOLDER / "bin"


@asynccontextmanager
async def alerta(programs: Path, folder: Path, database: str) -> AsyncIterator[Served]:
    """Alerta with its default plugins, on the database at a URL."""
    [port] = free_ports(1)
    settings = folder / "alertad.conf"
    settings.write_text(f"DATABASE_URL = {database!r}\nSECRET_KEY = 'for a benchmark'\nAUTH_REQUIRED = False\n")
    environment = {"ALERTA_SVR_CONF_FILE": str(settings)}
    # its workers would make the tables both at once, and one would fail
    make = asyncio.create_subprocess_exec(
        str(programs / "python"), "-c", "import alerta; alerta.create_app()", env=environment
    )
    assert await (await make).wait() == 0
    command = ("gunicorn", "--no-control-socket", "--workers", str(WORKERS), "--bind", f"127.0.0.1:{port}")
    argv = (str(programs / command[0]), *command[1:], "alerta:create_app()")
    async with serving(folder / "alerta.log", port, "/management/gtg", *argv, environment=environment) as it:
        yield it


async def run(_: Path) -> Sequence[Figure]:
    """Rounds by turns, with few and with many connections."""
    try:
        programs = await asyncio.to_thread(install)
        with (
            postgres.running() as server,
            tempfile.TemporaryDirectory() as folder,
            server.database() as one,
            server.database() as other,
        ):
            async with alerta(programs, Path(folder), one) as theirs, receiver(Path(folder), storage=other) as ours:
                return [await _compared(theirs, ours, number, at_once) for number, at_once in enumerate(CONNECTIONS)]
    except Missing as error:
        return [Figure("acknowledged alerts", None, "Alerta", str(error))]


async def _compared(theirs: Served, ours: Served, number: int, at_once: int) -> Figure:
    firsts = [(number * ROUNDS + turn) * OURS.posts for turn in range(ROUNDS)]
    rounds = [await _round(theirs, ours, at_once, first) for first in firsts]
    ratio = statistics.median(one.ours / one.theirs for one in rounds)
    worked = statistics.median(one.worked / one.theirs for one in rounds)
    text = (
        f"{_median(one.ours for one in rounds)}/s, Alerta {_median(one.theirs for one in rounds)}/s; worked into incidents "
        f"{_median(one.worked for one in rounds)}/s ({worked:.1f} times); bar {BAR:g}"
    )
    return Figure(f"acknowledged alerts, {at_once} connections", ratio, "Alerta", text, ratio < BAR)


async def _round(theirs: Served, ours: Served, at_once: int, first: int) -> Rates:
    slow = await posted(replace(THEIRS, url=theirs.url + THEIRS.url, at_once=at_once, first=first))
    fast = await posted(replace(OURS, url=ours.url + OURS.url, at_once=at_once, first=first))
    drained = await ours.drained()
    assert slow.acknowledged == THEIRS.posts, slow.answers
    assert fast.acknowledged == OURS.posts, fast.answers
    return Rates(THEIRS.posts / slow.elapsed, OURS.posts / fast.elapsed, OURS.posts / (fast.elapsed + drained))


def _median(values: Iterable[float]) -> str:
    return f"{statistics.median(values):,.0f}"


BENCH = Bench("alerta", "acknowledged alerts a second, against Alerta", run)
