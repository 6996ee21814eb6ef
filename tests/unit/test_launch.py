"""`make run` with a configuration of one's own."""

import sys
from pathlib import Path

import pytest

from tests.support import launch


@pytest.mark.parametrize("service", ["exporter", "receiver"])
def test_a_configuration_that_isnt_there_is_named_in_one_line(
    service: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "nope.yml"
    monkeypatch.setattr(sys, "argv", ["launch", "--binaries", str(tmp_path), f"--{service}-config", str(path)])
    with pytest.raises(SystemExit) as ended:
        launch.main()
    assert ended.value.code == 1
    assert capsys.readouterr().err == f"{service.upper()}_CONFIG: {path}: No such file or directory\n"
