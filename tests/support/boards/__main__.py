"""Writes the dashboards."""

from tests.support.boards.writing import BOARDS, path, text

for board in BOARDS:
    path(board).write_text(text(board), encoding="utf-8")
    print(f"wrote {path(board)}")
