"""A month of alerts: noise, flapping, and outages that drag services along. The same for the same seed."""

import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
BEGINS = datetime(2026, 10, 12, tzinfo=UTC).timestamp()
"""A Monday; the clocks change in this month."""
DAYS = 30
ALERTS = 2000

NEEDS: dict[str, tuple[str, ...]] = {
    "web": ("checkout", "search"),
    "checkout": ("payments", "stock"),
    "payments": ("ledger",),
    "ledger": ("database",),
    "stock": ("database",),
    "search": ("index",),
    "mail": ("queue",),
    "billing": ("ledger", "queue"),
    "database": (),
    "index": (),
    "queue": (),
    "reports": ("database",),
}
TEAMS = {
    "shop": ("web", "checkout", "search", "stock"),
    "money": ("payments", "ledger", "billing", "reports"),
    "platform": ("database", "index", "queue", "mail"),
}
TEAM_OF = {service: team for team, services in TEAMS.items() for service in services}
SYMPTOMS = (
    "ErrorsHigh",
    "LatencyHigh",
    "DiskFilling",
    "QueueGrows",
    "PodRestarts",
    "CertificateOld",
    "JobLate",
    "CacheCold",
)
FLAPPING, OUTAGES = 25, 12


@dataclass(frozen=True)
class Alert:
    """One that fires from `starts` until `ends` (seconds since the epoch)."""

    name: str
    service: str
    severity: str
    instance: str
    starts: float
    ends: float

    @property
    def labels(self) -> dict[str, str]:
        labels = {"alertname": self.name, "service": self.service, "severity": self.severity}
        return {**labels, "team": TEAM_OF[self.service], "instance": self.instance}

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256(repr(sorted(self.labels.items())).encode()).hexdigest()[:16]


def month(seed: int) -> list[Alert]:
    """ALERTS alerts, in the order in which they begin."""
    chance = random.Random(seed)
    found = [*_outages(chance), *_flapping(chance)]
    found += [_noise(chance, number) for number in range(ALERTS - len(found))]
    return sorted(found, key=lambda one: (one.starts, one.fingerprint))


def _some_time(chance: random.Random) -> float:
    return float(round(BEGINS + chance.uniform(0, DAYS * DAY - 6 * HOUR)))


def _alert(chance: random.Random, name: str, service: str, severity: str, instance: str, starts: float) -> Alert:
    lasts = min(max(chance.expovariate(1 / (40 * MINUTE)), 3 * MINUTE), 5 * HOUR)
    return Alert(name, service, severity, instance, float(round(starts)), float(round(starts + lasts)))


def _noise(chance: random.Random, number: int) -> Alert:
    (severity,) = chance.choices(("info", "warning", "critical"), (45, 52, 3))
    service = chance.choice(list(NEEDS))
    return _alert(chance, chance.choice(SYMPTOMS), service, severity, f"{service}-{number}", _some_time(chance))


def _flapping(chance: random.Random) -> Iterator[Alert]:
    """The same alert again and again, minutes after it has ended."""
    for number in range(FLAPPING):
        service, at = chance.choice(list(NEEDS)), _some_time(chance)
        for _ in range(chance.randint(5, 15)):
            yield Alert("ProbeFlaps", service, "warning", f"flaps-{number}", at, at + 2 * MINUTE)
            at += 2 * MINUTE + round(chance.uniform(3, 20)) * MINUTE


def _outages(chance: random.Random) -> Iterator[Alert]:
    """A service that is needed fails, and what needs it fires in the next minutes."""
    for number in range(OUTAGES):
        root, at = chance.choice(("database", "index", "queue", "ledger")), _some_time(chance)
        yield _alert(chance, "Down", root, "critical", f"outage-{number}", at)
        for service in _above(root):
            for instance in range(chance.randint(2, 6)):
                later = at + chance.uniform(10, 5 * MINUTE)
                symptom, severity = chance.choice(SYMPTOMS[:2]), chance.choice(("warning", "warning", "critical"))
                yield _alert(chance, symptom, service, severity, f"{service}-o{number}-{instance}", later)


def _above(root: str) -> list[str]:
    """What needs a service, directly or not."""
    found = [root]
    for one in found:
        found += [name for name, needs in NEEDS.items() if one in needs and name not in found]
    return found[1:]
