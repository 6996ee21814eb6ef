"""The flags both commands share, spelled as Prometheus spells them, and the way `check` reports."""

import argparse
import os
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import URL

from toolkit import VERSION
from toolkit.configfile import ConfigError, load
from toolkit.httpserver import Listen, WebConfig
from toolkit.logs import FORMATS, LEVELS
from toolkit.service import AddressTaken
from toolkit.storage import StorageUnavailable, storage_url


@dataclass(frozen=True)
class Options:
    """What the command line said."""

    config_file: Path
    listen: Listen
    web: WebConfig
    external_url: str
    insecure: bool
    storage: URL
    log_level: str
    log_format: str


def add_config_file(parser: argparse.ArgumentParser, service: str) -> None:
    """The flag that names the configuration, `config_file` of what is parsed; `service` is "exporter" or "receiver"."""
    parser.add_argument(
        "--config.file",
        dest="config_file",
        type=Path,
        default=Path(f"config/{service}.yml"),
        metavar="FILE",
        help="the configuration (default: %(default)s)",
    )


@dataclass(frozen=True)
class Extra:
    """A command that only one of the services has: `add` declares its arguments, `run` returns the exit status."""

    name: str
    about: str
    add: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]


@dataclass(frozen=True)
class Command:
    """One service's command line: names, defaults and what `run` and `check` do."""

    name: str
    about: str
    port: int
    run: Callable[[Options], int]
    check: Callable[[Path], str]
    """Loads the configuration at a path and says in one line what it holds; raises ConfigError."""
    extras: tuple[Extra, ...] = ()

    def main(self, argv: list[str] | None = None) -> int:
        """Runs the command line `argv` (default: the process's) and returns the exit status."""
        arguments = self._parser().parse_args(argv)
        try:
            status = self._run(arguments)
            sys.stdout.flush()
        except BrokenPipeError:
            # whoever read the output has had enough of it (`| head`); the rest goes nowhere
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        except ConfigError as error:
            print(error, file=sys.stderr)
        except StorageUnavailable as error:
            print(f"{self.name}: {error}{f': {error.detail}' if error.detail else ''}", file=sys.stderr)
        except (ValueError, OSError, AddressTaken) as error:
            print(f"{self.name}: {error}", file=sys.stderr)
        else:
            return status
        return 1

    def _run(self, arguments: argparse.Namespace) -> int:
        if arguments.command == "check":
            _web_config(arguments)
            print(f"{arguments.config_file}: {self.check(arguments.config_file)}")
            return 0
        for extra in self.extras:
            if arguments.command == extra.name:
                return extra.run(arguments)
        return self.run(self._options(arguments))

    def _parser(self) -> argparse.ArgumentParser:
        parser = argparse.ArgumentParser(prog=self.name, description=self.about, allow_abbrev=False)
        parser.add_argument("--version", action="version", version=f"%(prog)s {VERSION}")
        commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
        short = self.name.removeprefix("tocsin-")
        run = commands.add_parser("run", help=f"start the {short}", allow_abbrev=False)
        check = commands.add_parser(
            "check", help="read the configuration, print every problem, exit 1 if there is one", allow_abbrev=False
        )
        for sub in (run, check):
            add_config_file(sub, short)
            sub.add_argument(
                "--web.config.file",
                dest="web.config.file",
                metavar="FILE",
                help="TLS and basic auth, in the format of Prometheus's web configuration",
            )
        self._add_run_flags(run)
        for extra in self.extras:
            extra.add(commands.add_parser(extra.name, help=extra.about, description=extra.about, allow_abbrev=False))
        return parser

    def _add_run_flags(self, run: argparse.ArgumentParser) -> None:
        def flag(name: str, default: str | None, metavar: str, about: str) -> None:
            run.add_argument(name, dest=name.lstrip("-"), default=default, metavar=metavar, help=about)

        address = f"127.0.0.1:{self.port}"
        flag("--web.listen-address", address, "HOST:PORT", "where to listen (default: %(default)s)")
        flag(
            "--web.external-url",
            None,
            "URL",
            "how people reach this service; used in links (default: the listen address)",
        )
        run.add_argument(
            "--web.insecure",
            dest="web.insecure",
            action="store_true",
            help="listen on a non-loopback address though nobody is asked who they are",
        )
        flag("--storage.path", "data", "FOLDER", "where the SQLite file is kept (default: %(default)s)")
        flag(
            "--storage.url",
            None,
            "URL",
            "the database, instead of a file in --storage.path: sqlite:////path/to/file; the receiver's may be "
            "postgresql://user@host/database",
        )
        for name, choices, default in (("--log.level", LEVELS, "info"), ("--log.format", FORMATS, "logfmt")):
            run.add_argument(
                name, dest=name.lstrip("-"), choices=choices, default=default, help="(default: %(default)s)"
            )

    def _options(self, arguments: argparse.Namespace) -> Options:
        given = vars(arguments)
        listen = Listen.parse(given["web.listen-address"])
        web = _web_config(arguments)
        external = given["web.external-url"] or _address(listen, tls=web.tls_server_config is not None)
        return Options(
            config_file=given["config_file"],
            listen=listen,
            web=web,
            external_url=external.rstrip("/"),
            insecure=given["web.insecure"],
            storage=storage_url(
                given["storage.url"], Path(given["storage.path"]), f"{self.name.removeprefix('tocsin-')}.db"
            ),
            log_level=given["log.level"],
            log_format=given["log.format"],
        )


def _web_config(arguments: argparse.Namespace) -> WebConfig:
    file = vars(arguments)["web.config.file"]
    return load(Path(file), WebConfig) if file else WebConfig()


def _address(listen: Listen, tls: bool) -> str:
    """The URL of a listen address as people can open it."""
    host = socket.getfqdn() if listen.host in ("0.0.0.0", "::") else listen.host  # noqa: S104 - compared, not bound
    host = f"[{host}]" if ":" in host else host
    return f"{'https' if tls else 'http'}://{host}:{listen.port}"
