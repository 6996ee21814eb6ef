"""A backtest as one page of HTML that needs nothing else. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import jinja2
from markupsafe import Markup

from exporter.rulegen import told
from exporter.rulegen.backtest import Backtested, Span, is_true
from exporter.rulegen.conditions import Watched
from exporter.rulegen.findings import Finding
from exporter.rulegen.history import Grid
from exporter.rulegen.injection import Outcome
from exporter.rulegen.report import words
from exporter.rulegen.report.chart import Frame, Mark, chart
from exporter.rulegen.report.words import Table
from exporter.rulegen.settings import Signal
from toolkit.clock import format_utc

MOST_CHARTS = 4
"""Series of a signal that are drawn, those of which most was told."""
MOST_ZOOMS = 9
WIDTH, HEIGHT, COLUMNS = 1000, 170, 250
ZOOM_WIDTH, ZOOM_HEIGHT, ZOOM_COLUMNS = 330, 120, 96
AROUND = 86_400.0
"""Seconds of the course before and after what a small picture is about."""
_PAGE = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(
    Path(__file__).with_name("page.html").read_text(encoding="utf-8")
)


@dataclass(frozen=True)
class Report:
    """What a page tells. `budget` in false alarms per series and week; `old`: what another file would have told, to
    compare; `outcomes`: what was found of things injected, by the signal."""

    title: str
    span: Span
    grid: Grid
    found: Sequence[Backtested]
    findings: Sequence[Finding]
    has_incidents: bool
    budget: float
    old: Sequence[Backtested] = ()
    outcomes: Mapping[str, Sequence[Outcome]] = field(default_factory=dict)


@dataclass(frozen=True)
class _Picture:
    title: str
    svg: Markup


def page(report: Report) -> str:
    """The page's text."""
    first, last = (format_utc(at, "%-d %B %Y") for at in (report.span.start, report.span.end))
    return _PAGE.render(
        title=report.title,
        subtitle=f"{first} to {last} (UTC)",
        legend=words.legend(report.has_incidents),
        summaries=[
            words.summary(report.found, report.has_incidents),
            *([words.compared(report.found, report.old, report.has_incidents)] if report.old else []),
        ],
        has_incidents=report.has_incidents,
        signals=[_signal(report, one) for one in report.found],
    )


def _signal(report: Report, one: Backtested) -> dict[str, object]:
    drawn = sorted(one.series, key=lambda series: -len(_marks(one, series)))[:MOST_CHARTS]
    tables: list[Table] = [words.by_alert(one, report.has_incidents)]
    if one.trials:
        tables.append(words.trials(one, report.has_incidents))
    outcomes = report.outcomes.get(one.signal.name, ())
    return {
        "name": one.signal.name,
        "about": one.signal.help,
        "words": words.as_it_is(one) if outcomes else words.advised(one.signal, one.advice, report.budget),
        "simulated": words.simulated(outcomes) if outcomes else None,
        "findings": [
            f"{finding.text[:1].upper()}{finding.text[1:]}."
            for finding in report.findings
            if finding.signal == one.signal.name
        ],
        "charts": [_overview(report, one, series) for series in drawn],
        "zooms": list(_zooms(report, one, drawn))[:MOST_ZOOMS],
        "tables": tables,
    }


def _overview(report: Report, one: Backtested, series: Watched) -> _Picture:
    first = max(0, report.grid.place(report.span.start))
    frame = Frame(WIDTH, HEIGHT, first, report.grid.size, COLUMNS)
    title = ", ".join(f'{name}="{value}"' for name, value in series.labels)
    return _Picture(title, _drawn(report, one, series, frame))


def _drawn(report: Report, one: Backtested, series: Watched, frame: Frame) -> Markup:
    return chart(series, report.grid, frame, _marks(one, series), one.incidents, _scale(one.signal))


def _scale(signal: Signal) -> float:
    """Events per second are read per minute."""
    return 60.0 if signal.kind == "count" and not signal.unit else 1.0


def _marks(one: Backtested, series: Watched) -> list[Mark]:
    return [
        Mark(alert.alert, episode, is_true(episode, one.incidents))
        for alert in one.told
        if alert.labels == series.labels and alert.alert != told.GONE
        for episode in alert.episodes
    ]


def _zooms(report: Report, one: Backtested, drawn: Sequence[Watched]) -> Iterator[_Picture]:
    """What happened and what was told of nothing, each from a day before to a day after."""
    for series in drawn:
        marks = _marks(one, series)
        for incident in one.incidents if len(drawn) == 1 else ():
            met = any(is_true(mark.episode, [incident]) for mark in marks)
            text = f"{_when(incident.start)}: {incident.name or 'incident'}{'' if met else ', not found'}"
            yield _Picture(text, _zoom(report, one, series, incident.start, incident.end))
        for mark in marks:
            if not mark.is_true or len(drawn) > 1:
                text = f"{_when(mark.episode.start)}: {mark.alert}"
                yield _Picture(text, _zoom(report, one, series, mark.episode.start, mark.episode.end))


def _when(at: float) -> str:
    return format_utc(at, "%a %-d %b %H:%M")


def _zoom(report: Report, one: Backtested, series: Watched, start: float, end: float) -> Markup:
    first = max(0, report.grid.place(start - AROUND))
    last = min(report.grid.size, report.grid.place(min(end, start + AROUND) + AROUND))
    frame = Frame(ZOOM_WIDTH, ZOOM_HEIGHT, first, max(last, first + 2), ZOOM_COLUMNS)
    return _drawn(report, one, series, frame)
