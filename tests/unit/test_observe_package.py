"""The client as a distribution: what its README says, and what a wheel of it holds."""

import re
import subprocess
import sys
import zipfile
from dataclasses import fields
from pathlib import Path

import pytest

from tocsin_observe import Observer, Statistics
from tocsin_observe.redaction import safe_headers

CLIENT = Path(__file__).resolve().parents[2] / "clients" / "python"
README = (CLIENT / "README.md").read_text(encoding="utf-8")


def test_the_readme_explains_every_count() -> None:
    assert re.findall(r"^\| `(\w+)` \|", README, re.MULTILINE) == [field.name for field in fields(Statistics)]


def test_the_readme_names_every_header_that_is_sent() -> None:
    (named,) = re.findall(r"- of the response's headers (.*?);\n", README, re.DOTALL)
    headers = [name.replace("*", "-limit") for name in re.findall(r"`([^`]+)`", named)]
    assert set(safe_headers(dict.fromkeys(headers, "x"))) == set(headers)
    assert len(headers) == 9


def test_the_readmes_snippets_run(caplog: pytest.LogCaptureFixture) -> None:
    (first, *others) = re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    names: dict[str, object] = {}
    exec(first, names)
    observer = names["observer"]
    assert isinstance(observer, Observer)
    # nothing of a test leaves this machine
    with Observer(None) as names["observer"]:
        for snippet in others:
            exec(snippet, names)
    observer.close()
    assert [record for record in caplog.records if record.levelname == "WARNING"] == []


def test_a_wheel_holds_the_client_alone(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=CLIENT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (metadata,) = (archive.read(name).decode() for name in names if name.endswith("METADATA"))
    assert "tocsin_observe/py.typed" in names
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"tocsin_observe"}
    assert "Requires-Dist" not in metadata
    program = f"import sys; sys.path = [{str(wheel)!r}, *(part for part in sys.path if 'site-packages' not in part)]\n"
    program += "from tocsin_observe import Observer; Observer(None).observe('mailgun', status=401)"
    subprocess.run([sys.executable, "-I", "-c", program], check=True, cwd=tmp_path)
