"""Objectives -> rules: how much of the error budget is left, and an alert when it burns too fast. Pure.

Every kind of objective becomes two recorded series, errors and requests a second; the share of bad time counts as one
request a second. From there on all are alike. The windows and factors are those of the SRE Workbook (Google, "Alerting
on SLOs", table 5-8). They are the same for every length of an objective: what they cost of the budget is told.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from exporter.rulegen import calendar
from exporter.rulegen.rules import Alert, Group, Record, duration, number, plain, quoted, selector
from exporter.rulegen.settings import SEVERITIES, Maintenance, Severity, Signals, Slo

INTERVAL = 60.0
SLOW_INTERVAL = 300.0
HOURS = 3600.0
KEEP_SECONDS = 600.0


@dataclass(frozen=True)
class Burn:
    """An alert fires while the budget burns `factor` times too fast in both windows (seconds)."""

    severity: Severity
    factor: float
    short: float
    long: float


BURNS = (
    Burn("page", 14.4, HOURS / 12, HOURS),
    Burn("page", 6, HOURS / 2, 6 * HOURS),
    Burn("ticket", 3, 2 * HOURS, 24 * HOURS),
    Burn("ticket", 1, 6 * HOURS, 72 * HOURS),
)


def can_fire(burn: Burn, slo: Slo) -> bool:
    """Whether errors can be so many: 14.4 times the budget of 90 % would be more than every request."""
    return burn.factor * (1 - slo.objective / 100) < 1


def groups(slo: Slo, file: Signals, calendar_name: str) -> Iterator[Group]:
    """The rules of one objective."""
    here = {"slo": slo.name}
    errors, requests = _sources(slo)
    planned = [one for one in file.maintenance if not one.signals]
    burns = [burn for burn in BURNS if can_fire(burn, slo)]
    windows = sorted({window for burn in burns for window in (burn.short, burn.long)})
    records = [
        Record("slo:requests:rate5m", _counted(requests, planned), here),
        Record("slo:errors:rate5m", _counted(errors, planned), here),
        *(_ratio(here, window) for window in windows),
    ]
    alerts = [_burning(slo, burn, file, calendar_name) for burn in burns if slo.page or burn.severity == "ticket"]
    yield Group(f"slo-{slo.name}", INTERVAL, (*records, *alerts))
    yield Group(f"slo-{slo.name}:budget", SLOW_INTERVAL, tuple(_budget(slo, file)))


def _counted(expr: str, planned: Sequence[Maintenance]) -> str:
    """Not what planned work made: neither while it lasts, nor while a rate of five minutes knows of it."""
    gates = calendar.gates("", None, holidays=False, maintenance=planned, settle=HOURS / 12)
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


def _ratio(here: dict[str, str], window: float) -> Record:
    errors, requests = (_sum(name, here, window) for name in ("slo:errors:rate5m", "slo:requests:rate5m"))
    return Record(f"slo:error_ratio:{duration(window)}", f"{errors} / ({requests} > 0)", here)


def _sum(name: str, here: dict[str, str], window: float) -> str:
    if window <= HOURS / 12:
        return selector(name, here)
    return f"sum_over_time({selector(name, here)}[{duration(window)}])"


def _burning(slo: Slo, burn: Burn, file: Signals, calendar_name: str) -> Alert:
    here = {"slo": slo.name}
    planned = [one for one in file.maintenance if not one.signals]
    budget = 1 - slo.objective / 100
    short, long = duration(burn.short), duration(burn.long)
    limit = number(round(burn.factor * budget, 12))
    least = math.ceil(round(1 / (burn.factor * budget), 6))
    lines = [
        f"{selector(f'slo:error_ratio:{long}', here)} > {limit}",
        f"and {selector(f'slo:error_ratio:{short}', here)} > {limit}",
    ]
    has_requests = slo.freshness is None and slo.third_party is None
    if has_requests:
        seconds = number(INTERVAL)
        lines.append(f"and sum_over_time({selector('slo:requests:rate5m', here)}[{long}]) * {seconds} >= {least}")
    lines += calendar.gates(calendar_name, slo.hours, holidays=False, maintenance=planned)
    per = f"{100 * burn.factor * burn.long / slo.window:.3g} % of {_days(slo)}' budget"
    return Alert(
        name="ErrorBudgetBurn",
        expr="\n".join(lines),
        hold=120.0 if burn.severity == "page" else 900.0,
        keep=KEEP_SECONDS,
        labels={**_labels(slo, file), "severity": SEVERITIES[burn.severity], "window": long},
        annotations={
            "summary": f"{slo.name}: the error budget burns more than {number(burn.factor)} times too fast",
            "description": (
                f"{slo.name} promises {number(slo.objective)} % over {_days(slo)}. In the last {long}, and in the last "
                f"{short} too, errors were so many that {long} like these cost {per}."
            ),
            "runbook_url": plain(slo.runbook_url) or f"{file.defaults.runbooks}/ErrorBudgetBurn",
            "value_query": selector(f"slo:error_ratio:{short}", here),
            "value_unit": f"% bad in the last {short}",
            "normal": f"at most {number(round(100 * budget, 9))} % over {_days(slo)}",
            "budget_left": (
                f"{{{{ with query {quoted(selector('slo:error_budget_left:ratio', here))} }}}}"
                "{{ . | first | value | humanizePercentage }}{{ end }}"
            ),
            **({"impact": plain(slo.impact)} if slo.impact else {}),
        },
        note=f"With fewer than {least} requests in {long} a single error would be enough." if has_requests else "",
    )


def _budget(slo: Slo, file: Signals) -> Iterator[Record | Alert]:
    here = {"slo": slo.name}
    budget, window = 1 - slo.objective / 100, duration(slo.window)
    errors, requests = (
        f"sum_over_time({selector(name, here)}[{window}])" for name in ("slo:errors:rate5m", "slo:requests:rate5m")
    )
    left, asked = selector("slo:error_budget_left:ratio", here), selector("slo:requests:rate5m", here)
    planned = [one for one in file.maintenance if not one.signals]
    yield Record("slo:objective:ratio", f"vector({number(round(slo.objective / 100, 12))})", here)
    yield Record(
        "slo:error_budget_left:ratio",
        f"1 - {errors} / ({requests} > 0) / {number(round(budget, 12))}",
        here,
        "1 is a whole budget, 0 none, below 0 more was spent than there is.",
    )
    yield Record(
        "slo:burn_rate:1d",
        f"sum_over_time({selector('slo:errors:rate5m', here)}[1d])"
        f" / (sum_over_time({selector('slo:requests:rate5m', here)}[1d]) > 0) / {number(round(budget, 12))}",
        here,
    )
    yield Record(
        "slo:error_budget_exhausted:timestamp_seconds",
        f"time() + {number(slo.window)} * ({left} > 0) / ({selector('slo:burn_rate:1d', here)} > 1)",
        here,
        "When nothing is left, if it goes on as in the last day; not there while the budget lasts.",
    )
    yield Alert(
        name="ErrorBudgetSpent",
        expr=f"{left} <= 0",
        hold=900.0,
        keep=3600.0,
        labels={**_labels(slo, file), "severity": "warning"},
        annotations={
            "summary": f"{slo.name}: the error budget of {_days(slo)} is spent",
            "description": (
                f"Over the last {_days(slo)} {slo.name} was worse than the {number(slo.objective)} % it promises. "
                "Nothing may be wrong at this moment."
            ),
            "runbook_url": plain(slo.runbook_url) or f"{file.defaults.runbooks}/ErrorBudgetSpent",
            "value_query": left,
            "value_unit": "% of the budget is left",
            "normal": "above 0 %",
            **({"impact": plain(slo.impact)} if slo.impact else {}),
        },
    )
    yield Alert(
        name="ObjectiveUnmeasured",
        # not where it never was measured: what is left of a budget stays known for as long as its window
        expr="\n".join(
            [
                f"(\n  {left} unless {asked}",
                f"  or {asked} unless {selector('slo:errors:rate5m', here)}\n)",  # a bucket that there isn't
                *calendar.gates("", None, holidays=False, maintenance=planned, settle=HOURS / 6),
            ]
        ),
        hold=1800.0,
        keep=0.0,
        labels={**_labels(slo, file), "severity": "warning"},
        annotations={
            "summary": f"{slo.name}: its objective isn't measured",
            "description": (
                f"Half an hour without a single measurement for {slo.name}: its metric is gone or was renamed, or what "
                "exports it is down. As long as this lasts no burn of its budget is told."
            ),
            "runbook_url": plain(slo.runbook_url) or f"{file.defaults.runbooks}/ObjectiveUnmeasured",
        },
    )


def _labels(slo: Slo, file: Signals) -> dict[str, str]:
    owner = slo.owner if slo.owner is not None else file.defaults.owner
    found = {"slo": slo.name, "owner": plain(owner), "service": plain(slo.service)}
    return {name: value for name, value in found.items() if value}


def _days(slo: Slo) -> str:
    return f"{number(slo.window / 86_400)} days"
