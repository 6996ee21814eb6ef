"""The documents against the code, both ways: what there is, is told, and what is told, is there."""

import argparse
import datetime
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args, get_origin
from zoneinfo import ZoneInfo

import pytest
import structlog
import yaml
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.parser import text_string_to_metric_families

from exporter import config as exporter_config
from exporter.__main__ import COMMAND as EXPORTER
from exporter.config import Card, ExporterConfig, Provider
from exporter.exposition import Family, render
from exporter.metrics import EVENT_OUTCOMES, ExporterMetrics
from exporter.providers import billing, report
from exporter.providers.account import Account
from exporter.providers.answer import Exchange, FailureReason
from exporter.providers.collector import Collector
from exporter.providers.history import Look, advance
from exporter.providers.kinds import Certainty, Kind, Verdict
from exporter.providers.probe import Credential
from exporter.providers.prober import Found
from exporter.rulegen.settings import Signal, Signals, Slo, lint
from exporter.usage.book import Book
from exporter.usage.collector import UsageCollector
from exporter.usage.engine import Engine
from exporter.usage.settings import Usage
from exporter.usage.sources.files import counts as file_counts
from exporter.usage.sources.files.counts import FileCounts
from exporter.usage.sources.kafka.metrics import KafkaCollector
from exporter.usage.sources.kafka.offsets import Progress
from exporter.usage.sources.sql import collecting
from exporter.usage.sources.sql.settings import SqlSettings
from exporter.usage.sources.sql.source import SqlSource
from exporter.usage.watching import Watching
from receiver import config as receiver_config
from receiver.__main__ import COMMAND as RECEIVER
from receiver.delivery.pace import parse_rate
from receiver.enrichers.absence import Reason
from receiver.metrics import (
    DECISIONS,
    ESCALATIONS,
    HEARTBEATS,
    INCIDENT_STATES,
    OUTBOX_STATES,
    REJECTIONS,
    RESULTS,
    ReceiverMetrics,
)
from receiver.settings import ReceiverConfig
from receiver.upkeep.audit import FINDINGS
from tests.conftest import ROOT
from toolkit.cli import Command
from toolkit.clock import parse_duration
from toolkit.configfile import Model, load
from toolkit.httpserver import WebConfig
from toolkit.selfmetrics import ServiceMetrics

DOCS = ROOT / "docs"
PAGES = [*sorted(DOCS.rglob("*.md")), *sorted(ROOT.glob("*.md")), ROOT / "config" / "secrets" / "README.md"]
TEXT = {page: page.read_text(encoding="utf-8") for page in PAGES}
ALL = "\n".join(TEXT.values())
CONFIGURATION = TEXT[DOCS / "configuration.md"]
SIGNALS = TEXT[DOCS / "signals.md"]
METRICS = TEXT[DOCS / "metrics.md"]
RULES = sorted((ROOT / "config" / "rules").glob("*.yml"))
COMMANDS = (EXPORTER, RECEIVER)


def section(text: str, heading: str) -> str:
    """What stands below a heading of the second level."""
    found = re.search(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, heading
    return found[1]


def rows(text: str) -> dict[str, list[str]]:
    """The rows of tables whose first cell is one word of code: that word -> the other cells."""
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in text.splitlines() if line[:1] == "|"]
    return {row[0].strip("`"): row[1:] for row in cells if re.fullmatch(r"`[^`]+`", row[0])}


