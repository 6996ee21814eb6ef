"""What every test may use."""

from pathlib import Path

import pytest
from hypothesis import settings

# machines are shared: how long an example took says nothing
settings.register_profile("shared", deadline=None)
settings.load_profile("shared")

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def payloads() -> Path:
    """Bodies and headers captured from Alertmanager 0.25 (deb12), 0.28 (trixie) and 0.33 (sid)."""
    return ROOT / "tests" / "payloads"
