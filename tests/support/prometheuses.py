"""A real Prometheus with a past: series of the last days, written before it starts."""

import contextlib
import json
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.ports import free_ports

START_SECONDS = 60.0
STOP_SECONDS = 15.0
DAYS = 8
EVERY_SECONDS = 120.0
AHEAD_SECONDS = 1800.0
"""The past goes on for a while, so that a slow test still finds a value now."""


@dataclass(frozen=True)
class Past:
    """One series; `value` is asked with the seconds before now, negative for what is to come, None for a gap.
    `since`: seconds before now that it begins; `every`: seconds between its samples."""

    name: str
    labels: Mapping[str, str]
    value: Callable[[float], float | None]
    since: float = DAYS * 86400.0
    every: float = EVERY_SECONDS

    def lines(self, now: float) -> Iterator[str]:
        """Its samples in OpenMetrics, the oldest first."""
        labels = ",".join(f"{name}={json.dumps(value)}" for name, value in self.labels.items())
        for step in range(int((self.since + AHEAD_SECONDS) / self.every) + 1):
            ago = self.since - step * self.every
            value = self.value(ago)
            if value is not None:
                yield f"{self.name}{{{labels}}} {value} {now - ago:.3f}"


def _openmetrics(past: Sequence[Past], now: float) -> Iterator[str]:
    """What promtool reads: the series of one name stand together."""
    for name in dict.fromkeys(one.name for one in past):
        yield f"# TYPE {name} gauge"
        for one in past:
            if one.name == name:
                yield from one.lines(now)
    yield "# EOF"


def _write(binaries: Path, folder: Path, past: Sequence[Past], now: float) -> None:
    text = folder / "past.txt"
    text.write_text("\n".join(_openmetrics(past, now)) + "\n")
    command = [
        str(binaries / "promtool"),
        "tsdb",
        "create-blocks-from",
        "--max-block-duration=512h",
        "openmetrics",
        str(text),
        str(folder / "data"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    text.unlink()


@contextlib.contextmanager
def prometheus(
    binaries: Path,
    folder: Path,
    past: Sequence[Past] = (),
    rules: Iterable[Mapping[str, Any]] = (),
    scraped: Iterable[str] = (),
    now: float | None = None,
    flags: Sequence[str] = (),
) -> Iterator[str]:
    """The URL of a Prometheus with these series and rules, ended at the end. One with a past takes no new samples, since
    its past goes on for a while; one without scrapes these addresses. The past is that of `now`, in seconds since the
    epoch, if not of this moment. `flags` are added to its own."""
    if past:
        _write(binaries, folder, past, time.time() if now is None else now)
    port = free_ports(1)[0]
    (folder / "rules.yml").write_text(json.dumps({"groups": [{"name": "rules", "rules": list(rules)}]}))
    job = {"job_name": "scraped", "scrape_interval": "1s", "static_configs": [{"targets": list(scraped)}]}
    config = {"rule_files": ["rules.yml"], "scrape_configs": [job]}
    (folder / "prometheus.yml").write_text(json.dumps(config))
    log = folder / "prometheus.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [
                binaries / "prometheus",
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                "--storage.tsdb.retention.time=10y",
                f"--web.listen-address=127.0.0.1:{port}",
                "--enable-feature=exemplar-storage",
                *flags,
            ],
            stdout=out,
            stderr=out,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        _await_ready(process, url, log)
        yield url
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _await_ready(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        assert process.poll() is None, log.read_text(errors="replace")[-2000:]
        with contextlib.suppress(urllib.error.URLError, ConnectionError):
            urllib.request.urlopen(f"{url}/-/ready", timeout=5).close()
            return
        time.sleep(0.1)
    raise AssertionError(f"not ready:\n{log.read_text(errors='replace')[-2000:]}")
