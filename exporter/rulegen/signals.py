"""A signal -> rules: what is normal for it now, how far off it is, and the alerts. Pure.

Two forecasts, the median of this hour on other days and weeks and the mean of the last week, are each held against what
was: how far they strayed in the last two weeks is how wide each one's band is. The narrower a band, the more its forecast
counts in the one normal that is recorded, with its band and a score: 1 is the edge. Decision 0029 says how the constants
were found and what they score on labelled series.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from exporter.rulegen import calendar
from exporter.rulegen.rules import Alert, Group, Record, duration, number, quoted, selector
from exporter.rulegen.settings import SEVERITIES, Seasonality, Severity, Signal, Signals

INTERVAL = 300.0
PAST_INTERVAL = 3 * 3600.0
"""How often the past is read: two weeks of deviations, and the mean of a week. Every three hours is as good as hourly."""
HALF_STEP = 150.0
"""Windows end between two samples, so that they hold as many where the left end belongs to them (Prometheus 2) as where
it doesn't (3)."""
LEVEL_SAMPLES, FAST_SAMPLES = 12, 2
AHEAD = 1800.0
"""A level is the mean of an hour, so its middle is half an hour ago: forecasts look at the hour around now."""
DAY, WEEK = 86_400.0, 604_800.0
LOOKBACKS: Mapping[Seasonality, tuple[float, ...]] = {
    "weekly": (DAY, 2 * DAY, 3 * DAY, WEEK, 2 * WEEK, 3 * WEEK, 4 * WEEK),
    "daily": (DAY, 2 * DAY, 3 * DAY, 4 * DAY, 5 * DAY, 6 * DAY, WEEK),
    "none": (),
}
RELATIVE = 0.02
"""Of a forecast, as part of every band: nobody wants to hear of two percent."""
FAINT = 1e-9
WEEKLY_SHARE = 0.1
"""What of a week's mean is added to a forecast before its root is taken, so that a quiet night isn't held to be exact."""
OTHER_SIDE = 0.5
"""A band reaches at least half as far up as down, and the other way round."""
LEARN_SECONDS, LEARN_LAG = 2 * WEEK, 6 * 3600.0
LEAST_LEARNT = 576
"""Two days of deviations, before which nothing is told."""
YOUNG_FACTOR = 1.5
"""How much wider the band is as long as there is nothing from a week ago."""
FAST_QUANTILE, FAST_FACTOR = 0.99, 1.25
FAST_HOLD = 300.0
STAY_SECONDS = 6 * 3600.0
SURE = 20.0
"""So many events are expected before none at all means an outage: by chance that happens once in 500 million times."""
HOLIDAY_SHARE = 0.1
DRIFT = 0.25
DRIFT_SECONDS = 3 * WEEK


@dataclass(frozen=True)
class Sensitivity:
    """How far a band reaches: the quantile of past deviations, times a factor; and how long a level must be outside."""

    quantile: float
    factor: float
    hold: float


STANDARD = Sensitivity(0.99, 1.05, 1800.0)
QUIET = Sensitivity(0.995, 1.15, 2700.0)


def sensitivity(signal: Signal) -> Sensitivity:
    """What `sensitivity` means: a number is the factor that stands in for standard's."""
    if signal.sensitivity == "standard":
        return STANDARD
    if signal.sensitivity == "quiet":
        return QUIET
    return Sensitivity(STANDARD.quantile, float(signal.sensitivity), STANDARD.hold)


def groups(signal: Signal, file: Signals, calendar_name: str) -> Iterator[Group]:
    """The rules of one signal: what is now, every five minutes, and what was, every three hours."""
    found = _Rules(signal, file, calendar_name)
    yield Group(f"signal-{signal.name}", INTERVAL, (*found.now(), *found.alerts()))
    yield Group(f"signal-{signal.name}-past", PAST_INTERVAL, tuple(found.past()))


