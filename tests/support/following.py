"""`python -m tests.support.following FOLDER LEDGER`: follows the files `app.log*` of a folder until it is killed."""

import asyncio
import sys
import time
from pathlib import Path

import structlog

from exporter.usage.sources.files import FileSettings, FileSource
from tests.support.recording import RecordingIntake


def main(folder: str, ledger: str) -> None:
    """Runs one source, with its intake in the SQLite file `ledger`."""
    data = {"name": "app", "paths": ["app.log*"], "start": "beginning", "interval": "50ms"}
    settings = FileSettings.model_validate(data, context={"base": Path(folder)})
    intake = RecordingIntake(ledger)
    asyncio.run(FileSource(settings, intake, intake, time.monotonic, structlog.get_logger()).run())


if __name__ == "__main__":
    main(*sys.argv[1:])
