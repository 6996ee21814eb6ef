"""Alertmanager's webhook body, version 4 -> Notification. Pure.

Source: the `webhook.Message` and `template.Data` types of Alertmanager 0.25 to 0.33, and bodies captured from three
versions. Unknown keys are accepted, since newer versions add some; absent optional ones too.
"""

import re
from typing import Literal

import msgspec

from receiver.alerts import AlertEvent, Notification, Status, identity
from toolkit.clock import parse_rfc3339

Reason = Literal["malformed", "wrong_version"]
_FINGERPRINT = re.compile(r"[!-~]{1,128}")
"""Alertmanager's are 16 hexadecimal digits."""
_LATEST = 7258118400.0
"""The year 2200, in seconds since the epoch."""


class PayloadError(Exception):
    """The body is no version-4 notification. `reason` is a metric's label, the message is for people."""

    def __init__(self, reason: Reason, message: str) -> None:
        self.reason = reason
        super().__init__(message)


class _Version(msgspec.Struct):
    version: str = ""


class _Alert(msgspec.Struct):
    status: Status
    labels: dict[str, str]
    fingerprint: str
    starts_at: str = msgspec.field(name="startsAt")
    ends_at: str = msgspec.field(name="endsAt", default="")
    annotations: dict[str, str] = {}
    generator_url: str = msgspec.field(name="generatorURL", default="")


class _Body(msgspec.Struct):
    alerts: list[_Alert]
    external_url: str = msgspec.field(name="externalURL", default="")
    truncated: int = msgspec.field(name="truncatedAlerts", default=0)
    receiver: str = ""
    group_labels: dict[str, str] = msgspec.field(name="groupLabels", default_factory=dict)


_version = msgspec.json.Decoder(_Version)
_body = msgspec.json.Decoder(_Body)


def parse(body: bytes, source: str = "") -> Notification:
    """A webhook's body as values; `source` names the cluster that sent it. Raises PayloadError, and nothing else,
    whatever the bytes."""
    try:
        version = _version.decode(body).version
        if version != "4":
            raise PayloadError("wrong_version", f"this is no webhook body of version 4: version is {version[:40]!r}")
        decoded = _body.decode(body)
        alerts = tuple(_event(alert, index, source) for index, alert in enumerate(decoded.alerts))
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise PayloadError("malformed", f"not an Alertmanager webhook body: {error}") from None
    # Alertmanager escapes the name as a regular expression: receiver `team.a` is sent as `team\\.a`
    receiver = re.sub(r"\\(.)", r"\1", decoded.receiver)
    return Notification(alerts, max(decoded.truncated, 0), decoded.external_url, receiver, decoded.group_labels, source)


def _event(alert: _Alert, index: int, source: str) -> AlertEvent:
    if not _FINGERPRINT.fullmatch(alert.fingerprint):
        raise PayloadError("malformed", f"alerts[{index}].fingerprint: 1 to 128 visible ASCII characters are expected")
    resolved = alert.status == "resolved"
    return AlertEvent(
        fingerprint=identity(source, alert.fingerprint),
        status=alert.status,
        starts_at=_instant(alert.starts_at, f"alerts[{index}].startsAt"),
        # a firing alert's endsAt says nothing: Go's zero time
        ends_at=_instant(alert.ends_at, f"alerts[{index}].endsAt") if resolved else None,
        labels=alert.labels,
        annotations=alert.annotations,
        generator_url=alert.generator_url,
        source=source,
    )


def _instant(text: str, where: str) -> float:
    try:
        instant = parse_rfc3339(text)
    except (ValueError, OverflowError):
        raise PayloadError("malformed", f"{where}: {text[:40]!r} is no RFC 3339 time") from None
    if not 0 < instant < _LATEST:
        raise PayloadError("malformed", f"{where}: {text[:40]!r} is no time at which an alert can have been")
    return instant
