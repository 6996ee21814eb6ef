"""The detectors that are compared, as recording rules over `nab_value`."""

from collections.abc import Sequence
from dataclasses import dataclass

from exporter.rulegen import build
from exporter.rulegen.model import QUIET, STANDARD, STAY, STEP, Sensitivity
from exporter.rulegen.rules import Record as Generated
from exporter.rulegen.settings import Signals
from tests.support.replay import Record

SOURCE = "nab_value"
LEVEL = f"avg_over_time({SOURCE}[1h])"


@dataclass(frozen=True)
class Detector:
    """Rules that record `score`, an alert on it above `shipped` for `hold` seconds, kept firing for `keep`."""

    name: str
    rules: Sequence[Record]
    score: str
    shipped: float
    hold: float = 0.0
    keep: float = STAY
    signal: str = ""
    """Whose score it is, where the rules record several signals' under one name."""


def detectors() -> list[Detector]:
    """All of them, ours last."""
    return [
        Detector("z-score over 1 h", [_z_score("1h")], "zscore:1h", 3.0),
        Detector("z-score over 1 d", [_z_score("1d")], "zscore:1d", 3.0),
        Detector("z-score over 1 w", [_z_score("1w")], "zscore:1w", 3.0),
        Detector("Grafana's adaptive bands", _adaptive(), "adaptive:score", 1.0, hold=300.0),
        Detector("seasonal median and week, maximum", _maximum(), "maximum:score", 1.1, hold=1800.0),
        ours("standard", STANDARD),
        ours("quiet", QUIET),
    ]


def ours(name: str, sensitivity: Sensitivity) -> Detector:
    """The rules that Tocsin generates for a gauge of this sensitivity."""
    file = Signals.model_validate({"signals": [{"name": name, "query": SOURCE, "kind": "gauge", "sensitivity": name}]})
    rules = [
        Record(rule.name, rule.expr, rule.labels, max(STEP, round(group.interval)))
        for group in build.build(file, "nab.yml").groups
        for rule in group.rules
        if isinstance(rule, Generated)
    ]
    return Detector(f"Tocsin, {name}", rules, "signal:score", 1.0, sensitivity.hold, signal=name)


def _z_score(window: str) -> Record:
    spread = f"stddev_over_time({SOURCE}[{window}])"
    return Record(f"zscore:{window}", f"abs({SOURCE} - avg_over_time({SOURCE}[{window}])) / ({spread} > 0)", {})


def _adaptive() -> list[Record]:
    """Bands of two standard deviations of one hour, smoothed over 26 hours, and of the same hour a day and a week ago;
    never narrower than half the mean. What is 0 is left out, as they do."""
    middle, spread = "adaptive:select", "adaptive:spread"
    earlier = [
        f"(avg_over_time({middle}[1h] offset {ago}) {{sign}} 2 * stddev_over_time({middle}[1h] offset {ago}))"
        for ago in ("167h30m", "23h30m")
    ]

    def edge(choice: str, sign: str) -> str:
        parts = [
            f"adaptive:mean {sign} 2 * {spread}",
            f"adaptive:mean * (1 {sign} 0.5)",
            *(one.format(sign=sign) for one in earlier),
        ]
        return f"{choice} without (band) ({' or '.join(_labelled(part, 'band', str(number)) for number, part in enumerate(parts))})"

    return [
        Record(middle, f"{SOURCE} > 0", {}),
        Record("adaptive:mean", f"avg_over_time({middle}[1h])", {}),
        Record("adaptive:deviation", f"stddev_over_time({middle}[1h]) > 0.5 * adaptive:mean", {}),
        Record(spread, "avg_over_time(adaptive:deviation[26h])", {}),
        Record("adaptive:upper", edge("max", "+"), {}),
        Record("adaptive:lower", f"clamp_min({edge('min', '-')}, 0)", {}),
        Record(
            "adaptive:score",
            f"(({middle} - adaptive:mean) / (adaptive:upper - adaptive:mean) >= 0)"
            f" or (adaptive:mean - {middle}) / (adaptive:mean - adaptive:lower)",
            {},
        ),
    ]


def _maximum() -> list[Record]:
    """The best rule published so far: two models, each with one band, and the larger score."""
    return [
        Record("maximum:level", LEVEL, {}),
        Record("maximum:expected", _median("maximum:level"), {"model": "season"}),
        Record("maximum:expected", "avg_over_time(maximum:level[1w])", {"model": "week"}),
        Record("maximum:deviation", "abs(maximum:expected - ignoring (model) group_left () maximum:level)", {}),
        Record("maximum:scale", "quantile_over_time(0.99, maximum:deviation[2w] offset 6h)", {}, 3600),
        Record(
            "maximum:score",
            "max without (model) (maximum:deviation"
            " / (last_over_time(maximum:scale[2h]) + 0.02 * abs(maximum:expected) + 1e-9))",
            {},
        ),
    ]


def _median(level: str) -> str:
    ago = {
        "1d": "23h30m",
        "2d": "47h30m",
        "3d": "71h30m",
        "1w": "167h30m",
        "2w": "335h30m",
        "3w": "503h30m",
        "4w": "671h30m",
    }
    parts = (_labelled(f"{level} offset {offset}", "lookback", name) for name, offset in ago.items())
    return f"quantile without (lookback) (0.5, {' or '.join(parts)})"


def _labelled(expression: str, label: str, value: str) -> str:
    return f'label_replace({expression}, "{label}", "{value}", "", "")'
