"""Programs of Debian's packages that run from a private folder."""

import subprocess
from pathlib import Path

from tests.support.binaries import _relocated


def _program(folder: Path, text: str) -> Path:
    program = folder / "program"
    program.write_text(f"#!/bin/sh\n{text}\n")
    program.chmod(0o755)
    return program


def _run(program: Path, folder: Path) -> str:
    return subprocess.run([program], cwd=folder, capture_output=True, text=True, check=True).stdout.strip()


def test_a_program_that_opens_nothing_of_its_package_takes_the_callers_relative_paths(tmp_path: Path) -> None:
    caller = tmp_path / "caller"
    caller.mkdir()
    assert _run(_relocated(_program(tmp_path, "pwd"), tmp_path / "root"), caller) == str(caller)


def test_a_program_that_opens_its_package_finds_it_where_it_was_unpacked(tmp_path: Path) -> None:
    page = tmp_path / "root/usr/share/prometheus/page"
    page.parent.mkdir(parents=True)
    page.write_text("here")
    program = _program(tmp_path, "cat /usr/share/prometheus/page")
    assert _run(_relocated(program, tmp_path / "root"), tmp_path) == "here"
