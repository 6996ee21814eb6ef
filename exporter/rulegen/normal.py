"""What is normal, as recording rules: one set of them for all signals of a profile. Pure.

Three groups: what is now (every five minutes), what is expected (every thirty) and what summarises weeks (every six
hours). `exporter.rulegen.evaluate` computes the same locally and names things alike; `exporter.rulegen.model` has the
numbers.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from exporter.rulegen import calendar
from exporter.rulegen.model import (
    AHEAD,
    DRIFT_SPAN,
    ENOUGH_WEEKS,
    FAINT,
    FAST_QUANTILE,
    FAST_SAMPLES,
    FORECAST_KEPT,
    LEARN,
    LEARN_LAG,
    LEAST_LEARNT,
    LEVEL_SAMPLES,
    OTHER_SIDE,
    PAST_KEPT,
    PAST_STEP,
    RELATIVE,
    STEP,
    STRAY_POWER,
    WEEK,
    WEEKLY_SHARE,
    WHOLE_WEEK,
    YOUNG,
    Model,
)
from exporter.rulegen.rules import Record, duration, number, selector

HALF_STEP = STEP / 2
"""Windows end between two samples, so that they hold as many where the left end belongs to them (Prometheus 2) as where
it doesn't (3)."""
KEPT = duration(PAST_KEPT - HALF_STEP)
"""The range in which the newest of what summarises weeks is looked for."""
EXPECTED = duration(FORECAST_KEPT - HALF_STEP)
"""The range in which the newest of what is expected is looked for."""


def window(samples: int) -> str:
    """A range that holds so many samples of the grid, this instant's among them."""
    return duration((samples - 1) * STEP + HALF_STEP)


@dataclass(frozen=True)
class Calendar:
    """What the calendar has for a profile: the group's name, by how many seconds the clocks of its zone change (each
    once), and when nothing is learnt from (`unless` lines)."""

    name: str
    shifts: Sequence[int]
    unlearnt: Sequence[str]