def blocks(text: str, language: str) -> list[str]:
    """The code blocks of a language."""
    found = re.findall(r"^ *```(\w*)\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL)
    return [textwrap.dedent(block) for named, block in found if named == language]


# --- settings --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Setting:
    """A key of a configuration file; `default` is None when there is none, `...` when it must be given."""

    key: str
    default: Any


def settings(model: type[Model], prefix: str = "") -> Iterator[Setting]:
    """Every key that holds a value or a list; `[]` stands for each item and `*` for a name of the operator's."""
    for name, field in model.model_fields.items():
        key = prefix + (field.alias or name)
        inner = list(below(field.annotation, key))
        if not any(at == key for at, _ in inner):
            yield Setting(
                key, ... if field.is_required() else field.get_default(call_default_factory=True, validated_data={})
            )
        for at, found in inner:
            yield from settings(found, f"{at}.")


def below(kind: Any, key: str) -> Iterator[tuple[str, type[Model]]]:
    """The models that a value of this type holds, and where."""
    if isinstance(kind, type) and issubclass(kind, Model):
        yield key, kind
    origin, parts = get_origin(kind), get_args(kind)
    if origin is tuple:
        yield from below(parts[0], f"{key}[]")
    elif origin is dict:
        yield from below(parts[1], f"{key}.*")
    elif origin is not None:
        for part in parts:
            yield from below(part, key)


FILES: list[tuple[str, type[Model]]] = [
    ("The exporter's file", ExporterConfig),
    ("The receiver's file", ReceiverConfig),
    ("The web configuration file", WebConfig),
]


@dataclass(frozen=True)
class Settings:
    """The table of settings below a heading of a page, and the model whose settings these are."""

    page: str
    heading: str
    model: type[Model]

    def all(self) -> Iterator[Setting]:
        """Every setting of the table: signals and objectives have tables of their own."""
        apart = ("signals[].", "slos[].") if self.model is Signals else ()
        return (setting for setting in settings(self.model) if not setting.key.startswith(apart))


SETTINGS = [
    *(Settings(CONFIGURATION, heading, model) for heading, model in FILES),
    Settings(SIGNALS, "The file", Signals),
    Settings(SIGNALS, "A signal", Signal),
    Settings(SIGNALS, "Objectives", Slo),
]
EACH_TABLE = pytest.mark.parametrize("table", SETTINGS, ids=lambda table: table.heading)


@EACH_TABLE
def test_every_setting_is_documented_and_every_documented_one_exists(table: Settings) -> None:
    documented = {key for key, cells in rows(section(table.page, table.heading)).items() if len(cells) == 3}
    assert documented == {setting.key for setting in table.all()}


@EACH_TABLE
def test_every_documented_default_is_the_one_in_force(table: Settings) -> None:
    documented = rows(section(table.page, table.heading))
    defaults: dict[str, list[Any]] = {}  # what several kinds of rules have may have a default in each
    for setting in table.all():
        defaults.setdefault(setting.key, []).append(setting.default)
    for key, found in defaults.items():
        cell = documented[key][1].strip("`")
        assert any(same(cell, default) for default in found), f"{key}: {cell!r} is documented, {found!r} in force"


def same(cell: str, default: Any) -> bool:
    if default is ... or default is None:
        return cell == ("required" if default is ... else "none")
    told = yaml.safe_load(cell)
    if isinstance(default, ZoneInfo):
        default = default.key
    if isinstance(default, datetime.time):
        default = f"{default:%H:%M}"
    if isinstance(default, float) and isinstance(told, str):
        told = parse_rate(told) if "/" in told else parse_duration(told)
    return bool(told == (list(default) if isinstance(default, tuple) else default))


# --- metrics ---------------------------------------------------------------------------------------------------------

Shape = tuple[str, frozenset[str]]
"""(type, label names)."""


def shapes_of_self_metrics(metrics: ServiceMetrics) -> dict[str, Shape]:
    own = [found for found in metrics.registry._collector_to_names if isinstance(found, MetricWrapperBase)]
    return {full_name(found._name, str(found._type)): (str(found._type), frozenset(found._labelnames)) for found in own}


def shapes_of_text(text: bytes) -> dict[str, Shape]:
    return {
        full_name(family.name, family.type): (
            family.type,
            frozenset(label for sample in family.samples for label in sample.labels),
        )
        for family in text_string_to_metric_families(text.decode())
    }


def full_name(name: str, kind: str) -> str:
    """The name of a family as queries spell it: prometheus-client leaves a counter's `_total` out."""
    return f"{name}_total" if kind == "counter" else name


def third_parties() -> dict[str, Shape]:
    billing_ = {"card": "visa", "plan": "pro", "renews": {"date": "2026-12-01", "every": "month"}}
    account = {"credit": {"remaining": "balance"}, "quota": {"used": "used", "limit": "limit"}}
    given = {"billing": billing_, "account": account, "features": ["mail"]}
    provider = Provider.model_validate({"name": "mail", "url": "http://x/", "owner": "me", **given})
    ok = Verdict(Kind.OK, Certainty.STATUS, "")
    state = advance(None, Look(ok, 0.1, credential="", certificate_expires=2000.0), 1000.0)
    read = Account(1000.0, 5.0, 1.0, 0.5, 2000.0, None)
    collector, counts = Collector([provider]), {("mail", "ok", "200"): 1}
    found = [
        *collector.families({"mail": state}, counts, counts, {"mail": False}),
        *billing.families([provider], [Card(name="visa", expires="2026-12")], {"mail": read}, 1000.0),
        *report.families(Found(Exchange(200), Credential()), state),
    ]
    return shapes_of_text(render(found, openmetrics=False))


def usage() -> dict[str, Shape]:
    rule = {"name": "a", "metric": "own_total", "help": "h", "event": "e", "owner": "me", "minimum": {"events": 1}}
    quiet = {
        "name": "q",
        "key": "tenant",
        "silent": "e",
        "for": "1m",
        "metric": "quiet_total",
        "help": "h",
        "owner": "me",
    }
    settings, book = Usage.model_validate({"rules": [rule], "sequences": [quiet]}), Book()
    engine, watching = Engine(settings, book, 0.0), Watching(settings.sequences, book, 0.0)
    watching.look({"": [("q", "e", "t1", (), 1.0)]}, {"": 2.0}, 2.0)
    watching.look({}, {"": 1000.0}, 1000.0)
    collector = UsageCollector(tuple(engine.rules), lambda: watching)
    found = shapes_of_text(render((*collector.families(0.0), *collector.own()), openmetrics=False))
    return {name: shape for name, shape in found.items() if not name.startswith(("own_", "quiet_"))}


def exporter_itself() -> dict[str, Shape]:
    metrics = ExporterMetrics(CollectorRegistry())
    metrics.kafka.begin("shop")
    metrics.kafka.errors.labels("shop", "transport")
    gauges = CollectorRegistry()
    gauges.register(KafkaCollector(lambda: [KafkaShown()], lambda: 0.0))
    kafka = shapes_of_text(generate_latest(gauges))
    return shapes_of_self_metrics(metrics) | kafka | shapes_of_text(render(of_files_and_queries(), openmetrics=False))


class KafkaShown:
    name = "shop"
    progress = (Progress("orders", 0, 1, 0.0),)

    def is_behind(self, now: float) -> bool:
        return now < 0


def of_files_and_queries() -> Iterator[tuple[Family, Iterable[bytes]]]:
    yield from file_counts.families([FileCounts("nginx")])
    query = {"metric": "own", "help": "h", "query": "select 1"}
    settings = SqlSettings.model_validate(
        {"name": "orders", "url_file": __file__, "metrics": [query]}, context={"base": ROOT}
    )
    source = SqlSource(settings, {}, lambda: 0.0, structlog.get_logger())
    source.readings[0].errors["timeout"] = 1
    yield from (one for one in collecting.families([source], 0.0) if one[0].name != "own")


TABLES: list[tuple[str, Callable[[], dict[str, Shape]]]] = [
    ("Third parties", third_parties),
    ("Usage", usage),
    ("The exporter itself", exporter_itself),
    ("The receiver itself", lambda: shapes_of_self_metrics(ReceiverMetrics(CollectorRegistry()))),
]
EXPOSED = {name: shape for _, expose in TABLES for name, shape in expose().items()}


@pytest.mark.parametrize(("heading", "expose"), TABLES)
def test_every_series_is_documented_with_its_type_and_labels(
    heading: str, expose: Callable[[], dict[str, Shape]]
) -> None:
    documented = {
        name: (cells[0], frozenset(re.findall(r"`(\w+)`", cells[1])))
        for name, cells in rows(section(METRICS, heading)).items()
        if cells[0] in ("gauge", "counter", "histogram")
    }
    assert documented == expose()


def test_what_the_client_library_measures_is_named() -> None:
    for family in ExporterMetrics(CollectorRegistry()).registry.collect():
        assert f"`{full_name(family.name, family.type)}`" in METRICS


@pytest.mark.parametrize(
    "values",
    [Kind, Certainty, get_args(FailureReason), EVENT_OUTCOMES, REJECTIONS, DECISIONS, RESULTS, OUTBOX_STATES, INCIDENT_STATES, get_args(Reason), FINDINGS, HEARTBEATS, ESCALATIONS],
    ids=["verdict", "certainty", "code", "outcome", "rejected", "decision", "result", "outbox", "incidents", "enrichment", "finding", "heartbeat", "escalation"],
)  # fmt: skip
def test_every_value_of_a_closed_label_is_documented(values: Iterable[str]) -> None:
    assert not [value for value in values if f"`{value}`" not in METRICS]


RECORD = re.compile(r"\b[a-z_]+:[a-z_]+:[a-z0-9_]+\b")
"""Prometheus's form for the name of a recording rule: level:metric:operations."""


def test_every_series_that_a_document_names_exists() -> None:
    known = {
        "tocsin_observe",  # the client's package
        *EXPOSED,
        *(
            f"{name}_{part}"
            for name, shape in EXPOSED.items()
            if shape[0] == "histogram"
            for part in ("bucket", "sum", "count")
        ),
    }
    for page, text in TEXT.items():
        for word in set(re.findall(r"\b(?:tocsin|thirdparty|usage_rule)_[a-z_]+", RECORD.sub("", text))):
            # a word before `*`, such as thirdparty_confirmation_*, stands for those that begin with it
            exists = any(name.startswith(word) for name in known) if word.endswith("_") else word in known
            assert exists, f"{page.relative_to(ROOT)}: {word}"


# --- rules -----------------------------------------------------------------------------------------------------------


def rules() -> Iterator[dict[str, Any]]:
    for path in RULES:
        for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]:
            yield from group["rules"]


