"""`make pictures`: draws docs/*.png from a real run with headless Chromium, installing it where we may.

python -m tests.support.pictures --binaries FOLDER
"""

import argparse
import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.support.running import running
from tests.support.stack import ROOT

DOCS = ROOT / "docs"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
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
    missing = [part for part in ("subscription unpaid", "First steps", "RESOLVED") if part not in shown]
    if missing:
        sys.exit(f"the inbox's page does not show: {', '.join(missing)}")
    print(f"drew {DOCS / 'inbox.png'}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--binaries", type=Path, required=True)
    os.environ["TOCSIN_BINARIES"] = str(parser.parse_args().binaries)
    asyncio.run(draw())


if __name__ == "__main__":
    main()
