"""`make pictures`: draws the pictures in docs/ with headless Chromium, installing it where we may: the inbox from a real
run, the stories as chat and mail programs would show them, and the dashboards with an imagined company's past.

python -m tests.support.pictures --binaries FOLDER [--only inbox|messages|dashboards]
"""

import argparse
import asyncio
import datetime
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image, ImageChops

from receiver.commands.looks import LOOKS
from receiver.notifiers.words import words
from tests.support.dashboards import Grafana, dashboards
from tests.support.drawing.page import PAGE_WIDTH, page
from tests.support.imagined.company import company
from tests.support.prometheuses import prometheus
from tests.support.running import running
from tests.support.stack import ROOT
from tests.support.stories import MOMENTS

DOCS = ROOT / "docs"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
CHOSEN = {"signals": {"by": "tenant", "signal": "checkouts", "group": "acme"}}
"""What is chosen at the top of the dashboards."""
NOON = datetime.datetime(2026, 11, 20, 12, tzinfo=datetime.UTC).timestamp()
"""When the dashboards are drawn: always the same, so that a picture changes with its dashboard alone."""
OFFLINE = ("--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run")


def browser() -> str:
    """Chromium's path; installed from Debian's packages where we are root. Exits with advice otherwise."""
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
        packages = ["chromium", "fonts-dejavu-core"]
        for command in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", *packages]):
            subprocess.run(["apt-get", *command], check=True, stdout=subprocess.DEVNULL)
        found = shutil.which("chromium")
    if found is None:
        sys.exit("Chromium is needed to draw pictures. Install it with:  sudo apt-get install chromium")
    return found


def screenshot(url: str, picture: Path, width: int, height: int) -> None:
    """Draws a page once its scripts have run for a while."""
    with tempfile.TemporaryDirectory() as profile:
        size = f"--window-size={width},{height}"
        flags = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            *OFFLINE,
            f"--user-data-dir={profile}",
        ]
        command = [browser(), *flags, size, "--virtual-time-budget=4000", f"--screenshot={picture}", url]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60)


def page_text(url: str) -> str:
    """A page's HTML once its scripts have run for a while."""
    with tempfile.TemporaryDirectory() as profile:
        flags = ["--headless", "--no-sandbox", "--disable-gpu", *OFFLINE, f"--user-data-dir={profile}"]
        command = [browser(), *flags, "--virtual-time-budget=4000", "--dump-dom", url]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


def messages() -> None:
    """Each story as each program would show it, and the end of one, in docs/pictures/messages/."""
    folder = DOCS / "pictures" / "messages"
    folder.mkdir(parents=True, exist_ok=True)
    for name, look in LOOKS.items():
        for story, message in MOMENTS.items():
            picture = folder / f"{story}-{name}.png"
            with tempfile.NamedTemporaryFile("w", suffix=".html") as page:
                page.write(look(message, words(message)))
                page.flush()
                screenshot(f"file://{page.name}", picture, 720, 1400)
            _trim(picture)
    print(f"drew {len(LOOKS) * len(MOMENTS)} pictures in {folder}")


def _trim(picture: Path) -> None:
    """Cuts off what is empty below, and keeps few colours: these are read on a page, not printed."""
    with Image.open(picture) as drawn:
        shown = drawn.convert("RGB")
    empty = Image.new("RGB", shown.size, shown.getpixel((1, shown.height - 2)))
    bounds = ImageChops.difference(shown, empty).getbbox() or (0, 0, *shown.size)
    shown = shown.crop((0, 0, shown.width, min(bounds[3] + 14, shown.height)))
    shown.quantize(48, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(picture, optimize=True)


def boards(binaries: Path) -> None:
    """Each dashboard with what a real Prometheus answers it, in docs/pictures/dashboards/."""
    folder = DOCS / "pictures" / "dashboards"
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as past, prometheus(binaries, Path(past), company(NOON), now=NOON) as url:
        for name, dashboard in dashboards():
            grafana = Grafana(url, rate_interval="10m", span="6h", chosen=CHOSEN.get(name, {}))
            shown, height = page(dashboard, grafana, NOON)
            drawn = Path(past) / f"{name}.html"
            drawn.write_text(shown, encoding="utf-8")
            picture = folder / f"{name}.png"
            screenshot(f"file://{drawn}", picture, PAGE_WIDTH, height)
            _few_colours(picture)
            print(f"drew {picture}")


def _few_colours(picture: Path) -> None:
    """These are read on a page, not printed."""
    with Image.open(picture) as drawn:
        drawn.convert("RGB").quantize(255, dither=Image.Dither.NONE).save(picture, optimize=True)


async def draw() -> None:
    """One unpaid bill and its payment, as the inbox shows them."""
    browser()
    with tempfile.TemporaryDirectory() as folder:
        async with running(Path(folder)) as run:
            run.sandbox.paid = False
            await run.until(lambda: len(run.titles()) == 1, "the unpaid bill is told", seconds=60)
            run.sandbox.paid = True
            await run.until(lambda: len(run.titles()) == 2, "the paid bill is told", seconds=60)
            inbox = run.stack.ports.url("sandbox")
            await asyncio.to_thread(screenshot, inbox, DOCS / "inbox.png", 1100, 930)
            shown = await asyncio.to_thread(page_text, inbox)
    missing = [part for part in ("subscription unpaid", "First step", "RESOLVED") if part not in shown]
    if missing:
        sys.exit(f"the inbox's page does not show: {', '.join(missing)}")
    print(f"drew {DOCS / 'inbox.png'}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--binaries", type=Path, required=True)
    parser.add_argument("--only", choices=("inbox", "messages", "dashboards"), help="draw these alone")
    arguments = parser.parse_args()
    os.environ["TOCSIN_BINARIES"] = str(arguments.binaries)
    if arguments.only in (None, "messages"):
        messages()
    if arguments.only in (None, "dashboards"):
        boards(arguments.binaries)
    if arguments.only in (None, "inbox"):
        asyncio.run(draw())


if __name__ == "__main__":
    main()
