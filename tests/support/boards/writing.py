"""The boards and their files."""

import json
from pathlib import Path

from tests.support.boards import customers, delivery, ingestion, signals, slo, thirdparties, tocsin, usage
from tests.support.boards.board import Board
from tests.support.stack import ROOT

FOLDER = ROOT / "grafana" / "dashboards"
BOARDS = [each.BOARD for each in (signals, customers, slo, thirdparties, usage, ingestion, delivery, tocsin)]


def path(board: Board) -> Path:
    """Where Grafana's provisioning finds it."""
    return FOLDER / f"{board.name}.json"


def text(board: Board) -> str:
    """What its file holds."""
    return json.dumps(board.written(), indent=2, ensure_ascii=False) + "\n"