class Normal:
    """The rules of all signals that are found normal in the same way; `profile` is a label of theirs."""

    def __init__(self, profile: str, model: Model, days: Calendar) -> None:
        self._labels = {"profile": profile}
        self._model, self._days = model, days
        self._is_count = model.kind == "count"
        self._is_seasonal = bool(model.lookbacks)

    def _of(self, name: str) -> str:
        return selector(name, self._labels)

    def _over(self, function: str, name: str, samples: int) -> str:
        return f"{function}({self._of(name)}[{window(samples)}])"

    def _past(self, name: str) -> str:
        return f"last_over_time({self._of(name)}[{KEPT}])"

    def _forecast(self, name: str) -> str:
        return f"last_over_time({self._of(name)}[{EXPECTED}])"

    def _record(self, name: str, expr: str, note: str = "") -> Record:
        return Record(name, expr, self._labels, note)

    # --- what is now

    def now(self) -> Iterator[Record]:
        """What is known of every moment, in the order in which it is evaluated."""
        yield self._record("signal:level", self._over("avg_over_time", "signal:value", LEVEL_SAMPLES))
        if self._days.unlearnt:
            note = "What is learnt from: neither holidays nor planned work."
            yield self._record("signal:learnt", "\n".join([self._of("signal:level"), *self._days.unlearnt]), note)
        yield self._record("signal:normal", self._forecast("signal:forecast"))
        normal = self._of("signal:normal")
        yield self._record("signal:upper", f"{normal} + {self._forecast('signal:reach:up')}")
        yield self._record("signal:lower", f"{normal} - {self._forecast('signal:reach:down')}")
        yield self._record("signal:score", self._score(), "0 is normal, 1 the edge of the band.")
        level = self._of("signal:level")
        yield self._record(
            "signal:below", f"{level} < {self._of('signal:lower')}", "The level, where it is out of the band."
        )
        yield self._record("signal:above", f"{level} > {self._of('signal:upper')}")
        if self._is_count:
            value = self._of("signal:value")
            both = " + ".join([value, *(f"{value} offset {duration(ago * STEP)}" for ago in range(1, FAST_SAMPLES))])
            note = "Not of a single sample, which may be of some seconds after a gap."
            yield self._record("signal:fast", f"({both}) / {FAST_SAMPLES}", note)
            far = f"({normal} - {self._of('signal:fast')}) / {self._forecast('signal:fast_reach')}"
            yield self._record("signal:fast_score", f"clamp_min({far}, 0)", "The same for ten minutes, downwards.")

    @property
    def _learnt(self) -> str:
        return "signal:learnt" if self._days.unlearnt else "signal:level"

    def _score(self) -> str:
        level, normal = self._of("signal:level"), self._of("signal:normal")
        up = f"({level} - {normal} >= 0) / ({self._of('signal:upper')} - {normal})"
        down = f"({normal} - {level} > 0) / ({normal} - {self._of('signal:lower')})"
        return f"{up}\nor {down}"

    # --- what is expected

    def expected(self) -> Iterator[Record]:
        """What is expected of the next `FORECAST_STEP` seconds, and how far what was expected was off."""
        learnt, week = self._of(self._learnt), self._past("signal:week")
        if self._is_seasonal:
            if self._model.weeks_outvote:
                hours = "\nor ".join(self._hours(back) for back in self._model.lookbacks if back % WEEK == 0)
                yield self._record("signal:weeks", hours, "The same hour of other weeks.")
            yield self._record("signal:season", self._season(), "The median of the same hour of other days and weeks.")
        if self._is_count:
            yield self._record("signal:unit", self._unit(), "What counts stray by.")
        per_unit = f" / {self._of('signal:unit')}" if self._is_count else ""
        if self._is_seasonal:
            off = f"({learnt} - {self._of('signal:season')}){per_unit}"
            yield self._record(
                "signal:season_deviation", off, "How far each forecast was off: the past learns from it."
            )
        yield self._record("signal:week_deviation", f"({learnt} - {week}){per_unit}")
        yield self._record("signal:forecast", self._combined())
        for side in ("up", "down"):
            yield self._record(
                f"signal:reach:{side}", self._reach(f"signal:stray:{side}", self._model.sensitivity.factor)
            )
        if self._is_count:
            gates = "".join(f"\n{gate}" for gate in self._days.unlearnt)
            off = f"({self._of('signal:fast')} - {self._of('signal:forecast')}) / {self._of('signal:unit')}{gates}"
            yield self._record("signal:fast_deviation", off)
            yield self._record(
                "signal:fast_reach", self._reach("signal:fast_stray", self._model.sensitivity.fast_factor)
            )

    def _season(self) -> str:
        """The median of the hours that the model looks back to."""
        if not self._model.weeks_outvote:
            hours = "\n  or ".join(map(self._hours, self._model.lookbacks))
            return f"quantile without (lookback) (0.5,\n  {hours}\n)"
        weeks = self._of("signal:weeks")
        days = "\n    or ".join(self._hours(back) for back in self._model.lookbacks if back % WEEK)
        few = f"count without (lookback) ({weeks}) < {ENOUGH_WEEKS}"
        days = f"(\n    {days}\n  ) unless ignoring (lookback) ({few})"
        return f"quantile without (lookback) (0.5,\n  {weeks}\n  or {days}\n)"

    def _hours(self, back: int) -> str:
        """The hour so many seconds ago, with the label `lookback`."""
        name = duration(back)
        if self._days.shifts and back % WEEK == 0:
            return f'label_replace(\n{self._by_the_clock(back)},\n    "lookback", "{name}", "", "")'
        return f'label_replace({self._at(back)}, "lookback", "{name}", "", "")'

    def _at(self, back: int, later: int = 0) -> str:
        return f"{self._of(self._learnt)} offset {duration(back - AHEAD - later)}"

    def _by_the_clock(self, back: int) -> str:
        """The same hour by the clock on the wall: another in UTC where the clocks changed since."""
        changed = calendar.shift(self._days.name, back)
        lines = [f"      {self._at(back)} unless on () {changed}"]
        lines += [f"      or {self._at(back, by)} and on () {changed} == {by}" for by in self._days.shifts]
        return "\n".join(lines)

    def _unit(self) -> str:
        week = self._past("signal:week")
        mean = f"{self._of('signal:season')} + {number(WEEKLY_SHARE)} * {week}"
        mean = mean if self._is_seasonal else f"{number(1 + WEEKLY_SHARE)} * {week}"
        return f"clamp_min({mean}, {FAINT}) ^ {number(STRAY_POWER)}"

    def _combined(self) -> str:
        week = self._past("signal:week")
        if not self._is_seasonal:
            return f"{week} and {self._past('signal:stray:up')}"
        return f"{week} + {self._past('signal:share')} * ({self._of('signal:season')} - {week})"

    def _reach(self, stray: str, factor: float) -> str:
        """How far a band reaches: what was strayed, times its factor, and at least a share of what is expected."""
        unit = f" * {self._of('signal:unit')}" if self._is_count else ""
        share = number(round(factor * RELATIVE, 6))
        return f"{self._past(stray)}{unit} + {share} * abs({self._of('signal:forecast')}) + {FAINT}"

    # --- what was

    def past(self) -> Iterator[Record]:
        """What summarises weeks, evaluated every `PAST_STEP`."""
        learnt_week = f"{self._of(self._learnt)}[{duration(WEEK - HALF_STEP)}]"
        yield self._record("signal:week", f"avg_over_time({learnt_week})")
        yield self._record("signal:factor", self._factor(), "Wider while there is nothing from a week ago.")
        yield from self._strays("signal:week_deviation", self._model.sensitivity.quantile)
        if self._is_seasonal:
            yield from self._strays("signal:season_deviation", self._model.sensitivity.quantile)
            yield self._record(
                "signal:share", self._share(), "How much this hour counts, and not the week: by variance."
            )
        for side, other in (("up", "down"), ("down", "up")):
            yield self._record(f"signal:stray:{side}", self._stray(side, other))
        if self._is_count:
            yield from self._strays("signal:fast_deviation", FAST_QUANTILE)
            half = self._at_least_half("signal:fast_deviation", "down", "up")
            factor, enough = number(self._model.sensitivity.fast_factor), self._enough("signal:fast_deviation")
            yield self._record("signal:fast_stray", f"{factor} * {half}\n{enough}")
        yield self._record(
            "signal:known", f"count by (signal) ({self._of('signal:week')})", "How many series a signal has."
        )
        whole = f"{self._of('signal:week')} and count_over_time({learnt_week}) >= {WHOLE_WEEK}"
        yield self._record("signal:whole_week", whole, "Of which at least six days are known.")
        before = f"last_over_time({self._of('signal:whole_week')}[{KEPT}] offset {duration(DRIFT_SPAN)})"
        note = "The mean of a week against that of three weeks before, as a ratio."
        yield self._record("signal:drift:ratio", f"{self._of('signal:whole_week')} / ({before} != 0)", note)

    def _factor(self) -> str:
        week, factor = self._of("signal:week"), self._model.sensitivity.factor
        young = number(round(factor * YOUNG[self._model.kind], 4))
        # or in the six hours after that: an hour without a value is no week without one
        hours, back = duration(PAST_STEP - HALF_STEP), duration(WEEK - PAST_STEP)
        ago = f"present_over_time({self._of('signal:level')}[{hours}] offset {back})"
        return f"({week} and {ago}) * 0 + {number(factor)}\nor {week} * 0 + {young}"

    def _strays(self, name: str, quantile: float) -> Iterator[Record]:
        span, low = self._span(name), number(round(1 - quantile, 6))
        yield self._record(f"{name}:up", f"clamp_min(quantile_over_time({number(quantile)}, {span}), 0)")
        yield self._record(f"{name}:down", f"clamp_min(-quantile_over_time({low}, {span}), 0)")

    def _span(self, name: str) -> str:
        return f"{self._of(name)}[{duration(LEARN - HALF_STEP)}] offset {duration(LEARN_LAG)}"

    def _enough(self, name: str) -> str:
        """Nothing is told of the deviations of less than two days."""
        early = duration(LEARN_LAG + LEAST_LEARNT)
        return f"and present_over_time({self._of(name)}[{duration(WEEK - HALF_STEP)}] offset {early})"

    def _at_least_half(self, name: str, side: str, other: str) -> str:
        """The larger of one side's and half of the other's."""
        half = f"{number(OTHER_SIDE)} * {self._of(f'{name}:{other}')}"
        return f"(({self._of(f'{name}:{side}')} >= {half}) or {half})"

    def _width(self, name: str) -> str:
        sides = (self._at_least_half(name, *sides) for sides in (("up", "down"), ("down", "up")))
        return f"({' + '.join(sides)} + {FAINT})"

    def _share(self) -> str:
        season, week = self._width("signal:season_deviation"), self._width("signal:week_deviation")
        return f"1 / (1 + (\n  {season}\n  / {week}\n) ^ 2)\n{self._enough('signal:season_deviation')}"

    def _stray(self, side: str, other: str) -> str:
        week = self._at_least_half("signal:week_deviation", side, other)
        if self._is_seasonal:
            season = self._at_least_half("signal:season_deviation", side, other)
            share = self._of("signal:share")
            return f"{self._of('signal:factor')} * (\n  {share} * {season}\n  + (1 - {share}) * {week}\n)"
        return f"{self._of('signal:factor')} * {week}\n{self._enough('signal:week_deviation')}"
