"""The command `tocsin-exporter`."""

import sys
from pathlib import Path

from exporter import config
from exporter.app import run
from toolkit.cli import Command

COMMAND = Command(
    name="tocsin-exporter",
    about="Turns third-party API health and product usage into Prometheus metrics, and says why a vendor stopped.",
    port=9970,
    run=run,
    check=lambda path: config.summary(config.load(Path(path))),
)


def main() -> None:
    """Runs the command line and exits."""
    sys.exit(COMMAND.main())


if __name__ == "__main__":
    main()