def alerts() -> set[tuple[str, str]]:
    """(name, severity): an alert may be a message at first and a page when it is certain."""
    return {(rule["alert"], rule["labels"]["severity"]) for rule in rules() if "alert" in rule}


def records() -> set[str]:
    return {rule["record"] for rule in rules() if "record" in rule}


def test_every_alert_is_documented_with_its_severity_and_runbook() -> None:
    table = section(METRICS, "The shipped alerts")
    documented = re.findall(r"^\| \[(\w+)\]\(\.\./config/runbooks/\1\.md\) \| (\w+) \|", table, re.MULTILINE)
    assert sorted(documented) == sorted(alerts())


def test_every_record_of_third_parties_is_documented_and_every_record_that_a_document_names_exists() -> None:
    table = section(METRICS, "The shipped alerts")
    assert {name for name in records() if ":thirdparty_" in name} <= set(RECORD.findall(table))
    changelog = ROOT / "CHANGELOG.md"  # names what is gone
    named = {name for page, text in TEXT.items() if page != changelog for name in RECORD.findall(text)}
    assert named <= records()


# --- commands --------------------------------------------------------------------------------------------------------


def subcommands(command: Command) -> dict[str, argparse.ArgumentParser]:
    actions = command._parser()._actions
    (found,) = [action for action in actions if isinstance(action, argparse._SubParsersAction)]
    return dict(found.choices)


