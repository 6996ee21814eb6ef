"""Objectives -> rules: how much of the error budget is left, and an alert when it burns too fast. Pure.

Every kind of objective becomes two recorded series, errors and requests a second; the share of bad time counts as one
request a second. From there on all are alike. The windows and factors are those of the SRE Workbook (Google, "Alerting
on SLOs", table 5-8). They are the same for every length of an objective: what they cost of the budget is told.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from exporter.rulegen import calendar
from exporter.rulegen.message import Message, annotations, labels
from exporter.rulegen.rules import Alert, Group, Record, duration, number, quoted, selector
from exporter.rulegen.settings import Maintenance, Severity, Signals, Slo

INTERVAL = 60.0
SLOW_INTERVAL = 300.0
HOURS = 3600.0
RATE = 300.0
"""Seconds that errors and requests are rates of: so long after planned work they still know of it."""
KEEP_SECONDS = 600.0
PAGE_HOLD, TICKET_HOLD = 120.0, 900.0
SPENT_HOLD, UNMEASURED_HOLD = 900.0, 1800.0


@dataclass(frozen=True)
class Burn:
    """An alert fires while the budget burns `factor` times too fast in both windows (seconds)."""

    severity: Severity
    factor: float
    short: float
    long: float


BURNS = (
    Burn("page", 14.4, RATE, HOURS),
    Burn("page", 6, HOURS / 2, 6 * HOURS),
    Burn("ticket", 3, 2 * HOURS, 24 * HOURS),
    Burn("ticket", 1, 6 * HOURS, 72 * HOURS),
)


def can_fire(burn: Burn, slo: Slo) -> bool:
    """Whether errors can be so many: 14.4 times the budget of 90 % would be more than every request."""
    return burn.factor * slo.budget < 1


def burns(slo: Slo) -> list[Burn]:
    """The burns of which an objective tells."""
    return [burn for burn in BURNS if can_fire(burn, slo) and (slo.page or burn.severity == "ticket")]


def groups(slo: Slo, file: Signals, calendar_name: str) -> Iterator[Group]:
    """The rules of one objective."""
    alerts = _Alerts(slo, file, calendar_name)
    burning = [alerts.burning(burn) for burn in burns(slo)]
    yield Group(f"slo-{slo.name}", INTERVAL, (*_measured(slo, file.planned), *burning))
    yield Group(f"slo-{slo.name}:budget", SLOW_INTERVAL, (*_budget(slo), alerts.spent(), alerts.unmeasured()))


def _measured(slo: Slo, planned: Sequence[Maintenance]) -> Iterator[Record]:
    """Errors and requests a second, and the share of errors over each window that may burn."""
    here = {"slo": slo.name}
    errors, requests = _sources(slo)
    yield Record("slo:requests:rate5m", _counted(requests, planned), here)
    yield Record("slo:errors:rate5m", _counted(errors, planned), here)
    possible = [burn for burn in BURNS if can_fire(burn, slo)]
    for window in sorted({window for burn in possible for window in (burn.short, burn.long)}):
        yield Record(f"slo:error_ratio:{duration(window)}", _ratio(here, window), here)


def _counted(expr: str, planned: Sequence[Maintenance]) -> str:
    """Not what planned work made: neither while it lasts, nor while a rate of five minutes knows of it."""
    gates = calendar.gates("", None, holidays=False, maintenance=planned, settle=RATE)
    return "\n".join([f"(\n  {expr}\n)", *gates]) if planned else expr


def _sources(slo: Slo) -> tuple[str, str]:
    """Errors and requests a second, as expressions."""
    if slo.availability is not None:
        total = f"sum(rate({slo.availability.total}[5m]))"
        # a service without a single error has no such series: that is no error, and not nothing
        return f"sum(rate({slo.availability.errors}[5m])) or {total} * 0", total
    if slo.latency is not None:
        base, match = slo.latency.histogram, dict(slo.latency.match)
        total = f"sum(rate({selector(f'{base}_count', match)}[5m]))"
        bounds = "|".join(dict.fromkeys((number(slo.latency.at_most), str(float(slo.latency.at_most))))).replace(
            ".", "[.]"
        )
        matchers = ",".join([*(f"{key}={quoted(value)}" for key, value in match.items()), f'le=~"{bounds}"'])
        return f"{total} - sum(rate({base}_bucket{{{matchers}}}[5m]))", total
    if slo.freshness is not None:
        bad = f"(time() - max({slo.freshness.timestamp}) > bool {number(slo.freshness.max_age)})"
        return bad, f"{bad} * 0 + 1"
    assert slo.third_party is not None  # noqa: S101 - one of four, by Slo
    up = f"max(last_over_time({selector('thirdparty_up', {'provider': slo.third_party.provider})}[5m]))"
    return f"1 - {up}", f"{up} * 0 + 1"


def _ratio(here: Mapping[str, str], window: float) -> str:
    errors, requests = (_sum(name, here, window) for name in ("slo:errors:rate5m", "slo:requests:rate5m"))
    return f"{errors} / ({requests} > 0)"


def _sum(name: str, here: Mapping[str, str], window: float) -> str:
    if window <= RATE:
        return selector(name, here)
    return f"sum_over_time({selector(name, here)}[{duration(window)}])"


def _budget(slo: Slo) -> Iterator[Record]:
    """What is left of the budget, how fast it goes, and until when."""
    here = {"slo": slo.name}
    budget = number(round(slo.budget, 12))
    left, burnt = selector("slo:error_budget_left:ratio", here), selector("slo:burn_rate:1d", here)
    yield Record("slo:objective:ratio", f"vector({number(round(slo.objective / 100, 12))})", here)
    yield Record(
        "slo:error_budget_left:ratio",
        f"1 - {_ratio(here, slo.window)} / {budget}",
        here,
        "1 is a whole budget, 0 none, below 0 more was spent than there is.",
    )
    yield Record("slo:burn_rate:1d", f"{_ratio(here, 24 * HOURS)} / {budget}", here)
    yield Record(
        "slo:error_budget_exhausted:timestamp_seconds",
        f"time() + {number(slo.window)} * ({left} > 0) / ({burnt} > 1)",
        here,
        "When nothing is left, if it goes on as in the last day; not there while the budget lasts.",
    )


class _Alerts:
    """What is told of one objective."""

    def __init__(self, slo: Slo, file: Signals, calendar_name: str) -> None:
        self._slo, self._file, self._calendar = slo, file, calendar_name
        self._days = f"{number(slo.window / 86_400)} days"
        self._has_requests = slo.freshness is None and slo.third_party is None

    def _of(self, name: str) -> str:
        return selector(name, {"slo": self._slo.name})

    def burning(self, burn: Burn) -> Alert:
        """ErrorBudgetBurn."""
        budget, long = self._slo.budget, duration(burn.long)
        least = math.ceil(round(1 / (burn.factor * budget), 6))
        return Alert(
            name="ErrorBudgetBurn",
            expr="\n".join(self._burns(burn, least)),
            hold=PAGE_HOLD if burn.severity == "page" else TICKET_HOLD,
            keep=KEEP_SECONDS,
            labels={**self._labels(burn.severity), "window": long},
            annotations=self._says("ErrorBudgetBurn", self._burn_message(burn)),
            note=f"With fewer than {least} requests in {long} a single error would be enough."
            if self._has_requests
            else "",
        )

    def _burns(self, burn: Burn, least: int) -> Iterator[str]:
        """That too many were bad in both windows, of at least so many requests, in its hours."""
        limit, long = number(round(burn.factor * self._slo.budget, 12)), duration(burn.long)
        yield f"{self._of(f'slo:error_ratio:{long}')} > {limit}"
        yield f"and {self._of(f'slo:error_ratio:{duration(burn.short)}')} > {limit}"
        if self._has_requests:
            yield f"and sum_over_time({self._of('slo:requests:rate5m')}[{long}]) * {number(INTERVAL)} >= {least}"
        yield from calendar.gates(self._calendar, self._slo.hours, holidays=False, maintenance=self._file.planned)

    def _burn_message(self, burn: Burn) -> Message:
        name, short, long = self._slo.name, duration(burn.short), duration(burn.long)
        per = f"{100 * burn.factor * burn.long / self._slo.window:.3g} % of {self._days}' budget"
        left = quoted(self._of("slo:error_budget_left:ratio"))
        return Message(
            summary=f"{name}: the error budget burns more than {number(burn.factor)} times too fast",
            description=(
                f"{name} promises {number(self._slo.objective)} % over {self._days}. In the last {long}, and in the "
                f"last {short} too, errors were so many that {long} like these cost {per}."
            ),
            value_query=self._of(f"slo:error_ratio:{short}"),
            value_unit=f"% bad in the last {short}",
            normal=f"at most {number(round(100 * self._slo.budget, 9))} % over {self._days}",
            budget_left=f"{{{{ with query {left} }}}}{{{{ . | first | value | humanizePercentage }}}}{{{{ end }}}}",
        )

    def spent(self) -> Alert:
        """ErrorBudgetSpent."""
        left = self._of("slo:error_budget_left:ratio")
        message = Message(
            summary=f"{self._slo.name}: the error budget of {self._days} is spent",
            description=(
                f"Over the last {self._days} {self._slo.name} was worse than the {number(self._slo.objective)} % it "
                "promises. Nothing may be wrong at this moment."
            ),
            value_query=left,
            value_unit="% of the budget is left",
            normal="above 0 %",
        )
        return Alert(
            name="ErrorBudgetSpent",
            expr=f"{left} <= 0",
            hold=SPENT_HOLD,
            keep=3600.0,
            labels=self._labels("ticket"),
            annotations=self._says("ErrorBudgetSpent", message),
        )

    def unmeasured(self) -> Alert:
        """ObjectiveUnmeasured; not where it never was measured: what is left of a budget stays known for as long as its
        window."""
        left, asked, bad = (
            self._of(name) for name in ("slo:error_budget_left:ratio", "slo:requests:rate5m", "slo:errors:rate5m")
        )
        settle = RATE + SLOW_INTERVAL
        gates = calendar.gates("", None, holidays=False, maintenance=self._file.planned, settle=settle)
        message = Message(
            summary=f"{self._slo.name}: its objective isn't measured",
            description=(
                f"Half an hour without a single measurement for {self._slo.name}: its metric is gone or was renamed, "
                "or what exports it is down. As long as this lasts no burn of its budget is told."
            ),
        )
        return Alert(
            name="ObjectiveUnmeasured",
            # errors alone are missing where the histogram has no such bucket
            expr="\n".join([f"(\n  {left} unless {asked}", f"  or {asked} unless {bad}\n)", *gates]),
            hold=UNMEASURED_HOLD,
            keep=0.0,
            labels=self._labels("ticket"),
            annotations=self._says("ObjectiveUnmeasured", message),
        )

    def _labels(self, severity: Severity) -> dict[str, str]:
        return labels({"slo": self._slo.name}, self._slo, self._file.owner_of(self._slo), severity)

    def _says(self, alert: str, message: Message) -> dict[str, str]:
        return annotations(message, self._slo, self._file.runbook_of(self._slo, alert))
