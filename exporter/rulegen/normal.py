"""What is normal, as recording rules: one set of them for all signals of a profile. Pure.

`exporter.rulegen.evaluate` computes the same locally and names things alike; `exporter.rulegen.model` has the numbers.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from exporter.rulegen import calendar
from exporter.rulegen.model import (
    AHEAD,
    DRIFT_SPAN,
    FAINT,
    FAST_QUANTILE,
    FAST_SAMPLES,
    LEARN,
    LEARN_LAG,
    LEAST_LEARNT,
    LEVEL_SAMPLES,
    LOOKBACKS,
    OTHER_SIDE,
    PAST_KEPT,
    RELATIVE,
    STEP,
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


def window(samples: int) -> str:
    """A range that holds so many samples of the grid, this instant's among them."""
    return duration((samples - 1) * STEP + HALF_STEP)


@dataclass(frozen=True)
class Calendar:
    """What the calendar has for a profile: the group's name, whether the clocks of its zone change, and when nothing is
    learnt from (`unless` lines)."""

    name: str
    shifts: bool
    unlearnt: Sequence[str]


class Normal:
    """The rules of all signals that are found normal in the same way; `profile` is a label of theirs."""

    def __init__(self, profile: str, model: Model, days: Calendar) -> None:
        self._labels = {"profile": profile}
        self._model, self._days = model, days
        self._is_count = model.kind == "count"
        self._shifts = days.shifts and bool(LOOKBACKS[model.seasonality])

    def _of(self, name: str, **labels: str) -> str:
        return selector(name, {**self._labels, **labels})

    def _over(self, function: str, name: str, samples: int) -> str:
        return f"{function}({self._of(name)}[{window(samples)}])"

    def _record(self, name: str, expr: str, note: str = "", **labels: str) -> Record:
        return Record(name, expr, {**self._labels, **labels}, note)

    # --- what is now

    def now(self) -> Iterator[Record]:
        """What is known of every moment, in the order in which it is evaluated."""
        yield self._record("signal:level", self._over("avg_over_time", "signal:value", LEVEL_SAMPLES))
        if self._days.unlearnt:
            note = "What is learnt from: neither holidays nor planned work."
            yield self._record("signal:learnt", "\n".join([self._of("signal:level"), *self._days.unlearnt]), note)
        yield from self._expected()
        if self._is_count:
            yield self._record("signal:unit", self._unit(), "Counts stray by the root of what is expected (Poisson).")
        yield self._record(
            "signal:deviation", self._deviation(), "How far each forecast was off; the past is learnt from it."
        )
        yield self._record("signal:factor", self._factor(), "Wider while there is nothing from a week ago.")
        if self._shifts:
            yield self._record(
                "signal:slope", self._slope(), "For four weeks after the clocks changed: what an hour makes."
            )
        yield self._record("signal:reach", self._reach(), "How far each forecast's band reaches.")
        yield self._record("signal:normal", self._normal(), "Both forecasts, weighted by how little they stray.")
        yield self._record("signal:band", self._band())
        yield self._record("signal:upper", self._edge("+", "up"))
        yield self._record("signal:lower", self._edge("-", "down"))
        yield self._record("signal:score", self._score(), "0 is normal, 1 the edge of the band.")
        if self._is_count:
            fast = (self._over(f"{word}_over_time", "signal:value", FAST_SAMPLES) for word in ("avg", "count"))
            note = "Not of a single sample, which may be of some seconds after a gap."
            yield self._record("signal:fast", " and ".join(fast) + f" >= {FAST_SAMPLES}", note)
            yield self._record("signal:fast_deviation", self._fast_deviation())
            yield self._record("signal:fast_score", self._fast_score(), "The same for ten minutes, downwards.")

    @property
    def _learnt(self) -> str:
        return "signal:learnt" if self._days.unlearnt else "signal:level"

    def _expected(self) -> Iterator[Record]:
        learnt = self._of(self._learnt)
        lines = [
            f'label_replace({learnt} offset {duration(back - AHEAD)}, "lookback", "{duration(back)}", "", "")'
            for back in LOOKBACKS[self._model.seasonality]
        ]
        if lines:
            median = "\n  or ".join(lines)
            yield self._record("signal:expected", f"quantile without (lookback) (0.5,\n  {median}\n)", model="season")
        yield self._record("signal:expected", self._latest("signal:week"), model="week")

    def _latest(self, name: str, **labels: str) -> str:
        return f"last_over_time({self._of(name, **labels)}[{KEPT}])"

    def _unit(self) -> str:
        week = self._of("signal:expected", model="week")
        if not LOOKBACKS[self._model.seasonality]:
            return f"sqrt(clamp_min(sum without (model) ({number(1 + WEEKLY_SHARE)} * {week}), {FAINT}))"
        season = self._of("signal:expected", model="season")
        return f"sqrt(clamp_min(sum without (model) ({season} or {number(WEEKLY_SHARE)} * {week}), {FAINT}))"

    def _deviation(self) -> str:
        text = f"{self._of(self._learnt)} - ignoring (model) group_right () {self._of('signal:expected')}"
        return f"({text}) / ignoring (model) group_left () {self._of('signal:unit')}" if self._is_count else text

    def _factor(self) -> str:
        ago, level = duration(WEEK - AHEAD), self._of("signal:level")
        factor = self._model.sensitivity.factor
        young = number(round(factor * YOUNG[self._model.kind], 4))
        return f"{level} offset {ago} * 0 + {number(factor)}\nor {level} * 0 + {young}"

    def _slope(self) -> str:
        level = self._of("signal:level")
        hour = f"abs({level} offset {duration(WEEK - 3600)} - {level} offset {duration(WEEK + 3600)})"
        changed = f"calendar:clock_changed:seconds4w{calendar.matcher(self._days.name)}"
        return f"({hour} and on () {changed})\nor {level} * 0"

    def _reach(self) -> str:
        stray = self._latest("signal:stray")
        if self._is_count:
            stray += f" * ignoring (model, side) group_left () {self._of('signal:unit')}"
        lines = [
            f"  {stray}",
            f"  + ignoring (side) group_left () ({number(RELATIVE)} * abs({self._of('signal:expected')}) + {FAINT})",
        ]
        if self._shifts:
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
        return f"({up} >= 0)\nor {down}"

    def _fast_deviation(self) -> str:
        gates = "".join(f"\n{gate}" for gate in self._days.unlearnt)
        return f"({self._of('signal:fast')} - {self._of('signal:normal')}) / {self._of('signal:unit')}{gates}"

    def _fast_score(self) -> str:
        normal = self._of("signal:normal")
        slope = f" + {self._of('signal:slope')}" if self._shifts else ""
        factor = number(self._model.sensitivity.fast_factor)
        return (
            f"clamp_min(({normal} - {self._of('signal:fast')}) / (\n"
            f"  {factor} * ({self._latest('signal:fast_stray')} * {self._of('signal:unit')}"
            f" + {number(RELATIVE)} * abs({normal}) + {FAINT}{slope})\n"
            "), 0)"
        )

    # --- what was

    def past(self) -> Iterator[Record]:
        """What summarises weeks, evaluated every `PAST_STEP`."""
        yield self._record("signal:week", f"avg_over_time({self._of(self._learnt)}[{duration(WEEK - HALF_STEP)}])")
        quantile = self._model.sensitivity.quantile
        yield from self._strays("signal:deviation", quantile)
        for side, other in (("up", "down"), ("down", "up")):
            yield self._record(
                "signal:stray", self._at_least_half("signal:deviation:" + side, "signal:deviation:" + other), side=side
            )
        if self._is_count:
            yield from self._strays("signal:fast_deviation", FAST_QUANTILE)
            yield self._record(
                "signal:fast_stray", self._at_least_half("signal:fast_deviation:down", "signal:fast_deviation:up")
            )
        week = f"{self._of(self._learnt)}[{duration(WEEK - HALF_STEP)}]"
        whole = f"{self._of('signal:week')} and count_over_time({week}) >= {WHOLE_WEEK}"
        yield self._record("signal:whole_week", whole, "Of which at least six days are known.")
        before = f"last_over_time({self._of('signal:whole_week')}[{KEPT}] offset {duration(DRIFT_SPAN)})"
        note = "The mean of a week against that of three weeks before, as a ratio."
        yield self._record("signal:drift:ratio", f"{self._of('signal:whole_week')} / ({before} != 0)", note)

    def _strays(self, name: str, quantile: float) -> Iterator[Record]:
        span = f"{self._of(name)}[{duration(LEARN - HALF_STEP)}] offset {duration(LEARN_LAG)}"
        enough = f"and count_over_time({span}) >= {LEAST_LEARNT}"
        yield self._record(f"{name}:up", f"clamp_min(quantile_over_time({number(quantile)}, {span}), 0)\n{enough}")
        low = number(round(1 - quantile, 6))
        yield self._record(f"{name}:down", f"clamp_min(-quantile_over_time({low}, {span}), 0)\n{enough}")

    def _at_least_half(self, name: str, other: str) -> str:
        """The larger of one side's and half of the other's."""
        half = f"{number(OTHER_SIDE)} * {self._of(other)}"
        return f"({self._of(name)} >= {half})\nor {half}"