def query(signal: Signal) -> str:
    """What is recorded of a signal: a count as events per second, a gauge as it is."""
    if signal.query is not None:
        return signal.query.strip()
    assert signal.metric is not None  # noqa: S101 - one of the two, by Signal
    source = selector(signal.metric, signal.match)
    inner = f"rate({source}[5m])" if signal.kind == "count" else source
    by = f" by ({', '.join(signal.by)})" if signal.by else ""
    return f"sum{by} ({inner})"


class _Rules:
    def __init__(self, signal: Signal, file: Signals, calendar_name: str) -> None:
        self._signal, self._file, self._calendar = signal, file, calendar_name
        self._labels = {"signal": signal.name}
        self._maintenance = file.holding(signal.name)
        self._is_count = signal.kind == "count"
        self._sensitivity = sensitivity(signal)

    def _of(self, name: str, **labels: str) -> str:
        return selector(name, {**self._labels, **labels})

    def _over(self, function: str, name: str, samples: int) -> str:
        return f"{function}({self._of(name)}[{window(samples)}])"

    def _record(self, name: str, expr: str, note: str = "", **labels: str) -> Record:
        return Record(name, expr, {**self._labels, **labels}, note)

    # --- what is now

    def now(self) -> Iterator[Record]:
        signal = self._signal
        info = {"kind": signal.kind, "unit": signal.unit, "owner": self._owner, "service": signal.service}
        yield self._record("signal_info", "vector(1)", **{name: value for name, value in info.items() if value})
        yield self._record("signal:value", f"({query(signal)}) > -Inf < +Inf", _ABOUT_VALUE[signal.kind])
        yield self._record("signal:level", self._over("avg_over_time", "signal:value", LEVEL_SAMPLES))
        if self._forgets():
            note = "What is learnt from: neither holidays nor planned work."
            yield self._record("signal:learnt", "\n".join([self._of("signal:level"), *self._unlearnt()]), note)
        yield from self._expected()
        if self._is_count:
            yield self._record("signal:unit", self._unit(), "Counts stray by the root of what is expected (Poisson).")
        yield self._record("signal:deviation", self._deviation(), "How far each forecast was off; the past is learnt from it.")
        yield self._record("signal:factor", self._factor(), "Wider while there is nothing from a week ago.")
        if self._shifts():
            yield self._record("signal:slope", self._slope(), "For four weeks after the clocks changed: what an hour makes.")
        yield self._record("signal:reach", self._reach(), "How far each forecast's band reaches.")
        yield self._record("signal:normal", self._normal(), "Both forecasts, weighted by how little they stray.")
        yield self._record("signal:band", self._band())
        yield self._record("signal:upper", self._edge("+", "up"))
        yield self._record("signal:lower", self._edge("-", "down"))
        yield self._record("signal:score", self._score(), "0 is normal, 1 the edge of the band.")
        if self._is_fast():
            yield self._record("signal:fast", self._over("avg_over_time", "signal:value", FAST_SAMPLES))
            yield self._record("signal:fast_deviation", self._fast_deviation())
            yield self._record("signal:fast_score", self._fast_score(), "The same for ten minutes, downwards only.")

    def _forgets(self) -> bool:
        return bool(self._file.holidays or self._maintenance)

    def _shifts(self) -> bool:
        return self._signal.seasonality != "none" and bool(calendar.changes(self._file.timezone))

    def _is_fast(self) -> bool:
        return self._is_count and self._signal.direction != "up"

    @property
    def _learnt(self) -> str:
        return "signal:learnt" if self._forgets() else "signal:level"

    def _unlearnt(self) -> Iterator[str]:
        return calendar.gates(self._calendar, None, bool(self._file.holidays), self._maintenance)

    def _expected(self) -> Iterator[Record]:
        lines = [
            f'label_replace({self._of(self._learnt)} offset {duration(back - AHEAD)}, "lookback", "{duration(back)}", "", "")'
            for back in LOOKBACKS[self._signal.seasonality]
        ]
        if lines:
            median = "\n  or ".join(lines)
            yield self._record("signal:expected", f"quantile without (lookback) (0.5,\n  {median}\n)", model="season")
        yield self._record("signal:expected", self._latest("signal:week"), model="week")

    def _latest(self, name: str, **labels: str) -> str:
        return f"last_over_time({self._of(name, **labels)}[{duration(2 * PAST_INTERVAL + 3600)}])"

    def _unit(self) -> str:
        week = self._of("signal:expected", model="week")
        if not LOOKBACKS[self._signal.seasonality]:
            return f"sqrt(clamp_min({number(1 + WEEKLY_SHARE)} * {week}, {FAINT}))"
        season = self._of("signal:expected", model="season")
        return f"sqrt(clamp_min(sum without (model) ({season} or {number(WEEKLY_SHARE)} * {week}), {FAINT}))"

    def _deviation(self) -> str:
        text = f"{self._of(self._learnt)} - ignoring (model) group_right () {self._of('signal:expected')}"
        return f"({text}) / ignoring (model) group_left () {self._of('signal:unit')}" if self._is_count else text

    def _factor(self) -> str:
        ago, level = duration(WEEK - AHEAD), self._of("signal:level")
        factor = self._sensitivity.factor
        return f"{level} offset {ago} * 0 + {number(factor)}\nor {level} * 0 + {number(round(factor * YOUNG_FACTOR, 4))}"

    def _slope(self) -> str:
        level = self._of("signal:level")
        hour = f"abs({level} offset {duration(WEEK - 3600)} - {level} offset {duration(WEEK + 3600)})"
        changed = f"calendar:clock_changed:seconds4w{calendar.matcher(self._calendar)}"
        return f"({hour} and on () {changed})\nor {level} * 0"

    def _reach(self) -> str:
        stray = self._latest("signal:stray")
        if self._is_count:
            stray += f" * ignoring (model, side) group_left () {self._of('signal:unit')}"
        lines = [
            f"  {stray}",
            f"  + ignoring (side) group_left () ({number(RELATIVE)} * abs({self._of('signal:expected')}) + {FAINT})",
        ]
        if self._shifts():
            lines.append(f"  + ignoring (model, side) group_left () {self._of('signal:slope')}")
        return "\n".join(["(", *lines, f") * ignoring (model, side) group_left () {self._of('signal:factor')}"])

    def _both(self) -> str:
        return f"sum without (side) ({self._of('signal:reach')})"

    def _normal(self) -> str:
        return (
            f"sum without (model) ({self._of('signal:expected')} / {self._both()} ^ 2)\n"
            f"  / sum without (model) (1 / {self._both()} ^ 2)"
        )

    def _band(self) -> str:
        reach = self._of("signal:reach")
        return (
            f"sum without (model) (1 / {self._both()})\n"
            f"  / ignoring (side) group_right ()\n"
            f"    sum without (model) (1 / ({reach} * ignoring (side) group_left () {self._both()}))"
        )

    def _edge(self, sign: str, side: str) -> str:
        return f"{self._of('signal:normal')} {sign} ignoring (side) {self._of('signal:band', side=side)}"

    def _score(self) -> str:
        level, normal = self._of("signal:level"), self._of("signal:normal")
        up = f"({level} - {normal}) / ignoring (side) {self._of('signal:band', side='up')}"
        down = f"({normal} - {level}) / ignoring (side) {self._of('signal:band', side='down')}"
        if self._signal.direction == "both":
            return f"({up} >= 0)\nor {down}"
        return f"clamp_min({up if self._signal.direction == 'up' else down}, 0)"

    def _fast_deviation(self) -> str:
        gates = "".join(f"\n{gate}" for gate in self._unlearnt()) if self._forgets() else ""
        return f"({self._of('signal:fast')} - {self._of('signal:normal')}) / {self._of('signal:unit')}{gates}"

    def _fast_score(self) -> str:
        normal = self._of("signal:normal")
        slope = f" + {self._of('signal:slope')}" if self._shifts() else ""
        return (
            f"clamp_min(({normal} - {self._of('signal:fast')}) / (\n"
            f"  {number(FAST_FACTOR)} * ({self._latest('signal:fast_stray')} * {self._of('signal:unit')}"
            f" + {number(RELATIVE)} * abs({normal}) + {FAINT}{slope})\n"
            "), 0)"
        )

    # --- what was

    def past(self) -> Iterator[Record]:
        yield self._record("signal:week", f"avg_over_time({self._of(self._learnt)}[{duration(WEEK - HALF_STEP)}])")
        quantile = self._sensitivity.quantile
        yield from self._strays("signal:deviation", quantile)
        for side, other in (("up", "down"), ("down", "up")):
            yield self._record("signal:stray", self._at_least_half("signal:deviation:" + side, "signal:deviation:" + other), side=side)
        if self._is_fast():
            yield from self._strays("signal:fast_deviation", FAST_QUANTILE)
            yield self._record("signal:fast_stray", self._at_least_half("signal:fast_deviation:down", "signal:fast_deviation:up"))
        if self._signal.drift:
            before = f"last_over_time({self._of('signal:week')}[{duration(PAST_INTERVAL + 600)}] offset {duration(DRIFT_SECONDS)})"
            note = "The mean of a week against that of three weeks before, as a ratio."
            yield self._record("signal:drift:ratio", f"{self._of('signal:week')} / ({before} != 0)", note)

    def _strays(self, name: str, quantile: float) -> Iterator[Record]:
        span = f"{self._of(name)}[{duration(LEARN_SECONDS - HALF_STEP)}] offset {duration(LEARN_LAG)}"
        enough = f"and count_over_time({span}) >= {LEAST_LEARNT}"
        yield self._record(f"{name}:up", f"clamp_min(quantile_over_time({number(quantile)}, {span}), 0)\n{enough}")
        low = number(round(1 - quantile, 6))
        yield self._record(f"{name}:down", f"clamp_min(-quantile_over_time({low}, {span}), 0)\n{enough}")

    def _at_least_half(self, name: str, other: str) -> str:
        """The larger of one side's and half of the other's."""
        half = f"{number(OTHER_SIDE)} * {self._of(other)}"
        return f"({self._of(name)} >= {half})\nor {half}"

    # --- what is told

    def alerts(self) -> Iterator[Alert]:
        if self._signal.stops_as is not None:
            yield self._stopped(self._signal.stops_as)
        if self._signal.direction != "up":
            yield self._off("SignalBelowNormal", "<", self._fast_condition())
        if self._signal.direction != "down":
            yield self._off("SignalAboveNormal", ">", "")
        if self._signal.drift:
            yield self._drifted()
        yield self._gone()

    def _gates(self, holidays: bool = True) -> list[str]:
        found = [*calendar.gates(self._calendar, self._signal.hours, holidays and bool(self._file.holidays), self._maintenance)]
        return found + [f"unless on () ({text})" for text in self._file.unless]

    def _held(self, name: str, seconds: float) -> str:
        """That a score was beyond its edge at every evaluation of a time, and that there were that many."""
        samples = round(seconds / INTERVAL) + 1
        least = f"count_over_time({self._of(name)}[{window(samples)}]) >= {samples}"
        return f"{self._over('min_over_time', name, samples)} > 1 and {least}"

    def _fast_condition(self) -> str:
        return f"\n  or {self._held('signal:fast_score', FAST_HOLD)}" if self._is_fast() else ""

    def _minimum(self) -> list[str]:
        least = self._signal.minimum
        return [f"and {self._of('signal:normal')} >= {number(least.level)}"] if least is not None else []

    def _off(self, name: str, comparison: str, fast: str) -> Alert:
        signal = self._signal
        side = "lower" if comparison == "<" else "upper"
        level = "signal:fast" if fast else "signal:level"
        held = self._held("signal:score", self._sensitivity.hold)
        lines = [
            f"(\n  {held} and {self._of('signal:level')} {comparison} {self._of('signal:normal')}{fast}\n)",
            *self._minimum(),
            *self._gates(),
        ]
        if signal.stops_as is not None and comparison == "<":
            stopped = f'last_over_time(ALERTS{{alertname="SignalStopped",alertstate="firing",signal={quoted(signal.name)}}}[2h])'
            on = ", ".join(("signal", *signal.by)) if signal.query is None else "signal"
            lines.append(f"unless on ({on}) {stopped}")
        word = "below" if comparison == "<" else "above"
        return Alert(
            name=name,
            expr="\n".join(lines),
            hold=0.0,
            keep=STAY_SECONDS,
            labels=self._alert_labels(signal.severity),
            annotations={
                "summary": f"{self._title}: {word} its normal",
                "description": (
                    f"{self._about}{word.capitalize()} what this hour was on other days and weeks, by "
                    f"{self._asked('signal:score', '%.1f')} times what it may be off.{self._young}"
                ),
                **self._measured(level),
                "band": f"{self._scaled('signal:lower')} to {self._scaled('signal:upper')}{self._unit_word}",
                "factor": f"{self._asked('signal:level', '%.2f', over='signal:normal')} times its normal",
                "began": self._began(side),
                **self._shared(name),
            },
        )

    def _stopped(self, severity: Severity) -> Alert:
        value, level, normal = (self._of(f"signal:{name}") for name in ("value", "level", "normal"))
        lines = [
            "(",
            f"  ({value} == 0 and {normal} * {number(INTERVAL)} >= {number(SURE)} and {self._of('signal:fast_score')} > 1)",
            f"  or ({level} == 0 and {normal} * 3600 >= {number(SURE)} and {self._of('signal:score')} > 1)",
            ")",
        ]
        if self._file.holidays:
            here = f"calendar:holiday{calendar.matcher(self._calendar)}"
            lines.append(f"unless ({normal} * {number(HOLIDAY_SHARE * INTERVAL)} < {number(SURE)} and on () {here})")
        return Alert(
            name="SignalStopped",
            expr="\n".join([*lines, *self._minimum(), *self._gates(holidays=False)]),
            hold=0.0,
            keep=900.0,
            labels=self._alert_labels(severity),
            annotations={
                "summary": f"{self._title}: nothing is counted any more",
                "description": f"{self._about}Not a single event, at an hour that brings them on other days and weeks.",
                **self._measured("signal:value"),
                "factor": "0 times its normal",
                **self._shared("SignalStopped"),
            },
        )

    def _drifted(self) -> Alert:
        ratio = self._latest("signal:drift:ratio")
        conditions = {
            "down": f"{ratio} < {number(1 - DRIFT)}",
            "up": f"{ratio} > {number(1 + DRIFT)}",
        }
        wanted = [text for side, text in conditions.items() if self._signal.direction in (side, "both")]
        return Alert(
            name="SignalDrifted",
            expr="\n".join([f"({' or '.join(wanted)})", *self._minimum()]),
            hold=12 * 3600.0,
            keep=DAY,
            labels=self._alert_labels("ticket"),
            annotations={
                "summary": f"{self._title}: another level than three weeks ago",
                "description": (
                    f"{self._about}The mean of the last week differs by more than {number(100 * DRIFT)} % from that of "
                    "three weeks before, without having left its band for long: a slope, or a step that became the normal."
                ),
                "value_query": f"last_over_time({self._alerting('signal:drift:ratio')}[7h])",
                "value_unit": "% of what it was three weeks before",
                "normal": f"{number(100 - 100 * DRIFT)} to {number(100 + 100 * DRIFT)} %",
                **self._shared("SignalDrifted"),
            },
        )

    def _gone(self) -> Alert:
        return Alert(
            name="SignalGone",
            expr=f"absent({self._of('signal:value')})",
            hold=1800.0,
            keep=0.0,
            labels=self._alert_labels("ticket"),
            annotations={
                "summary": f"{self._title}: can't be read any more",
                "description": (
                    f"{self._about}Its query has returned nothing for half an hour: the metric is gone or was renamed, or what "
                    "exports it is down. As long as this lasts nothing is told about it."
                ),
                "value_query": f"count({query(self._signal)}) or vector(0)",
                "value_unit": "series",
                "normal": "at least 1",
                **self._shared("SignalGone"),
            },
        )

    # --- what an alert says

    @property
    def _owner(self) -> str:
        return self._signal.owner if self._signal.owner is not None else self._file.defaults.owner

    @property
    def _title(self) -> str:
        return self._signal.name + "".join(f" {{{{ $labels.{label} }}}}" for label in self._signal.by)

    @property
    def _about(self) -> str:
        return f"{self._signal.help.strip().rstrip('.')}. " if self._signal.help.strip() else ""

    @property
    def _unit_word(self) -> str:
        unit = self._signal.unit or ("events/min" if self._is_count else "")
        return f" {unit}" if unit else ""

    @property
    def _times(self) -> str:
        """What is recorded per second is told per minute."""
        return " * 60" if self._is_count and not self._signal.unit else ""

    def _alert_labels(self, severity: Severity) -> dict[str, str]:
        found = {**self._labels, "owner": self._owner, "service": self._signal.service, "severity": SEVERITIES[severity]}
        return {name: value for name, value in found.items() if value}

    def _alerting(self, name: str, **labels: str) -> str:
        """The series of the alert that fires, as a text with the alert's own labels."""
        own = "".join(f",{label}={{{{ printf `%q` $labels.{label} }}}}" for label in self._signal.by)
        more = "".join(f",{label}={quoted(value)}" for label, value in labels.items())
        return f"{name}{{signal={quoted(self._signal.name)}{own}{more}}}"

    def _measured(self, name: str) -> dict[str, str]:
        return {
            "value_query": self._alerting(name) + self._times,
            "value_unit": self._unit_word.strip(),
            "normal_query": self._alerting("signal:normal") + self._times,
        }

    def _template(self, text: str) -> str:
        """An expression as an argument of a template's `query`."""
        arguments = "".join(f" $labels.{label}" for label in self._signal.by)
        own = "".join(f",{label}=%q" for label in self._signal.by)
        asked = text.replace("SIGNAL", f"signal={quoted(self._signal.name)}{own}")
        holes = text.count("SIGNAL")
        return f"(printf `{asked}`{arguments * holes} | query)" if self._signal.by else f"(query `{asked}`)"

    def _asked(self, name: str, form: str, over: str = "") -> str:
        text = f"{name}{{SIGNAL}}" + (f" / {over}{{SIGNAL}}" if over else "")
        return f"{{{{ with {self._template(text)} }}}}{{{{ . | first | value | printf `{form}` }}}}{{{{ end }}}}"

    def _scaled(self, name: str) -> str:
        return f"{{{{ with {self._template(f'{name}{{SIGNAL}}{self._times}')} }}}}{{{{ . | first | value | printf `%.4g` }}}}{{{{ end }}}}"

    @property
    def _young(self) -> str:
        limit = number(self._sensitivity.factor)
        return (
            f"{{{{ if {self._template(f'signal:factor{{SIGNAL}} > {limit}')} }}}} There is less than a week of history, so the "
            "normal is that of the days before, and the band is half as wide again.{{ end }}"
        )

    def _began(self, edge: str) -> str:
        """When the level last crossed the edge of its band, in the last day."""
        comparison = "<" if edge == "lower" else ">"
        inside = f"signal:value{{SIGNAL}} {'>=' if comparison == '<' else '<='} signal:{edge}{{SIGNAL}}"
        text = f"max_over_time(timestamp({inside})[1d:5m])"
        return f"{{{{ with {self._template(text)} }}}}{{{{ . | first | value | printf `%.0f` }}}}{{{{ end }}}}"

    def _shared(self, name: str) -> dict[str, str]:
        found = {"runbook_url": self._signal.runbook_url or f"{self._file.defaults.runbooks}/{name}"}
        return {**found, "impact": self._signal.impact} if self._signal.impact else found


_ABOUT_VALUE = {"count": "Events per second.", "gauge": ""}


def window(samples: int) -> str:
    """A range that holds so many samples of a five-minute grid, this instant's among them."""
    return duration((samples - 1) * INTERVAL + HALF_STEP)
