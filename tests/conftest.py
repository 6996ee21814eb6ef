"""What every test may use."""

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def payloads() -> Path:
    """Bodies and headers captured from Alertmanager 0.25 (deb12), 0.28 (trixie) and 0.33 (sid)."""
    return ROOT / "tests" / "payloads"
