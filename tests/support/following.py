"""`python -m tests.support.following FOLDER LEDGER FRAMING`: follows the files `app.log*` of a folder until it is
killed. FRAMING is `lines`, or `joined` for entries that begin with a digit."""

import asyncio
import sys
import time
from pathlib import Path

import structlog

from exporter.usage.logs.reader import log_reader
from exporter.usage.logs.settings import LogSet
from exporter.usage.sources.files import FileSettings, FileSource
from exporter.usage.sources.files.piece import Framing, WholeLines
from tests.support.recording import RecordingIntake

JOINED = log_reader(
    LogSet.model_validate(
        {"name": "joined", "multiline": {"begins": r"^\d"}, "patterns": [{"event": "any", "pattern": "x"}]}
    )
)


FRAMINGS: dict[str, Framing] = {"lines": WholeLines(), "joined": JOINED}


def main(folder: str, ledger: str, framing: str) -> None:
    """Runs one source, with its intake in the SQLite file `ledger`."""
    data = {"name": "app", "paths": ["app.log*"], "start": "beginning", "interval": "50ms"}
    settings = FileSettings.model_validate(data, context={"base": Path(folder)})
    intake = RecordingIntake(ledger)
    asyncio.run(FileSource(settings, intake, FRAMINGS[framing], intake, time.monotonic, structlog.get_logger()).run())


if __name__ == "__main__":
    main(*sys.argv[1:])
