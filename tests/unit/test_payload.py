"""Alertmanager's webhook bodies, as captured from three versions, and whatever else may arrive."""

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from receiver.payload import PayloadError, parse

PAYLOADS = Path(__file__).resolve().parents[1] / "payloads"
BODIES = sorted(path for path in PAYLOADS.glob("*.json") if not path.name.endswith(".http.json"))
REQUESTS = sorted(PAYLOADS.glob("*.http.json"))


@pytest.mark.parametrize("path", BODIES, ids=[path.stem for path in BODIES])
def test_a_captured_body_is_read(path: Path) -> None:
    raw = json.loads(path.read_text())
    notification = parse(path.read_bytes())
    assert len(notification.alerts) == len(raw["alerts"])
    assert notification.truncated == raw["truncatedAlerts"]
    for alert, given_alert in zip(notification.alerts, raw["alerts"], strict=True):
        assert alert.labels == given_alert["labels"]
        assert alert.status == given_alert["status"]
        assert (alert.ends_at is None) == (alert.status == "firing")


@pytest.mark.parametrize("path", REQUESTS, ids=[path.stem for path in REQUESTS])
def test_a_captured_request_is_read(path: Path) -> None:
    request = json.loads(path.read_text())
    assert parse(request["raw_body"].encode()).alerts


ALERT = {
    "status": "firing",
    "labels": {"alertname": "A"},
    "annotations": {},
    "startsAt": "2026-11-20T21:54:12.853Z",
    "endsAt": "0001-01-01T00:00:00Z",
    "generatorURL": "",
    "fingerprint": "be0385c401e25861",
}


def body(alert: dict[str, Any] | None = None, **fields: Any) -> bytes:
    return json.dumps({"version": "4", "alerts": [{**ALERT, **(alert or {})}], **fields}).encode()


GOOD = [
    ("an alert without a name", body({"labels": {}})),
    ("a key we have never heard of", body(notification_reason="new alerts added", routeLabels={"a": "b"})),
    ("no optional key at all", json.dumps({"version": "4", "alerts": [
        {"status": "firing", "labels": {}, "startsAt": "2026-01-01T00:00:00Z", "fingerprint": "f"}]}).encode()),
    ("no alerts", json.dumps({"version": "4", "alerts": []}).encode()),
    ("nine fractional digits", body({"startsAt": "2026-11-20T21:54:12.853123456Z"})),
]  # fmt: skip


@pytest.mark.parametrize("raw", [row[1] for row in GOOD], ids=[row[0] for row in GOOD])
def test_what_a_version_may_leave_out_or_add_is_accepted(raw: bytes) -> None:
    parse(raw)


BAD = [
    ("nothing", b"", "malformed", "not an Alertmanager webhook body"),
    ("no JSON", b"hello", "malformed", "not an Alertmanager webhook body"),
    ("another JSON", b"[]", "malformed", "not an Alertmanager webhook body"),
    ("no version", b"{}", "wrong_version", "version is ''"),
    ("version 3", b'{"version": "3"}', "wrong_version", "version is '3'"),
    ("a body replaced by the operator", b'{"text": "alert!"}', "wrong_version", "version is ''"),
    ("no alerts key", b'{"version": "4"}', "malformed", "`alerts`"),
    ("a status of its own", body({"status": "pending"}), "malformed", "Invalid enum value"),
    ("labels that are no texts", body({"labels": {"a": 1}}), "malformed", "Expected `str`"),
    ("an empty fingerprint", body({"fingerprint": ""}), "malformed", "alerts[0].fingerprint"),
    ("a fingerprint without end", body({"fingerprint": "f" * 10_000}), "malformed", "alerts[0].fingerprint"),
    ("no start", body({"startsAt": "soon"}), "malformed", "alerts[0].startsAt: 'soon' is no RFC 3339 time"),
    ("a start before there were alerts", body({"startsAt": "0001-01-01T00:00:00+23:59"}), "malformed", "no time at which an alert"),
    ("a start in the year 9999", body({"startsAt": "9999-12-31T23:59:59.9Z"}), "malformed", "no time at which an alert"),
    ("a resolve without an end", body({"status": "resolved", "endsAt": ""}), "malformed", "alerts[0].endsAt"),
    ("bad UTF-8", b'{"version": "4", "alerts": [], "externalURL": "\xff"}', "malformed", "not an Alertmanager webhook body"),
    ("a lone surrogate", b'{"version": "4", "alerts": [], "externalURL": "\\ud800"}', "malformed", "not an Alertmanager"),
    ("NaN", b'{"version": "4", "alerts": NaN}', "malformed", "not an Alertmanager webhook body"),
    ("deep nesting", b'{"version": "4", "alerts": ' + b"[" * 100_000, "malformed", "not an Alertmanager webhook body"),
    ("a huge integer", b'{"version": "4", "alerts": [], "truncatedAlerts": ' + b"9" * 5000 + b"}", "malformed", "Integer"),
]  # fmt: skip


@pytest.mark.parametrize(("raw", "reason", "says"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_what_is_no_version_4_body_is_refused_with_a_reason(raw: bytes, reason: str, says: str) -> None:
    with pytest.raises(PayloadError) as caught:
        parse(raw)
    assert caught.value.reason == reason
    assert says in str(caught.value)


@given(st.binary(max_size=400))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    with pytest.raises(PayloadError):
        parse(raw)


VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(), lambda v: st.lists(v) | st.dictionaries(st.text(), v)
)


@given(key=st.sampled_from([*ALERT]), value=VALUE)
def test_any_value_in_any_place_is_read_or_refused(key: str, value: object) -> None:
    with contextlib.suppress(PayloadError):
        parse(body({key: value}))
