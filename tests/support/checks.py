"""`make check`, the part that other programs do: rules, routes, our own configuration, dashboards.

    python -m tests.support.checks --binaries FOLDER

Each check is a command; what it says is shown when it fails.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from tests.support.stack import CONFIG, ROOT

GRAFANA = ROOT / "tests" / "grafana"


@dataclass(frozen=True)
class Check:
    """A command that must succeed."""

    name: str
    command: list[str]
    folder: Path = ROOT


def checks(binaries: Path, config: Path) -> Iterator[Check]:
    """Every check; `config` is a copy of config/ in which the secrets exist."""
    promtool, amtool = str(binaries / "promtool"), str(binaries / "amtool")
    rules = sorted(str(path) for path in (config / "rules").glob("*.yml"))
    tests = sorted(str(path) for path in (ROOT / "tests" / "rules").glob("*.test.yml"))
    yield Check("promtool check config", [promtool, "check", "config", str(config / "prometheus.yml")])
    yield Check("promtool check rules", [promtool, "check", "rules", *rules])
    yield Check("promtool test rules", [promtool, "test", "rules", *tests])
    yield Check("amtool check-config", [amtool, "check-config", str(config / "alertmanager.yml")])
    for service in ("exporter", "receiver"):
        command = [sys.executable, "-m", service, "check", f"--config.file={config / f'{service}.yml'}"]
        yield Check(f"tocsin-{service} check", command)
    built = [sys.executable, "-m", "exporter", "rules", "build", str(CONFIG / "signals.yml"), "--diff"]
    folders = [f"--output={CONFIG / 'rules'}", f"--tests={ROOT / 'tests' / 'rules'}"]
    yield Check("rules built from config/signals.yml", [*built, *folders])
    bin_ = Path(sys.executable).parent
    if not (GRAFANA / "node_modules" / ".package-lock.json").exists():
        yield Check("npm ci (types of Grafana's dashboards)", [str(bin_ / "npm"), "ci", "--silent"], GRAFANA)
    yield Check("dashboards against Grafana's types", [str(bin_ / "node"), "check.mjs"], GRAFANA)
    yield Check("the dashboards' check itself", [str(bin_ / "node"), "--test"], GRAFANA)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--binaries", type=Path, required=True)
    binaries = parser.parse_args().binaries
    console, failed = Console(highlight=False), 0
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "config"
        shutil.copytree(CONFIG, config, ignore=shutil.ignore_patterns("secrets"))
        (config / "secrets").mkdir()
        (config / "secrets" / "tocsin.token").write_text("checked")
        for check in checks(binaries, config):
            with console.status(check.name):
                done = subprocess.run(check.command, cwd=check.folder, capture_output=True, text=True, check=False)
            console.print(f"{'[red]failed[/]' if done.returncode else '[green]ok[/]    '}  {check.name}")
            if done.returncode:
                failed += 1
                console.print(done.stdout + done.stderr, markup=False)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