def nested(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """A parser, those of its subcommands, and theirs."""
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for below_ in action.choices.values():
                yield from nested(below_)


def flags(parser: argparse.ArgumentParser) -> dict[str, argparse.Action]:
    return {text: action for action in parser._actions for text in action.option_strings if text.startswith("--")}


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_every_command_is_documented(command: Command) -> None:
    for name in subcommands(command):
        assert f"`{command.name} {name}`" in " ".join(CONFIGURATION.split())


@pytest.mark.parametrize(("command", "column"), [(EXPORTER, 0), (RECEIVER, 1)], ids=["exporter", "receiver"])
def test_every_flag_is_documented_with_its_default(command: Command, column: int) -> None:
    documented = {
        name: cells[column].strip("`") for name, cells in rows(section(CONFIGURATION, "Commands and flags")).items()
    }
    existing = flags(subcommands(command)["run"])
    del existing["--help"]
    defaults = {
        name: {None: "none", False: "off"}.get(action.default, str(action.default)) for name, action in existing.items()
    }
    assert documented == defaults
    assert set(flags(subcommands(command)["check"])) - {"--help"} == {"--config.file", "--web.config.file"}, (
        "as the table says"
    )


OTHERS_FLAGS = {
    *("--build", "--rm", "--profile", "--scale"),  # docker compose
    *("--from-file", "--from-literal"),  # kubectl
    *("--no-deps", "--require-hashes", "--no-build-isolation"),  # pip
    *("--system", "--home-dir", "--shell"),  # useradd
    "--now",  # systemctl
}


def test_every_flag_that_a_document_names_exists() -> None:
    ours = {flag for command in COMMANDS for parser in nested(command._parser()) for flag in flags(parser)}
    for page, text in TEXT.items():
        for flag in set(re.findall(r"(?<![\w-])--[a-z][\w.-]*\w", text)):
            assert flag in ours | OTHERS_FLAGS, f"{page.relative_to(ROOT)}: {flag}"


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def test_every_make_target_is_documented() -> None:
    assert not [target for target in make_targets() if not re.search(rf"\bmake\s(?:[a-z]+\s)*{target}\b", ALL)]


def test_every_make_target_that_a_document_names_exists() -> None:
    for page, text in TEXT.items():
        code = "\n".join(blocks(text, "") + blocks(text, "sh"))
        named = [*re.findall(r"`make\s([a-z\s-]+)", text), *re.findall(r"^make ([a-z-]+)", code, re.MULTILINE)]
        unknown = {target for targets in named for target in targets.split()} - make_targets()
        assert not unknown, page.relative_to(ROOT)


# --- examples --------------------------------------------------------------------------------------------------------

SECRETS = {"orders.url": "postgresql://reader:secret@127.0.0.1/shop", "heartbeat.url": "https://heartbeat.example.com/ping/4711", "platform-chat.url": "slack://TokenA12/TokenB123/TokenC1234/#alerts", "slack.url": "slack://TokenA12/TokenB123/TokenC1234/#alerts", "finance-mail.url": "mailtos://user:password@smtp.example.com?from=a@example.com&to=b@example.com"}  # fmt: skip
"""What a secret's file holds where it must be a target's URL; others hold any URL or word."""


def with_secrets(folder: Path, text: str) -> Path:
    """The text as a file in `folder`, with every secret file that it names, and a folder of runbooks."""
    (folder / "runbooks").mkdir(exist_ok=True)
    (folder / "secrets").mkdir(exist_ok=True)
    for name in re.findall(r"secrets/([\w.-]+)", text):
        other = "json://127.0.0.1" if name.endswith(".url") else "user:password"
        (folder / "secrets" / name).write_text(SECRETS.get(name, other))
    path = folder / "file.yml"
    path.write_text(text, encoding="utf-8")
    return path


def uncommented(text: str) -> str:
    """A shipped file with its examples in force: lines that begin with `#` and two spaces, and the lists they fill."""
    opened = re.sub(r"^( *\w+:) \[\]\n(?=#  )", r"\1\n", text, flags=re.MULTILINE)
    return re.sub(r"^#(?=  )", "", opened, flags=re.MULTILINE)


def shipped(name: str) -> str:
    return (ROOT / "config" / f"{name}.yml").read_text(encoding="utf-8")


def test_the_shipped_files_are_valid_as_they_are(tmp_path: Path) -> None:
    exporter_config.load(with_secrets(tmp_path, shipped("exporter")))
    receiver_config.load(with_secrets(tmp_path, shipped("receiver")))


def test_the_commented_examples_in_exporter_yml_are_valid(tmp_path: Path) -> None:
    config = exporter_config.load(with_secrets(tmp_path, uncommented(shipped("exporter"))))
    assert [provider.name for provider in config.providers] == ["sendgrid", "mailgun"]
    assert [rule.name for rule in config.usage.rules] == ["checkouts"]


def test_the_commented_examples_in_receiver_yml_are_valid(tmp_path: Path) -> None:
    config = receiver_config.load(with_secrets(tmp_path, uncommented(shipped("receiver"))))
    assert [target.name for target in config.targets] == ["platform-chat", "finance-mail"]
    assert [route.continue_ for route in config.routes] == [True, False]


EXAMPLES: list[tuple[str, type[Model]]] = [*FILES, ("A file of signals", Signals)]


def examples() -> list[tuple[str, str]]:
    """(page, YAML) of every example that is a configuration of ours; the one that shows mistakes has its own test."""
    found = []
    for page, text in TEXT.items():
        for block in blocks(text.partition("## What `check` prints")[0], "yaml"):
            keys = set(yaml.safe_load(block) or ())
            if any(keys <= set(model.model_fields) for _, model in EXAMPLES):
                found.append((str(page.relative_to(ROOT)), block))
    return found


@pytest.mark.parametrize("text", [pytest.param(text, id=page) for page, text in examples()])
def test_every_example_of_a_configuration_is_valid(text: str, tmp_path: Path) -> None:
    keys = set(yaml.safe_load(text))
    path = with_secrets(tmp_path, text)
    if keys <= set(ExporterConfig.model_fields):
        exporter_config.load(path)
    elif keys <= set(ReceiverConfig.model_fields):
        receiver_config.load(path)
    elif keys <= set(Signals.model_fields):
        load(path, Signals, lint)
    else:
        load(path, WebConfig)


def test_the_pages_have_an_example_of_each_file() -> None:
    kinds = [
        {name for name, model in EXAMPLES if set(yaml.safe_load(text)) <= set(model.model_fields)}
        for _, text in examples()
    ]
    assert {name for kind in kinds for name in kind} == {name for name, _ in EXAMPLES}


def test_check_prints_what_the_page_shows(tmp_path: Path) -> None:
    part = section(CONFIGURATION, "What `check` prints")
    good, bad = blocks(part, "console")
    (mistakes,) = blocks(part, "yaml")
    for shown, service, text in ((good, "receiver", shipped("receiver")), (bad, "exporter", mistakes)):
        (tmp_path / "config").mkdir(exist_ok=True)
        if shown == good:
            with_secrets(tmp_path / "config", text)
        else:
            (tmp_path / "config" / "secrets").rename(tmp_path / "gone")
        (tmp_path / "config" / f"{service}.yml").write_text(text)
        asked, _, printed = shown.partition("\n")
        command = asked.removeprefix("$ .venv/bin/python ").split()
        done = subprocess.run([sys.executable, *command], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert (done.stdout + done.stderr, done.returncode) == (printed, 0 if shown == good else 1)


# --- links and hosts -------------------------------------------------------------------------------------------------


def without_code(text: str) -> str:
    return re.sub(r"^ *```.*?^ *```", "", text, flags=re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """The fragments of a page's headings, as code hosts make them."""
    headings = re.findall(r"^#+ (.*)$", without_code(page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


LINKED = [*PAGES, *sorted((ROOT / "config" / "runbooks").glob("*.md"))]


@pytest.mark.parametrize("page", LINKED, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", without_code(page.read_text(encoding="utf-8"))):
        if re.match(r"https?:|mailto:", link):
            continue
        path, _, fragment = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        assert not fragment or fragment in anchors(target), link


HOSTS = re.compile(
    rb"pypi\.org|pythonhosted\.org|npmjs\.(?:org|com)|yarnpkg\.com|[\w.-]+\.debian\.org|(?:repo|repo1|central)\.maven"
    rb"|maven\.org|sonatype\.(?:org|com)|proxy\.golang\.org|crates\.io|rubygems\.org|(?:docker|ghcr|quay|gcr)\.io/",
)


def files_in_git() -> list[Path]:
    """What is in the repository, and what would be after `git add`."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode().split("\0")
    return [ROOT / name for name in names if name and (ROOT / name).is_file()]


def test_no_file_names_a_package_registry() -> None:
    # where packages come from is the business of the machine that installs them: mirrors differ, and lock files hold hashes
    found = {
        str(path.relative_to(ROOT)): match.group()
        for path in files_in_git()
        if (match := HOSTS.search(path.read_bytes()))
    }
    assert found == {}
