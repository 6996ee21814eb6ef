"""Figures of a backtest as words and cells, the same for the terminal and the page. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from exporter.rulegen.backtest import FACTORS, HOLDS, Advice, Backtested, Trial, all_of
from exporter.rulegen.episodes import Judged
from exporter.rulegen.injection import Case, Outcome
from exporter.rulegen.settings import Signal
from exporter.rulegen.told import GONE
from toolkit.clock import format_duration

NONE = "-"
HEADS = ("signal", "series", "told", "false", "precision", "recall", "noise", "delay", "p75")
PLAIN_HEADS = ("signal", "series", "told", "noise")
LEGEND = (
    "Noise: false alarms per series and week. Delay: from an incident's start to the first message, median and p75."
)
NO_INCIDENTS = "No incidents were given: every episode counts as a false alarm, and noise is what is told at all."


@dataclass(frozen=True)
class Table:
    """Cells of text; the first row names the columns."""

    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def legend(has_incidents: bool) -> str:
    """What the columns mean."""
    return LEGEND if has_incidents else NO_INCIDENTS


def share(value: float | None) -> str:
    """0..1 in percent."""
    return NONE if value is None else f"{value:.0%}"


def delay(seconds: float | None) -> str:
    """Seconds as people read them."""
    return NONE if seconds is None else format_duration(seconds)


def row(name: str, series: int, judged: Judged, has_incidents: bool) -> tuple[str, ...]:
    """One line of figures, under HEADS or PLAIN_HEADS."""
    if not has_incidents:
        return name, str(series), str(judged.episodes), f"{judged.noise:.2f}"
    return (
        name,
        str(series),
        str(judged.episodes),
        str(judged.episodes - judged.true_episodes),
        share(judged.precision),
        f"{judged.found} of {judged.incidents}",
        f"{judged.noise:.2f}",
        delay(judged.delay_median),
        delay(judged.delay_p75),
    )


def summary(found: Sequence[Backtested], has_incidents: bool) -> Table:
    """All signals and their sum."""
    rows = [row(one.signal.name, len(one.series), one.judged, has_incidents) for one in found]
    if len(found) > 1:
        rows.append(row("all", sum(len(one.series) for one in found), all_of(found), has_incidents))
    return Table("Signals", HEADS if has_incidents else PLAIN_HEADS, tuple(rows))


def by_alert(one: Backtested, has_incidents: bool) -> Table:
    """What each alert of a signal did."""
    rows = [
        row(name, len(one.series), judged, has_incidents)
        for name, judged in one.by_alert.items()
        if judged.episodes and name != GONE
    ]
    heads = HEADS if has_incidents else PLAIN_HEADS
    return Table("By alert", ("alert", *heads[1:]), tuple(rows))


def compared(new: Sequence[Backtested], old: Sequence[Backtested], has_incidents: bool) -> Table:
    """The signals that both files have, the old above the new."""
    before = {one.signal.name: one for one in old}
    rows = []
    for one in new:
        was = before.get(one.signal.name)
        if was is not None:
            rows.append(row(f"{one.signal.name}, old", len(was.series), was.judged, has_incidents))
            rows.append(row(f"{one.signal.name}, new", len(one.series), one.judged, has_incidents))
    return Table("Old against new", HEADS if has_incidents else PLAIN_HEADS, tuple(rows))


def trials(one: Backtested, has_incidents: bool) -> Table:
    """The factor of the band down, how long a level must be outside across."""
    tried = {(trial.factor, trial.hold): trial for trial in one.trials if trial.sensitivity != "quiet"}
    rows = tuple((f"{factor:g}", *(_cell(tried[factor, hold], has_incidents) for hold in HOLDS)) for factor in FACTORS)
    heads = ("factor", *(f"for {format_duration(hold)}" if hold else "at once" for hold in HOLDS))
    quiet = next(trial for trial in one.trials if trial.sensitivity == "quiet")
    title = f"Factor x hold: {_cells(has_incidents)}; quiet: {_cell(quiet, has_incidents)}"
    return Table(title, heads, rows)


def _cells(has_incidents: bool) -> str:
    return "false alarms per series-week, recall" if has_incidents else "told per series-week"


def _cell(trial: Trial, has_incidents: bool) -> str:
    noise = f"{trial.judged.noise:.2f}"
    return f"{noise}, {share(trial.judged.recall)}" if has_incidents and trial.judged.incidents else noise


def advised(signal: Signal, advice: Advice | None, budget: float) -> str:
    """The recommendation in a sentence; empty where no other sensitivity was tried."""
    if advice is None:
        return ""
    value, judged = advice.trial.sensitivity, advice.trial.judged
    text = value if isinstance(value, str) else f"{value:g}"
    figures = f"{judged.noise:.2f} false alarms per series-week"
    if judged.incidents:
        figures += f", {judged.found} of {judged.incidents} incidents found"
    if not advice.fits:
        return (
            f"No sensitivity keeps the budget of {budget:g}: the least noisy is '{text}' ({figures}). Look at the "
            "false episodes: planned work, holidays, or a query of another kind?"
        )
    if value == signal.sensitivity:
        return f"Its sensitivity '{text}' is the best within the budget of {budget:g} ({figures})."
    return f"Recommended within the budget of {budget:g}: 'sensitivity: {text}' ({figures})."


def simulated(outcomes: Sequence[Outcome]) -> Table:
    """What of each case was found, and how soon."""
    rows = tuple((_case(one.case), str(one.injected), share(one.recall), delay(one.delay_median)) for one in outcomes)
    return Table("Injected", ("case", "times", "found", "delay"), rows)


def _case(case: Case) -> str:
    length = format_duration(case.seconds)
    if case.kind == "drift":
        return f"drift to {case.factor:.0%} in {length}"
    if case.kind == "outage":
        return f"outage for {length}"
    return f"{case.kind} to {case.factor:.0%} for {length}"


def as_it_is(one: Backtested) -> str:
    """The noise beside what a simulation finds."""
    text = f"{one.judged.noise:.2f} told per series-week without anything injected"
    return f"sensitivity {one.signal.sensitivity}, {text}"
