"""Signals -> rules: one set of recording rules for all that are found normal in the same way, each one's alerts. Pure.

Two forecasts, the median of this hour on other days and weeks and the mean of the last week, are each held against what
was: how far they strayed in the last two weeks is how wide each one's band is. The narrower a band, the more its
forecast counts in the one normal that is recorded, with its band and a score: 1 is the edge. Decision 0029 says how
this was found and what it scores on labelled series.
"""

from collections.abc import Iterator

from exporter.rulegen import calendar
from exporter.rulegen.message import Message, annotations, labels
from exporter.rulegen.model import (
    DAY,
    DRIFT_SPAN,
    FORECAST_STEP,
    LEVEL_SAMPLES,
    PAST_STEP,
    QUIET,
    STANDARD,
    STAY,
    STEP,
    WEEK,
    Model,
    Sensitivity,
    scaled,
)
from exporter.rulegen.normal import KEPT, Calendar, Normal, window
from exporter.rulegen.rules import Alert, Group, Record, duration, number, plain, quoted, selector
from exporter.rulegen.settings import Severity, Signal, Signals

SURE = 20.0
"""So many events are expected before none at all means an outage: by chance that happens once in 500 million times."""
HOLIDAY_SHARE = 0.1
"""What of the usual is expected on a holiday, for an outage to be one."""
DRIFT = 0.25
"""A week's mean that differs by more from that of three weeks before is told."""
DRIFT_HOLD = 43_200.0
DRIFT_SHADOW = DRIFT_SPAN + WEEK
"""What was told as it left its band is no drift to that side (seconds): for so long a step would look like one."""
STOPPED_STAY = 900.0
STOPPED_SETTLE = 300.0
"""After planned work a rate of five minutes still knows of it (seconds)."""
HOUR_SAMPLES = LEVEL_SAMPLES - 1
"""Without which an hour is none: after a gap its first value may be of some seconds in which nothing came."""
STOPPED_SHADOW = 7200.0
"""After an outage a level needs an hour to come back: no second alert for that (seconds)."""
GONE_HOLD = 1800.0


def model_of(signal: Signal) -> Model:
    """How a signal's normal is found."""
    return Model(signal.kind, signal.seasonality, sensitivity_of(signal))


def sensitivity_of(signal: Signal) -> Sensitivity:
    """What `sensitivity` means: a number is the factor that stands in for standard's."""
    if signal.sensitivity == "standard":
        return STANDARD
    if signal.sensitivity == "quiet":
        return QUIET
    return scaled(float(signal.sensitivity))


def stopped_edge(sensitivity: Sensitivity) -> float:
    """The score of ten minutes beyond which none at all is an outage: none is certain, it only must not be usual. So it
    is held against what was, and not against a band that was made wide to be quiet."""
    return round(STANDARD.factor / sensitivity.fast_factor, 4)


def settling(signal: Signal) -> float:
    """Seconds after a holiday or planned work in which a level's score, held for its time, still knows of it."""
    return sensitivity_of(signal).hold + (LEVEL_SAMPLES - 1) * STEP


def least(signal: Signal) -> float | None:
    """Below this much nothing is told, as the rules write it."""
    return float(f"{signal.least:.6g}") if signal.least is not None else None


def query(signal: Signal) -> str:
    """What is recorded of a signal: a count as events per second, a gauge as it is."""
    if signal.query is not None:
        return signal.query.strip()
    assert signal.metric is not None  # noqa: S101 - one of the two, by Signal
    source = selector(signal.metric, signal.match)
    inner = f"rate({source}[5m])" if signal.kind == "count" else source
    by = f" by ({', '.join(signal.by)})" if signal.by else ""
    return f"sum{by} ({inner})"


def value(signal: Signal) -> str:
    """`signal:value`: the query, without what is no number (NaN compares with nothing)."""
    return f"({query(signal)}\n) > -Inf < +Inf" if "#" in query(signal) else f"({query(signal)}) > -Inf < +Inf"


