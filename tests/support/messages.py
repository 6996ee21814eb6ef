"""Messages to send in tests."""

from typing import Any

import msgspec

from receiver.message import Message

PLAIN = Message(
    incident=7,
    revision=1,
    status="firing",
    reason="opened",
    severity="critical",
    alert="ThirdPartyPaymentRequired",
    summary="mailgun: subscription unpaid",
    since=1795211652.853,
    incident_url="http://receiver/v1/incidents/7",
)


def message(**fields: Any) -> Message:
    """A short message, with these fields set otherwise."""
    return msgspec.structs.replace(PLAIN, **fields)
