"""A backtest as JSON for programs: times in Unix seconds, durations in seconds. Pure."""

from collections.abc import Sequence
from typing import Any

from exporter.rulegen.backtest import Advice, Backtested, Span, Trial, is_true
from exporter.rulegen.episodes import Episode, Judged
from exporter.rulegen.findings import Finding

Json = dict[str, Any]


def document(
    span: Span, found: Sequence[Backtested], old: Sequence[Backtested], findings: Sequence[Finding], budget: float
) -> Json:
    """Everything that the terminal and the page show."""
    return {
        "from": span.start,
        "to": span.end,
        "budget": budget,
        "signals": [_signal(one) for one in found],
        "old": [_signal(one) for one in old],
        "findings": [{"signal": one.signal, "text": one.text, "fatal": one.fatal} for one in findings],
    }


def _signal(one: Backtested) -> Json:
    return {
        "name": one.signal.name,
        "series": len(one.series),
        **_judged(one.judged),
        "alerts": {name: _judged(judged) for name, judged in one.by_alert.items()},
        "episodes": [
            {"alert": alert.alert, "labels": dict(alert.labels), **_episode(episode, one)}
            for alert in one.told
            for episode in alert.episodes
        ],
        "trials": [_trial(trial) for trial in one.trials],
        "recommended": _advice(one.advice) if one.advice is not None else None,
    }


def _judged(judged: Judged) -> Json:
    return {
        "told": judged.episodes,
        "true": judged.true_episodes,
        "incidents": judged.incidents,
        "found": judged.found,
        "precision": judged.precision,
        "recall": judged.recall,
        "false_per_series_week": judged.noise,
        "delay_median_seconds": judged.delay_median,
        "delay_p75_seconds": judged.delay_p75,
        "series_weeks": judged.series_weeks,
    }


def _episode(episode: Episode, one: Backtested) -> Json:
    peak = episode.peak if episode.peak == episode.peak else None  # NaN is no JSON
    return {
        "start": episode.start,
        "end": episode.end if episode.is_over else None,
        "peak": peak,
        "true": is_true(episode, one.incidents),
    }


def _trial(trial: Trial) -> Json:
    judged = trial.judged
    return {
        "factor": trial.factor,
        "hold_seconds": trial.hold,
        "sensitivity": trial.sensitivity,
        "told": judged.episodes,
        "false_per_series_week": judged.noise,
        "recall": judged.recall,
    }


def _advice(advice: Advice) -> Json:
    return {"sensitivity": advice.trial.sensitivity, "within_budget": advice.fits}
