"""The command `tocsin-receiver`."""

import sys
import time
from pathlib import Path

from receiver import config
from receiver.app import run
from receiver.commands.drill import DRILL
from receiver.commands.explain import EXPLAIN, REPORT
from receiver.commands.incidents import INCIDENTS
from receiver.commands.oncall import ONCALL
from receiver.commands.replay import REPLAY
from toolkit.cli import Command

COMMAND = Command(
    name="tocsin-receiver",
    about="Takes Alertmanager's webhooks, groups and enriches the alerts, and tells the right people once.",
    port=9971,
    run=run,
    check=lambda path: config.summary(config.load(Path(path)), time.time()),
    extras=(INCIDENTS, EXPLAIN, REPORT, DRILL, REPLAY, ONCALL),
)


def main() -> None:
    """Runs the command line and exits."""
    sys.exit(COMMAND.main())


if __name__ == "__main__":
    main()
