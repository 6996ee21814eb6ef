"""The alerts that fire in the imagined company."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tests.support.imagined.making import DEPLOYED, HOUR, MINUTE, UNPAID
from tests.support.imagined.places import AWAY
from tests.support.prometheuses import Past


@dataclass(frozen=True)
class Alert:
    """An alert that fires since, and until, how many seconds before now; `about` are its other labels."""

    name: str
    severity: str
    owner: str
    since: float
    about: Mapping[str, str]
    until: float = -HOUR


ALERTS = (
    Alert(
        "SignalBelowNormal", "warning", "payments", DEPLOYED - 5 * MINUTE, {"signal": "checkouts", "service": "shop"}
    ),
    Alert("SignalStopped", "critical", "accounts", 2.9 * HOUR, {"signal": "logins", "service": "accounts"}),
    Alert("SignalDrifted", "info", "growth", 20 * HOUR, {"signal": "faxes", "service": "reports"}),
    Alert("UsageBelowMinimum", "critical", "payments", DEPLOYED - 8 * MINUTE, {"rule": "checkouts", "service": "shop"}),
    Alert(
        "ThirdPartyPaymentRequired",
        "critical",
        "finance",
        UNPAID - 15 * MINUTE,
        {"provider": "sendgrid", "service": "mail"},
    ),
    Alert(
        "ErrorBudgetBurn",
        "critical",
        "payments",
        DEPLOYED - 4 * MINUTE,
        {"slo": "checkout-availability", "window": "1h"},
    ),
    Alert("ErrorBudgetSpent", "warning", "messaging", 9 * HOUR, {"slo": "mail-delivery"}),
    Alert("TocsinDeliveriesStuck", "critical", "platform", AWAY[0] - 5 * MINUTE, {"job": "tocsin-receiver"}, AWAY[1]),
)
PENDING = 3 * MINUTE


def alerts(epoch: float) -> Iterator[Past]:
    """ALERTS and ALERTS_FOR_STATE as Prometheus writes them; `epoch` is now, in seconds since the epoch."""
    for alert in ALERTS:
        labels = {"alertname": alert.name, "severity": alert.severity, "owner": alert.owner, **alert.about}
        began = alert.since + PENDING
        yield _between("ALERTS_FOR_STATE", epoch - began, began, alert.until, labels)
        yield _between("ALERTS", 1, alert.since, alert.until, {**labels, "alertstate": "firing"})
        yield _between("ALERTS", 1, began, alert.since, {**labels, "alertstate": "pending"})


def _between(name: str, value: float, since: float, until: float, labels: Mapping[str, str]) -> Past:
    """A series that is there from `since` to `until` seconds before now."""
    return Past(name, labels, lambda ago: value if ago >= until else None, since=since, every=MINUTE)
