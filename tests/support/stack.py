"""The four processes and the sandbox: their addresses, their configuration, their command lines.

`config/` is written for docker compose. A local run takes the same rules, routes and runbooks and changes only what
`local_prometheus` and `local_alertmanager` name: addresses, secrets' places and intervals.
"""

import secrets
import socket
import string
import sys
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import yaml

from tests.support.ports import free_ports
from tests.support.sandbox import SANDBOX_KEY

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / "config"
TEMPLATES = Path(__file__).parent / "config"


class PortTaken(Exception):
    """Somebody else listens on a port that we need; the message names it and the way to change it."""


@dataclass(frozen=True)
class Ports:
    """A port on 127.0.0.1 for each process."""

    exporter: int = 9970
    receiver: int = 9971
    sandbox: int = 9972
    prometheus: int = 9090
    alertmanager: int = 9093

    @classmethod
    def free(cls) -> "Ports":
        """Ports that nobody listens on now, nor is given by chance before our processes do (see `free_ports`)."""
        return cls(*free_ports(len(fields(cls))))

    def check(self) -> None:
        """Raises PortTaken for the first port that can't be had."""
        for name, port in vars(self).items():
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind(("127.0.0.1", port))
                except OSError as error:
                    variable = f"{name.upper()}_PORT"
                    raise PortTaken(
                        f"port {port}, wanted for the {name}, is taken ({error.strerror}). "
                        f"Choose another: make run {variable}={port + 10000}"
                    ) from None

    def url(self, name: str) -> str:
        """`http://127.0.0.1:PORT` of a process."""
        return f"http://127.0.0.1:{getattr(self, name)}"


@dataclass(frozen=True)
class Pace:
    """How fast a local run goes, as Prometheus writes durations."""

    interval: str = "2s"
    """between scrapes, and between evaluations"""
    group_wait: str | None = None
    group_interval: str | None = None


@dataclass(frozen=True)
class Stack:
    """Everything a run needs, under one folder. `binaries` holds Prometheus and Alertmanager.

    `exporter_config` and `receiver_config` are a user's own; None takes the sandbox's.
    """

    folder: Path
    binaries: Path
    ports: Ports = Ports()
    pace: Pace = Pace()
    exporter_config: Path | None = None
    receiver_config: Path | None = None
    links_are_open: bool = False
    """The receiver asks nobody for a token, so that the links in a message open in a browser. Only on loopback."""

    @property
    def sandboxed(self) -> bool:
        """Whether the sandbox takes part: it is the vendor, or the inbox, of whoever brings only one configuration."""
        return self.exporter_config is None or self.receiver_config is None

    @property
    def staged(self) -> bool:
        """Whether the story acts by itself: with anybody's own configuration it only watches."""
        return self.exporter_config is None and self.receiver_config is None

    def token_of(self, service: str) -> Path | None:
        """The file of the token that a service asks for; None when it asks for none."""
        own = self.exporter_config if service == "exporter" else self.receiver_config
        if own is None:
            return self.token_file
        named = ((_yaml(own) or {}).get("auth") or {}).get("bearer_token_files") or []
        return own.parent / named[0] if named else None

    @property
    def token_file(self) -> Path:
        """The token that Prometheus, Alertmanager and the shop show the two services."""
        return self.folder / "secrets" / "tocsin.token"

    def prepare(self) -> None:
        """Writes the configuration of all processes; keeps data and secrets of an earlier run."""
        for part in ("secrets", "targets", "data"):
            (self.folder / part).mkdir(parents=True, exist_ok=True)
        if not self.token_file.exists():
            self.token_file.write_text(secrets.token_urlsafe(32))
        (self.folder / "secrets" / "sandbox.key").write_text(SANDBOX_KEY)
        (self.folder / "secrets" / "pagerduty.key").write_text("0" * 32)
        for job in ("prometheus", "alertmanager", "exporter", "receiver"):
            target = [{"targets": [f"127.0.0.1:{getattr(self.ports, job)}"]}]
            (self.folder / "targets" / f"{job}.yml").write_text(yaml.safe_dump(target))
        (self.folder / "targets" / "node.yml").write_text("[]\n")
        tokens = {service: self.token_of(service) for service in ("exporter", "receiver")}
        prometheus = local_prometheus(_yaml(CONFIG / "prometheus.yml"), tokens, self.pace)
        alertmanager = local_alertmanager(
            _yaml(CONFIG / "alertmanager.yml"), tokens, self.folder, self.ports, self.pace
        )
        (self.folder / "prometheus.yml").write_text(yaml.safe_dump(prometheus, sort_keys=False))
        (self.folder / "alertmanager.yml").write_text(yaml.safe_dump(alertmanager, sort_keys=False))
        receiver_auth = "{}" if self.links_are_open else "{bearer_token_files: [secrets/tocsin.token]}"
        for name in ("exporter", "receiver"):
            template = string.Template((TEMPLATES / f"{name}.yml").read_text(encoding="utf-8"))
            text = template.substitute(vars(self.ports), runbooks=CONFIG / "runbooks", receiver_auth=receiver_auth)
            (self.folder / f"{name}.yml").write_text(text, encoding="utf-8")

    def commands(self) -> dict[str, list[str]]:
        """The command line of each process, by name."""
        commands = {
            "exporter": self._service("exporter", self.exporter_config),
            "receiver": self._service("receiver", self.receiver_config),
            "alertmanager": [
                str(self.binaries / "alertmanager"),
                f"--config.file={self.folder / 'alertmanager.yml'}",
                f"--storage.path={self.folder / 'data' / 'alertmanager'}",
                f"--web.listen-address=127.0.0.1:{self.ports.alertmanager}",
                f"--web.external-url={self.ports.url('alertmanager')}",
                "--cluster.listen-address=",
            ],
            "prometheus": [
                str(self.binaries / "prometheus"),
                f"--config.file={self.folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={self.folder / 'data' / 'prometheus'}",
                f"--web.listen-address=127.0.0.1:{self.ports.prometheus}",
                f"--web.external-url={self.ports.url('prometheus')}",
                "--web.enable-lifecycle",
            ],
        }
        if self.sandboxed:
            commands["sandbox"] = [
                *(sys.executable, "-m", "tests.support.sandbox"),
                *("--port", str(self.ports.sandbox)),
                *("--exporter", self.ports.url("exporter")),
                *("--token-file", str(self.token_file)),
            ]
        return commands

    def _service(self, name: str, config: Path | None) -> list[str]:
        return [
            *(sys.executable, "-m", name, "run"),
            f"--config.file={config or self.folder / f'{name}.yml'}",
            f"--storage.path={self.folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{getattr(self.ports, name)}",
            f"--web.external-url={self.ports.url(name)}",
        ]