def groups(file: Signals, calendar_name: str) -> Iterator[Group]:
    """The rules of all signals: for each profile what is now, what is expected, and what was."""
    shifts = sorted({by for _, by in calendar.changes(file.timezone)})
    for name, signals in _profiles(file, calendar_name).items():
        unlearnt = calendar.unlearnt(calendar_name, file, [one.name for one in signals])
        normal = Normal(name, model_of(signals[0]), Calendar(calendar_name, tuple(shifts), tuple(unlearnt)))
        told = [_Alerts(signal, file, calendar_name) for signal in signals]
        values = [record for one in told for record in one.values(name)]
        # alerts too where they ask of weeks: ALERTS has no gaps then
        alerts = [alert for one in told for alert in one.all()]
        yield Group(name, STEP, (*values, *normal.now(), *alerts))
        yield Group(f"{name}:forecast", FORECAST_STEP, tuple(normal.expected()))
        yield Group(f"{name}:past", PAST_STEP, tuple(normal.past()))


def _profiles(file: Signals, name: str) -> dict[str, list[Signal]]:
    found: dict[str, list[Signal]] = {}
    for signal in file.signals:
        found.setdefault(profile(signal, name), []).append(signal)
    return found


def profile(signal: Signal, name: str) -> str:
    """What a signal of the file called `name` shares its rules by."""
    return f"{name}-{signal.kind}-{signal.seasonality}-{signal.sensitivity}"


