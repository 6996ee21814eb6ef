"""How long a look for `/probe` may take."""

import pytest

from exporter.config import Provider
from exporter.providers.report import time_limit

PROVIDER = Provider.model_validate({"name": "mail", "url": "http://x/", "timeout": "5s"})

LIMITS = [
    ("nobody says how long Prometheus waits: the provider's timeout", None, 5.0),
    ("Prometheus waits longer than the provider's timeout: that timeout", "30", 5.0),
    ("Prometheus waits for less: half a second less than it waits", "3", 2.5),
    ("Prometheus waits for a moment: half of it", "0.4", 0.2),
]


@pytest.mark.parametrize(("waits", "expected"), [row[1:] for row in LIMITS], ids=[row[0] for row in LIMITS])
def test_the_time_for_a_look(waits: str | None, expected: float) -> None:
    assert time_limit(PROVIDER, waits) == pytest.approx(expected)


@pytest.mark.parametrize("waits", ["soon", "", "0", "-1", "nan"])
def test_what_is_no_time_is_refused(waits: str) -> None:
    with pytest.raises(ValueError, match="X-Prometheus-Scrape-Timeout-Seconds is "):
        time_limit(PROVIDER, waits)