Tokens = Mapping[str, Path | None]


def local_prometheus(config: Mapping[str, Any], tokens: Tokens, pace: Pace) -> dict[str, Any]:
    """`config/prometheus.yml` for one machine: our own targets and secrets, the shipped rules, a faster pace."""
    local = {**config, "global": {**config["global"], "scrape_interval": pace.interval}}
    local["global"]["evaluation_interval"] = pace.interval
    local["rule_files"] = [str(CONFIG / rule) for rule in config["rule_files"]]
    local["scrape_configs"] = [
        _with_targets(_with_token(job, tokens.get(job["job_name"].removeprefix("tocsin-"))))
        for job in config["scrape_configs"]
    ]
    return local


def _with_targets(job: dict[str, Any]) -> dict[str, Any]:
    """The job with the targets of a file: nobody here resolves the names of docker compose."""
    if job.pop("dns_sd_configs", None):
        job["file_sd_configs"] = [{"files": [f"targets/{job['job_name'].removeprefix('tocsin-')}.yml"]}]
    return job


def local_alertmanager(
    config: Mapping[str, Any], tokens: Tokens, folder: Path, ports: Ports, pace: Pace
) -> dict[str, Any]:
    """`config/alertmanager.yml` for one machine: the receiver's address, and the sandbox in the pager's place."""
    receivers = []
    for receiver in config["receivers"]:
        local = dict(receiver)
        for hook in local.get("webhook_configs", []):
            hook["url"] = hook["url"].replace("http://receiver:9971", ports.url("receiver"))
            hook["http_config"] = _with_token(hook["http_config"], tokens["receiver"])
        for pager in local.get("pagerduty_configs", []):
            pager["url"] = f"{ports.url('sandbox')}/v2/enqueue"
            pager["routing_key_file"] = str(folder / "secrets" / "pagerduty.key")
        receivers.append(local)
    route = dict(config["route"])
    for name in ("group_wait", "group_interval"):
        value = getattr(pace, name)
        if value is not None:
            route[name] = value
    return {**config, "route": route, "receivers": receivers}


def _with_token(part: Mapping[str, Any], token: Path | None) -> dict[str, Any]:
    """`part` with the token's place on this machine, or without one where nobody asks for it."""
    rest = {name: value for name, value in part.items() if name != "authorization"}
    if "authorization" in part and token is not None:
        rest["authorization"] = {"credentials_file": str(token.resolve())}
    return rest


def _yaml(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))