class _Alerts:
    """What is told of one signal."""

    def __init__(self, signal: Signal, file: Signals, calendar_name: str) -> None:
        self._signal, self._file, self._calendar = signal, file, calendar_name
        self._labels = {"signal": signal.name}
        self._maintenance = file.holding(signal.name)
        self._is_count = signal.kind == "count"
        self._sensitivity = sensitivity_of(signal)

    def _of(self, name: str, **labels: str) -> str:
        return selector(name, {**self._labels, **labels})

    def values(self, profile: str) -> Iterator[Record]:
        """What is recorded of the signal itself."""
        info = {
            "kind": self._signal.kind,
            "unit": self._signal.unit,
            "owner": self._file.owner_of(self._signal),
            "service": self._signal.service,
        }
        told = {name: text for name, text in info.items() if text}
        yield Record("signal_info", "vector(1)", {**self._labels, **told})
        about = "Events per second." if self._is_count else ""
        yield Record("signal:value", value(self._signal), {**self._labels, "profile": profile}, about)

    def all(self) -> Iterator[Alert]:
        """Every alert of the signal."""
        if self._signal.stops_as is not None:
            yield self._stopped(self._signal.stops_as)
        if self._signal.direction != "up":
            yield self._off("SignalBelowNormal", is_below=True)
        if self._signal.direction != "down":
            yield self._off("SignalAboveNormal", is_below=False)
        if self._signal.drift:
            yield self._drifted()
        yield self._gone()

    def _gates(self, holidays: bool = True, settle: float = 0.0) -> list[str]:
        has_holidays = holidays and bool(self._file.holidays)
        found = [*calendar.gates(self._calendar, self._signal.hours, has_holidays, self._maintenance, settle)]
        return found + [f"unless on () (\n  {text.strip()}\n)" for text in self._file.unless]

    def _held(self, name: str, seconds: float) -> str:
        """That a series was there at every evaluation of a time."""
        samples = round(seconds / STEP) + 1
        return f"count_over_time({self._of(name)}[{window(samples)}]) >= {samples} and {self._of(name)}"

    def _untold(self, alert: str, seconds: float) -> str:
        """That an alert did not fire for a time."""
        firing = f'ALERTS{{alertname="{alert}",alertstate="firing",signal={quoted(self._signal.name)}}}'
        on = ", ".join(("signal", *self._signal.by))
        return f"unless on ({on}) last_over_time({firing}[{window(round(seconds / STEP))}])"

    def _minimum(self, name: str = "signal:normal") -> list[str]:
        most = least(self._signal)
        return [f"and {self._of(name)} >= {number(most)}"] if most is not None else []

    def _off(self, name: str, *, is_below: bool) -> Alert:
        note = f"Out of its band for {duration(self._sensitivity.hold)}, at every evaluation."
        return Alert(
            name=name,
            expr="\n".join(self._is_off(is_below)),
            hold=0.0,
            keep=STAY,
            labels=self._alert_labels(self._signal.severity),
            annotations=self._says(name, self._off_message(is_below)),
            note=f"{note} Or at once, where ten minutes are far below." if is_below and self._is_count else note,
        )

    def _is_off(self, is_below: bool) -> Iterator[str]:
        """That a level is beyond its band for its time, or ten minutes of a count are far below theirs."""
        held = self._held(f"signal:{'below' if is_below else 'above'}", self._sensitivity.hold)
        yield f"({held} or {self._of('signal:fast_score')} > 1)" if is_below and self._is_count else f"({held})"
        yield from self._minimum("signal:normal" if is_below else "signal:level")
        yield from self._gates(settle=settling(self._signal))
        if is_below and self._signal.stops_as is not None:
            yield self._untold("SignalStopped", STOPPED_SHADOW)

    def _off_message(self, is_below: bool) -> Message:
        word, factor = "below" if is_below else "above", self._asked("signal:value", "%.2g", over="signal:normal")
        return Message(
            summary=f"{self._title}: {word} its normal",
            description=(
                f"{self._about}{word.capitalize()} what this hour was on other days and weeks: "
                f"{factor} times its normal.{self._young}"
            ),
            **self._measured("signal:fast" if is_below and self._is_count else "signal:level"),
            band=f"{self._scaled('signal:lower')} to {self._scaled('signal:upper')}{self._unit_word}",
            factor=f"{factor} times its normal",
            began=self._began("lower" if is_below else "upper"),
        )

    def _stopped(self, severity: Severity) -> Alert:
        message = Message(
            summary=f"{self._title}: nothing is counted any more",
            description=f"{self._about}Not a single event, at an hour that brings them on other days and weeks.",
            **self._measured("signal:value"),
            factor="0 times its normal",
        )
        return Alert(
            name="SignalStopped",
            expr="\n".join(self._has_stopped()),
            hold=0.0,
            keep=STOPPED_STAY,
            labels=self._alert_labels(severity),
            annotations=self._says("SignalStopped", message),
        )

    def _has_stopped(self) -> Iterator[str]:
        """That nothing comes where enough is expected, even of a holiday."""
        edge = number(stopped_edge(self._sensitivity))
        value, below, normal = (self._of(f"signal:{name}") for name in ("value", "below", "normal"))
        fast = f"{self._of('signal:fast_score')} > {edge}"
        whole = f"count_over_time({value}[{window(LEVEL_SAMPLES)}]) >= {HOUR_SAMPLES}"
        yield "("
        yield f"  ({value} == 0 and {fast} and {normal} * {number(STEP)} >= {number(SURE)})"
        yield f"  or ({below} == 0 and {normal} * 3600 >= {number(SURE)} and {whole})"
        yield ")"
        if self._file.holidays:
            here = f"calendar:holiday{calendar.matcher(self._calendar)}"
            yield f"unless ({normal} * {number(HOLIDAY_SHARE * STEP)} < {number(SURE)} and on () {here})"
        yield from self._minimum()
        yield from self._gates(holidays=False, settle=STOPPED_SETTLE)

    def _drifted(self) -> Alert:
        ratio = f"last_over_time({self._of('signal:drift:ratio')}[{KEPT}])"
        # what was told on one side hides no drift to the other
        below, above = (self._untold(f"Signal{side}Normal", DRIFT_SHADOW) for side in ("Below", "Above"))
        conditions = {
            "down": f"{ratio} < {number(1 - DRIFT)}\n{below}",
            "up": f"{ratio} > {number(1 + DRIFT)}\n{above}",
        }
        wanted = [text for side, text in conditions.items() if self._signal.direction in (side, "both")]
        message = Message(
            summary=f"{self._title}: another level than three weeks ago",
            description=(
                f"{self._about}The mean of the last week differs by more than {number(100 * DRIFT)} % from that of "
                "three weeks before, without having left its band for long: a slope, or a step that is normal now."
            ),
            value_query=f"last_over_time({self._alerting('signal:drift:ratio')}[{KEPT}])",
            value_unit="% of what it was three weeks before",
            normal=f"{number(100 - 100 * DRIFT)} to {number(100 + 100 * DRIFT)} %",
        )
        return Alert(
            name="SignalDrifted",
            expr="\n".join(["(", "\nor ".join(wanted), ")", *self._minimum()]),
            hold=DRIFT_HOLD,
            keep=DAY,
            labels=self._alert_labels("ticket"),
            annotations=self._says("SignalDrifted", message),
        )

    def _gone(self) -> Alert:
        message = Message(
            summary=f"{self._signal.name}: can't be read any more",
            description=(
                f"{self._about}Its query returned nothing for half an hour: the metric is gone or renamed, or what "
                "exports it is down. As long as this lasts nothing is told about it."
            ),
            value_query=f"count(\n{plain(query(self._signal))}\n) or vector(0)",
            value_unit="series",
            normal="at least 1",
        )
        return Alert(
            name="SignalGone",
            # not where it never was: a file may watch what an installation doesn't have
            expr=(
                f"group by (signal) (last_over_time({self._of('signal:known')}[1w]))\n"
                f"unless on (signal) {self._of('signal:value')}"
            ),
            hold=GONE_HOLD,
            keep=0.0,
            # no series is left whose own label `owner` could say it
            labels=self._alert_labels("ticket", owner=self._file.owner_of(self._signal) or self._file.defaults.owner),
            annotations=self._says("SignalGone", message),
        )

    # --- what an alert says

    @property
    def _title(self) -> str:
        return self._signal.name + "".join(f" {{{{ $labels.{label} }}}}" for label in self._signal.by)

    @property
    def _about(self) -> str:
        return f"{plain(self._signal.help).strip().rstrip('.')}. " if self._signal.help.strip() else ""

    @property
    def _unit_word(self) -> str:
        unit = self._signal.unit or ("events/min" if self._is_count else "")
        return f" {plain(unit)}" if unit else ""

    @property
    def _times(self) -> str:
        """What is recorded per second is told per minute."""
        return " * 60" if self._is_count and not self._signal.unit else ""

    def _alert_labels(self, severity: Severity, owner: str | None = None) -> dict[str, str]:
        # what is found normal in which way is no part of what an alert is: an empty label is none
        found = self._file.owner_of(self._signal) if owner is None else owner
        return {**labels(self._labels, self._signal, found, severity), "profile": ""}

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
        asked = self._template(f"{name}{{SIGNAL}}{self._times}")
        return f"{{{{ with {asked} }}}}{{{{ . | first | value | printf `%.4g` }}}}{{{{ end }}}}"

    @property
    def _young(self) -> str:
        limit = number(self._sensitivity.factor)
        is_young = self._template(f"last_over_time(signal:factor{{SIGNAL}}[{KEPT}]) > {limit}")
        return (
            f"{{{{ if {is_young} }}}} Nothing is known of a week ago: "
            "the normal is that of other days, and the band is wider.{{ end }}"
        )

    def _began(self, edge: str) -> str:
        """When the level last crossed the edge of its band, in the last day."""
        comparison = "<" if edge == "lower" else ">"
        inside = f"signal:value{{SIGNAL}} {'>=' if comparison == '<' else '<='} signal:{edge}{{SIGNAL}}"
        text = f"max_over_time(timestamp({inside})[1d:5m])"
        return f"{{{{ with {self._template(text)} }}}}{{{{ . | first | value | printf `%.0f` }}}}{{{{ end }}}}"

    def _says(self, alert: str, message: Message) -> dict[str, str]:
        return annotations(message, self._signal, self._file.runbook_of(self._signal, alert))
