"""What of a request a reason must not repeat: every row is a provider, and values that are and are not held back."""

from pathlib import Path
from typing import Any

import pytest

from exporter.config import Provider
from exporter.providers.concealed import secrets_of

ROWS: list[tuple[str, dict[str, Any], set[str], set[str]]] = [
    ("a secret, whole and in parts", {"auth": {"secret_file": "pair"}}, {"me:s3cret", "me", "s3cret"}, set()),
    (
        "a header, with and without its scheme",
        {"headers": {"X": "Token s3cret"}},
        {"Token s3cret", "s3cret"},
        {"Token"},
    ),
    ("no header that says what we can read", {"headers": {"Accept": "a/b"}}, set(), {"a/b"}),
    ("a value of the query, decoded", {"url": "https://x.example/?k=s3%20cret"}, {"s3 cret"}, set()),
    ("a value of a placeholder", {"values": {"token": "s3cret"}}, {"s3cret"}, set()),
    ("nothing of a secret that can't be read any more", {"auth": {"secret_file": "gone"}}, set(), {"me:s3cret"}),
]


@pytest.mark.parametrize(("more", "held", "free"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_what_is_sent_is_held_back(tmp_path: Path, more: dict[str, Any], held: set[str], free: set[str]) -> None:
    for name in ("pair", "gone"):
        (tmp_path / name).write_text("me:s3cret")
    given = {"name": "a", "url": "https://x.example/", **more}
    provider = Provider.model_validate(given, context={"base": tmp_path})
    (tmp_path / "gone").unlink()
    found = set(secrets_of(provider))
    assert held <= found
    assert not free & found
