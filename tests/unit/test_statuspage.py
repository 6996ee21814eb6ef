import pytest

from exporter.providers.answer import Exchange
from exporter.providers.statuspage import addresses, incident

PAGES = [
    ("Statuspage: all is well", 200, '{"page": {"id": "x"}, "status": {"indicator": "none", "description": "All Systems Operational"}}', False),
    ("Statuspage: a minor incident", 200, '{"status": {"indicator": "minor"}}', True),
    ("Statuspage: a critical incident", 200, '{"status": {"indicator": "critical"}}', True),
    ("Rootly: maintenance", 200, '{"status": {"indicator": "maintenance"}}', True),
    ("Better Stack: operational", 200, '{"data": {"attributes": {"aggregate_state": "operational"}}}', False),
    ("Better Stack: degraded", 200, '{"data": {"attributes": {"aggregate_state": "degraded"}}}', True),
    ("Instatus: up", 200, '{"page": {"name": "x", "status": "UP"}}', False),
    ("Instatus: trouble", 200, '{"page": {"status": "HASISSUES"}}', True),
    ("a word that is not known", 200, '{"status": {"indicator": "sunny"}}', None),
    ("a page for people", 200, "<html>All systems operational</html>", None),
    ("not there", 404, '{"status": {"indicator": "none"}}', None),
    ("brackets", 200, "[" * 100_000, None),
]  # fmt: skip


@pytest.mark.parametrize(("status", "body", "expected"), [row[1:] for row in PAGES], ids=[row[0] for row in PAGES])
def test_a_status_page_is_read(status: int, body: str, expected: bool | None) -> None:
    assert incident(Exchange(status, body.encode())) is expected


def test_the_addresses_stand_at_the_pages_root() -> None:
    assert addresses("https://status.x.example/")[0] == "https://status.x.example/api/v2/status.json"
    assert addresses("https://status.x.example")[1] == "https://status.x.example/index.json"
