"""What `tocsin-exporter rules build` would record of the company's usage, by tenant."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.support.boards.recorded import NORMAL
from tests.support.imagined.making import DAY, DEPLOYED, HOUR, LONG, PLACE, Course, day, level, noise
from tests.support.prometheuses import Past

TENANTS = {"acme": 40.0, "globex": 22.0, "hooli": 12.0, "initech": 9.0, "umbrella": 6.0, "wonka": 4.0}
"""Each customer, and how many checkouts a minute it has at noon."""
FIVE_WEEKS = 36 * DAY
STEP = 240.0
SILENT = 3 * HOUR
"""How long ago initech fell silent."""


@dataclass(frozen=True)
class Signal:
    """A measured thing. A count is `share` of a tenant's checkouts, a gauge `share` in its unit; `trend` is what of it a week
    before was of now."""

    name: str
    owner: str
    service: str
    share: float
    unit: str = ""
    trend: float = 1.0
    broken: float = 1.0
    """What of it the deploy left."""

    @property
    def kind(self) -> str:
        """As the rules name it."""
        return "gauge" if self.unit else "count"


SIGNALS = (
    Signal("checkouts", "payments", "shop", 1.0, broken=0.42),
    Signal("logins", "accounts", "accounts", 2.2),
    Signal("searches", "search", "shop", 6.5, broken=0.93),
    Signal("exports", "growth", "reports", 0.3, trend=0.72),
    Signal("faxes", "growth", "reports", 0.2, trend=1.5),
    Signal("search-time", "search", "shop", 310.0, unit="ms", broken=1.1),
)


def normal(signal: Signal, size: float) -> Course:
    """What a tenant's usage is on any such day; a count per second."""
    if signal.kind == "gauge":
        return lambda ago: signal.share * (1 + 0.2 * day(ago))
    return lambda ago: size / 60 * signal.share * day(ago) * signal.trend ** (max(ago, 0) / (7 * DAY))


def measured(signal: Signal, tenant: str, size: float) -> Course:
    """What it was: normal with noise, another after the deploy, nothing where the tenant is silent."""
    usual = normal(signal, size)

    def course(ago: float) -> float:
        if tenant == "initech" and ago < SILENT and signal.service != "shop":
            return 0.0
        left = signal.broken if ago < DEPLOYED else 1.0
        return usual(ago) * left * (1 + 0.09 * noise(signal.name + tenant, ago))

    return course


def recorded(signal: Signal, tenant: str, size: float) -> Iterator[Past]:
    """The series of one signal and tenant."""
    labels = {"signal": signal.name, "tenant": tenant, **PLACE}
    usual, value = normal(signal, size), measured(signal, tenant, size)
    mean = _of_an_hour(value)
    yield Past("signal:value", labels, _thinned(value), since=FIVE_WEEKS, every=STEP)
    yield level("signal:level", mean, labels, since=LONG)
    yield level(f"signal:{NORMAL}", usual, labels, since=LONG)
    yield level("signal:lower", lambda ago: 0.75 * usual(ago), labels, since=LONG)
    yield level("signal:upper", lambda ago: 1.3 * usual(ago), labels, since=LONG)
    if tenant != "wonka" or signal.name != "exports":
        yield level("signal:score", lambda ago: abs(mean(ago) / usual(ago) - 1) / 0.25, labels, since=LONG)


def _of_an_hour(value: Course) -> Course:
    """The mean of the hour before."""
    return lambda ago: sum(value(ago + n * HOUR / 12) for n in range(12)) / 12


def _thinned(value: Course) -> Callable[[float], float | None]:
    """All of the last day and of this hour a week ago; of the other weeks one sample in five hours, enough for an average."""

    def kept(ago: float) -> bool:
        return ago < LONG or abs(ago - 7 * DAY) < HOUR or ago % (5 * HOUR) < STEP

    return lambda ago: value(ago) if kept(ago) else None


def signals() -> Iterator[Past]:
    """All of it."""
    for signal in SIGNALS:
        info = {"signal": signal.name, "owner": signal.owner, "service": signal.service, "kind": signal.kind}
        yield level("signal_info", 1, {**info, "unit": signal.unit} if signal.unit else info, since=LONG)
        for tenant, size in TENANTS.items():
            yield from recorded(signal, tenant, size)
