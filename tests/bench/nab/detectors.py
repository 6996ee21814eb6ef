"""The detectors that are compared, as recording rules over `nab_value`."""

from collections.abc import Sequence
from dataclasses import dataclass

from exporter.rulegen.model import PAST_STEP, QUIET, STANDARD, STAY, YOUNG, Sensitivity
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


def detectors() -> list[Detector]:
    """All of them, ours last."""
    return [
        Detector("z-score over 1 h", [_z_score("1h")], "zscore:1h", 3.0),
        Detector("z-score over 1 d", [_z_score("1d")], "zscore:1d", 3.0),
        Detector("z-score over 1 w", [_z_score("1w")], "zscore:1w", 3.0),
        Detector("Grafana's adaptive bands", _adaptive(), "adaptive:score", 1.0, hold=300.0),
        Detector("seasonal median and week, maximum", _maximum(), "maximum:score", 1.1, hold=1800.0),
        ours("Tocsin, standard", "standard", STANDARD),
        ours("Tocsin, quiet", "quiet", QUIET),
    ]


def ours(name: str, prefix: str, sensitivity: Sensitivity) -> Detector:
    """The rules that Tocsin makes for a gauge, their names beginning with `prefix`."""
    return Detector(name, _ours(prefix, sensitivity), f"{prefix}:score", 1.0, sensitivity.hold)


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


def _ours(prefix: str, sensitivity: Sensitivity) -> list[Record]:
    value, level, expected, stray = (f"{prefix}:{name}" for name in ("value", "level", "expected", "stray"))
    deviation, reach, normal, band = (f"{prefix}:{name}" for name in ("deviation", "reach", "normal", "band"))
    both, high, low = f"(sum without (side) ({reach}))", f"{deviation}:up", f"{deviation}:down"
    past = f"{deviation}[1w6d23h57m30s] offset 6h"
    enough = f"and count_over_time({past}) >= 576"
    young, old = round(sensitivity.factor * YOUNG["gauge"], 4), sensitivity.factor
    return [
        Record(value, f"{SOURCE} > -Inf < +Inf", {}),
        Record(level, f"avg_over_time({value}[57m30s])", {}),
        Record(f"{prefix}:week", f"avg_over_time({level}[6d23h57m30s])", {}, PAST_STEP),
        Record(expected, _median(level), {"model": "season"}),
        Record(expected, f"last_over_time({prefix}:week[7h])", {"model": "week"}),
        Record(deviation, f"{level} - ignoring (model) group_right () {expected}", {}),
        Record(high, f"clamp_min(quantile_over_time({sensitivity.quantile:.6g}, {past}), 0) {enough}", {}, PAST_STEP),
        Record(
            low, f"clamp_min(-quantile_over_time({1 - sensitivity.quantile:.6g}, {past}), 0) {enough}", {}, PAST_STEP
        ),
        Record(stray, f"({high} >= 0.5 * {low}) or 0.5 * {low}", {"side": "up"}, PAST_STEP),
        Record(stray, f"({low} >= 0.5 * {high}) or 0.5 * {high}", {"side": "down"}, PAST_STEP),
        Record(f"{prefix}:factor", f"{level} offset 167h30m * 0 + {old} or {level} * 0 + {young}", {}),
        Record(
            reach,
            f"(last_over_time({stray}[7h]) + ignoring (side) group_left () (0.02 * abs({expected}) + 1e-9))"
            f" * ignoring (model, side) group_left () {prefix}:factor",
            {},
        ),
        Record(normal, f"sum without (model) ({expected} / {both} ^ 2) / sum without (model) (1 / {both} ^ 2)", {}),
        Record(
            band,
            f"sum without (model) (1 / {both}) / ignoring (side) group_right ()"
            f" sum without (model) (1 / ({reach} * ignoring (side) group_left () {both}))",
            {},
        ),
        Record(
            f"{prefix}:score",
            f'(({level} - {normal}) / ignoring (side) {band}{{side="up"}} >= 0)'
            f' or ({normal} - {level}) / ignoring (side) {band}{{side="down"}}',
            {},
        ),
    ]
