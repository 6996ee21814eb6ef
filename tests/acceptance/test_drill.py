"""`tocsin-receiver drill` on the whole chain: what it says when all is well, and which hop it names when one is broken."""

import asyncio
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.running import Running, running
from tests.support.stack import CONFIG, ROOT

LONG_ENOUGH = "120s"
"""For a chain that is whole, on a machine under load."""
TOO_LONG = "30s"
"""For one that is cut: whatever comes before the cut takes a few seconds."""


async def drill(run: Running, *flags: str) -> tuple[int, str]:
    """The command's exit status and what it said."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "receiver", "drill", "--url", run.stack.ports.url("receiver")),
        *("--token-file", str(run.stack.token_file), *flags),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    return process.returncode or 0, said.decode()


async def reload(run: Running, name: str) -> None:
    headers = {"Authorization": f"Bearer {run.stack.token_file.read_text()}"}
    async with run.session.post(f"{run.stack.ports.url(name)}/-/reload", headers=headers) as answer:
        assert answer.status == 200, await answer.text()


def edit(path: Path, change: Callable[[Any], None]) -> None:
    content = yaml.safe_load(path.read_text())
    change(content)
    path.write_text(yaml.safe_dump(content, sort_keys=False))


async def test_a_drill_goes_the_whole_way_and_back(tmp_path: Path) -> None:
    async with running(tmp_path) as run:
        status, said = await drill(run, "--timeout", LONG_ENOUGH)
        assert status == 0, said
        wanted = [
            "the receiver answers",
            "the receiver shows the metric",
            "Prometheus has scraped it",
            "the rule fires",
            "Alertmanager holds the alert",
            "the webhook reached the receiver",
            "the incident opened",
            "inbox was told",
            "the rule no longer fires",
            "the incident is resolved",
            "inbox was told",
            "The chain is whole.",
        ]
        lines = iter(said.splitlines())
        assert all(any(words in line for line in lines) for words in wanted), said
        assert run.told("FIRING", "[DRILL]")
        assert run.told("RESOLVED", "[DRILL]")
        assert not run.titles("pager")
        notice = (await run.get("receiver", "/v1/incidents/1"))["notices"][0]
        assert notice["route"] == "a drill for every target"


@dataclass(frozen=True)
class Cut:
    """How the chain is cut: `service` reads its changed file again."""

    service: str
    change: Callable[[Running], None]


def without_the_rule(run: Running) -> None:
    rules = run.stack.folder / "rules.yml"
    rules.write_text((CONFIG / "rules" / "tocsin.yml").read_text())

    def leave_out(content: Any) -> None:
        group = content["groups"][0]
        group["rules"] = [rule for rule in group["rules"] if rule["alert"] != "TocsinDrill"]

    edit(rules, leave_out)
    edit(run.stack.folder / "prometheus.yml", lambda content: content.update(rule_files=[str(rules)]))


def routed_elsewhere(run: Running) -> None:
    def reroute(content: Any) -> None:
        content["route"]["routes"].insert(0, {"matchers": ['alertname="TocsinDrill"'], "receiver": "nobody"})
        content["receivers"].append({"name": "nobody"})

    edit(run.stack.folder / "alertmanager.yml", reroute)


def refused_by_the_sink(run: Running) -> None:
    sink = f"json://127.0.0.1:{run.stack.ports.sandbox}/nowhere"
    edit(run.stack.folder / "receiver.yml", lambda content: content["targets"][0].update(url=sink))


CUTS = [
    ("a Prometheus without the rule", Cut("prometheus", without_the_rule), "rule", "not within 30s: the rule fires (TocsinDrill does not fire)", "rule_files", TOO_LONG),
    ("an Alertmanager that sends it elsewhere", Cut("alertmanager", routed_elsewhere), "webhook", "not within 30s: the webhook reached the receiver", "amtool config routes test", TOO_LONG),
    ("a sink that refuses", Cut("receiver", refused_by_the_sink), "target inbox", "inbox was told (failed: ", "the sink's words", LONG_ENOUGH),
]  # fmt: skip


@pytest.mark.parametrize(
    ("cut", "hop", "why", "look", "patience"), [row[1:] for row in CUTS], ids=[row[0] for row in CUTS]
)
async def test_the_hop_that_failed_is_named(
    tmp_path: Path, cut: Cut, hop: str, why: str, look: str, patience: str
) -> None:
    async with running(tmp_path) as run:
        cut.change(run)
        await reload(run, cut.service)
        status, said = await drill(run, "--timeout", patience)
        assert status == 1, said
        assert f'failed at the hop "{hop}": {why}' in said
        assert look in said
        assert not run.titles()
        # it has been ended all the same
        assert (await run.get("receiver", "/v1/drills/current"))["drill"]["ended_at"] is not None
