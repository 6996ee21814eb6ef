"""The receiver's self-metrics, all present at zero from the start."""

from collections.abc import Collection, Iterable, Mapping
from functools import partial
from typing import get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from receiver.enrichers.absence import Reason
from receiver.escalation.policy import QUIET
from receiver.escalation.policy import Reason as Escalation
from receiver.incidents import Reason as Decision
from receiver.incidents import State
from receiver.store.store import Figures
from receiver.upkeep.audit import FINDINGS, Finding
from receiver.upkeep.heartbeat import Silence
from toolkit.selfmetrics import ServiceMetrics

REJECTIONS = ("malformed", "wrong_version", "too_large", "timeout", "storage", "overloaded", "shutting_down")
OUTBOX_STATES = ("planned", "sending", "sent", "failed", "unknown", "dead", "superseded", "shadow")
INCIDENT_STATES = get_args(State)
DECISIONS = get_args(Decision)
ENRICHERS = (
    "runbook", "value", "impact", "logs", "traces", "changes", "history", "related", "service", "vendor_status",
)  # fmt: skip
CHANGES = ("new", "known", "ignored", "refused")
OTHER_SERVICE = "other"
"""What a service that the configuration does not name is called: anybody may post any name."""
RECONCILIATIONS = ("ok", "unreachable")
ESCALATIONS = tuple(reason for reason in get_args(Escalation) if reason not in QUIET)
HEARTBEATS = ("sent", "failed", *get_args(Silence))
RESULTS = ("sent", "failed", "unknown", "dead")


class ReceiverMetrics(ServiceMetrics):
    """What the receiver says of itself. No label holds anything from an alert."""

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__(registry, "tocsin_receiver")
        counter, gauge = partial(Counter, registry=registry), partial(Gauge, registry=registry)
        histogram = partial(Histogram, registry=registry)
        self.rejected = counter("tocsin_receiver_webhook_rejected_total", "Webhook requests refused.", ["reason"])
        self.alert_events = counter(
            "tocsin_receiver_alert_events_total",
            "Alert events received: new, a duplicate of one we have, or the Watchdog's.",
            ["status", "outcome"],
        )
        self.decisions = counter(
            "tocsin_receiver_incident_decisions_total", "What events did to incidents.", ["reason"]
        )
        self.deliveries = counter("tocsin_receiver_deliveries_total", "Attempts to deliver.", ["target", "result"])
        self.delivery_seconds = histogram(
            "tocsin_receiver_delivery_duration_seconds",
            "How long one attempt took.",
            ["target"],
            buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15),
        )
        self.fallbacks = counter(
            "tocsin_receiver_fallbacks_total", "Messages that a target's fallback was told in its place.", ["target"]
        )
        self.escalations = counter(
            "tocsin_receiver_escalations_total",
            "What the time did to escalations: a step, a reminder, an end.",
            ["reason"],
        )
        self.circuit_open = gauge(
            "tocsin_receiver_target_circuit_open",
            "Whether a target failed so often in a row that it is left alone for a while.",
            ["target"],
        )
        self.receipt_to_delivery = histogram(
            "tocsin_receiver_receipt_to_delivery_seconds",
            "From the webhook's receipt to the message's delivery.",
            buckets=(0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 600, 3600),
        )
        self.enrichment_failures = counter(
            "tocsin_receiver_enrichment_failures_total",
            "Facts that a message had to do without.",
            ["enricher", "reason"],
        )
        self.watchdog_last_seen = gauge(
            "tocsin_receiver_watchdog_last_seen_timestamp_seconds",
            "When the Watchdog alert last arrived, here or at another replica; 0 before the first.",
        )
        self.reconciliations = counter(
            "tocsin_receiver_reconciliations_total",
            "Comparisons of what the Alertmanagers hold with what we hold; unreachable: one of them did not answer.",
            ["result"],
        )
        self.drill_started = gauge(
            "tocsin_receiver_drill_started_timestamp_seconds", "When the drill under way began; 0 when there is none."
        )
        self.heartbeats = counter(
            "tocsin_receiver_heartbeats_total",
            "Heartbeats to the service outside: sent, failed, or why none was.",
            ["result"],
        )
        self.changes = counter(
            "tocsin_receiver_changes_total",
            "Changes posted: new, known already, ignored since they tell of none, or refused.",
            ["outcome"],
        )
        self._last_change = gauge(
            "tocsin_receiver_last_change_timestamp_seconds",
            "When a service last had a change of a kind, in the last week.",
            ["service", "kind"],
        )
        self._audit = gauge(
            "tocsin_receiver_audit_findings",
            "What stands still that should move, by what it is; 0 is well.",
            ["finding"],
        )
        self._incidents = gauge("tocsin_receiver_incidents", "Incidents by state.", ["state"])
        self._outbox = gauge("tocsin_receiver_outbox", "Messages by state.", ["state"])
        self._oldest = gauge(
            "tocsin_receiver_outbox_oldest_timestamp_seconds",
            "Since when the oldest message that is not delivered is to be told; 0 when there is none.",
        )
        self._unprocessed = gauge(
            "tocsin_receiver_events_unprocessed", "Events stored and not yet turned into incidents."
        )
        self._at_zero()

    def _at_zero(self) -> None:
        each: list[tuple[Counter, Iterable[str]]] = [
            (self.rejected, REJECTIONS),
            (self.decisions, DECISIONS),
            (self.reconciliations, RECONCILIATIONS),
            (self.escalations, ESCALATIONS),
            (self.heartbeats, HEARTBEATS),
            (self.changes, CHANGES),
        ]
        for counter, values in each:
            for value in values:
                counter.labels(value)
        for status in ("firing", "resolved"):
            for outcome in ("new", "duplicate", "watchdog"):
                self.alert_events.labels(status, outcome)
        self.audited({})
        for enricher in ENRICHERS:
            for reason in get_args(Reason):
                self.enrichment_failures.labels(enricher, reason)

    def targets(self, names: Iterable[str]) -> None:
        """Makes every target's series present."""
        for name in names:
            for result in RESULTS:
                self.deliveries.labels(name, result)
            self.delivery_seconds.labels(name)
            self.circuit_open.labels(name)
            self.fallbacks.labels(name)

    def audited(self, found: Mapping[Finding, int]) -> None:
        """Shows what the audit found, by finding."""
        for finding in FINDINGS:
            self._audit.labels(finding).set(found.get(finding, 0))

    def changed(self, latest: Mapping[tuple[str, str], float], services: Collection[str]) -> None:
        """Shows when each of `services` last had a change of each kind (`latest`, by both), and others together."""
        self._last_change.clear()
        shown: dict[tuple[str, str], float] = {}
        for (service, kind), at in latest.items():
            label = service if service in services else OTHER_SERVICE
            shown[label, kind] = max(at, shown.get((label, kind), 0))
        for (service, kind), at in shown.items():
            self._last_change.labels(service, kind).set(at)

    def show(self, figures: Figures) -> None:
        """Sets the gauges that are read from the store."""
        for state in INCIDENT_STATES:
            self._incidents.labels(state).set(figures.incidents.get(state, 0))
        for state in OUTBOX_STATES:
            self._outbox.labels(state).set(figures.outbox.get(state, 0))
        self._oldest.set(figures.oldest_planned_at)
        self._unprocessed.set(figures.unprocessed)
