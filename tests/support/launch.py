"""`make run`: starts everything under honcho, tells the story, and leaves no process behind.

python -m tests.support.launch --binaries FOLDER [--exporter-config FILE] [--receiver-config FILE] [--NAME-port N]
"""

import argparse
import os
import shlex
import shutil
import signal
import sys
from dataclasses import fields
from pathlib import Path
from typing import TextIO

from honcho.manager import Manager
from honcho.printer import Message, Printer

from tests.support.stack import ROOT, Ports, PortTaken, Stack

STORY = "story"


class StoryPrinter(Printer):  # type: ignore[misc]  # honcho ships no types
    """The story goes to the terminal as it is; what the processes log goes to a file."""

    def __init__(self, log: TextIO) -> None:
        super().__init__(output=log)

    def write(self, message: Message) -> None:
        if message.name == STORY and isinstance(message.data, bytes):
            sys.stdout.write(message.data.decode(errors="replace"))
            sys.stdout.flush()
        else:
            super().write(message)


def main() -> int:
    arguments = _arguments()
    ports = Ports(**{field.name: getattr(arguments, f"{field.name}_port") for field in fields(Ports)})
    own = arguments.exporter_config is not None or arguments.receiver_config is not None
    stack = Stack(
        folder=ROOT / ".run" / ("own" if own else "sandbox"),
        binaries=arguments.binaries.resolve(),
        ports=ports,
        exporter_config=arguments.exporter_config,
        receiver_config=arguments.receiver_config,
        links_are_open=True,
    )
    try:
        ports.check()
    except PortTaken as error:
        print(error, file=sys.stderr)
        return 1
    if stack.staged:
        shutil.rmtree(stack.folder / "data", ignore_errors=True)  # the story begins anew each time
    stack.prepare()
    return _run(stack)


def _run(stack: Stack) -> int:
    log_file = stack.folder / "stack.log"
    with log_file.open("w", encoding="utf-8") as log:
        manager = Manager(StoryPrinter(log))
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        for name, command in stack.commands().items():
            manager.add_process(name, f"exec {shlex.join(command)}", env=environment, cwd=str(ROOT))
        story = [sys.executable, "-m", "tests.support.story", *_story_arguments(stack), "--log", str(log_file)]
        if sys.stdout.isatty():
            environment |= {"FORCE_COLOR": "1", "COLUMNS": str(shutil.get_terminal_size().columns)}
        manager.add_process(STORY, f"exec {shlex.join(story)}", env=environment, cwd=str(ROOT))
        # honcho minds SIGINT and SIGTERM; a closed terminal must not leave its children behind either
        signal.signal(signal.SIGHUP, lambda *_: os.kill(os.getpid(), signal.SIGTERM))
        manager.loop()
    stopped_by_us = manager.returncode in (130, 143)
    print(f"\nStopped; no process is left. The logs: {log_file}" if stopped_by_us else _last_words(log_file))
    return 0 if stopped_by_us else 1


def _story_arguments(stack: Stack) -> list[str]:
    given = [part for name, port in vars(stack.ports).items() for part in (f"--{name}-port", str(port))]
    for service in ("exporter", "receiver"):
        token = stack.token_of(service)
        given += [f"--{service}-token-file", str(token)] if token is not None else []
    given += [] if stack.sandboxed else ["--no-sandbox"]
    return given + ([] if stack.staged else ["--watch-only"])


def _last_words(log_file: Path) -> str:
    lines = log_file.read_text(encoding="utf-8").splitlines()
    ended = next((line for line in lines if "system" in line and " stopped (rc=" in line), "")
    name = ended.partition("| ")[2].partition(" ")[0]
    own = [line for line in lines if f" {name} " in line.partition("|")[0]][-12:]
    return "\n".join([f"The {name} ended by itself, so the others were stopped:", *own, f"All of it: {log_file}"])


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--binaries", type=Path, required=True, help="the folder that holds Prometheus and Alertmanager"
    )
    parser.add_argument("--exporter-config", type=Path, help="your own exporter.yml; the sandbox then stays out")
    parser.add_argument("--receiver-config", type=Path, help="your own receiver.yml; the sandbox then stays out")
    for field in fields(Ports):
        parser.add_argument(f"--{field.name}-port", type=int, default=field.default)
    arguments = parser.parse_args()
    for name in ("exporter", "receiver"):
        path: Path | None = getattr(arguments, f"{name}_config")
        if path is not None:
            try:
                path.open("rb").close()
            except OSError as error:
                parser.exit(1, f"{name.upper()}_CONFIG: {path}: {error.strerror}\n")
            setattr(arguments, f"{name}_config", path.resolve())
    return arguments


if __name__ == "__main__":
    sys.exit(main())
