"""The generator of rules: what a file of signals may say, local time in PromQL, burn rates, and what is never overwritten."""

import datetime
import re
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from exporter.__main__ import COMMAND
from exporter.rulegen import build, calendar, document, slos
from exporter.rulegen.rules import Alert, duration
from exporter.rulegen.settings import Signals, Slo, lint
from toolkit.clock import parse_duration
from toolkit.configfile import ConfigError, load

COUNT = "{name: a, metric: x_total, kind: count}"


def loaded(folder: Path, text: str) -> Signals:
    path = folder / "shop.yml"
    path.write_text(text, encoding="utf-8")
    return load(path, Signals, lint)


REFUSED = {
    "a counter, which only grows, as a gauge": (
        "signals: [{name: a, metric: x_total, kind: gauge}]",
        "1:11: signals[0]: 'x_total' is named like a counter, which only grows, and kind is gauge; say 'kind: count', or",
    ),
    "neither a metric nor a query": (
        "signals: [{name: a, kind: gauge}]",
        "needs one of 'metric' (a name) and 'query' (PromQL)",
    ),
    "both of them": ("signals: [{name: a, kind: gauge, metric: x, query: x}]", "needs one of 'metric'"),
    "matchers beside a query": (
        "signals: [{name: a, kind: gauge, query: x, match: {plan: pro}}]",
        "'match' belongs to 'metric'; write it into the query",
    ),
    "a query whose bracket is never closed": (
        'signals: [{name: a, kind: gauge, query: "sum(rate(x[5m])"}]',
        "signals[0].query: '(' is never closed",
    ),
    "a query with a bracket too many": (
        'signals: [{name: a, kind: gauge, query: "sum(x))"}]',
        "signals[0].query: ')' closes nothing: not an expression of PromQL",
    ),
    "a label that the rules give a meaning of their own": (
        "signals: [{name: a, kind: count, metric: x_total, by: [profile]}]",
        "signals[0].by[0]: the rules give the label 'profile' a meaning of their own",
    ),
    "one name for two signals": (f"signals: [{COUNT}, {COUNT}]", "signals[1].name: 'a' is also the name of signals[0]"),
    "a setting that is misspelt": (
        "signals: [{name: a, kind: count, metric: x_total, direktion: up}]",
        "signals[0].direktion: unknown key; did you mean 'direction'?",
    ),
    "an outage of a gauge, which may well be 0": (
        "signals: [{name: a, kind: gauge, metric: x, outage: page}]",
        "outage: only counts stop",
    ),
    "a minimum of events of a gauge": (
        "signals: [{name: a, kind: gauge, metric: x, minimum: {events: 3}}]",
        "minimum.events is for counts; of a gauge say",
    ),
    "a time zone that there isn't": ("timezone: Europe/Lisbn", "is no time zone of the IANA database"),
    "a holiday that ends before it begins": (
        "holidays: [{from: 2026-12-26, to: 2026-12-24}]",
        "ends on 2026-12-24, before it begins on 2026-12-26",
    ),
    "planned work without a zone": (
        "maintenance: [{from: 2026-12-26T10:00:00, to: 2026-12-26T11:00:00Z}]",
        "is no instant with its zone",
    ),
    "planned work of a signal that nobody has": (
        f"signals: [{COUNT}]\nmaintenance: [{{from: 2026-12-26T10:00:00Z, to: 2026-12-26T11:00:00Z, signals: [b]}}]",
        "maintenance[0].signals[0]: no signal is named 'b'; known: a",
    ),
    "hours over midnight": (
        'signals: [{name: a, kind: count, metric: x_total, hours: {from: "22:00", to: "06:00"}}]',
        "closes before it opens; hours over midnight are two",
    ),
    "an objective as a share": (
        "slos: [{name: a, objective: 0.999, availability: {errors: x, total: y}}]",
        "slos[0].objective: is in percent; did you mean 99.9?",
    ),
    "an objective of nothing": (
        "slos: [{name: a, objective: 99}]",
        "needs one of availability, latency, freshness, third",
    ),
    "a bucket's name for a histogram's": (
        "slos: [{name: a, objective: 99, latency: {histogram: x_seconds_bucket, at_most: 0.3}}]",
        "name the histogram itself, 'x_seconds'",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_file_is_refused_with_its_place_for(case: str, tmp_path: Path) -> None:
    text, says = REFUSED[case]
    with pytest.raises(ConfigError) as refused:
        loaded(tmp_path, text)
    assert says in str(refused.value)
    assert re.match(r".*shop\.yml:\d+:\d+: ", str(refused.value))


@pytest.mark.parametrize("value", ["20", "0", "quite", "[1]"])
def test_a_sensitivity_that_there_isnt_is_refused_in_one_line(value: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        loaded(tmp_path, f"signals: [{{name: a, kind: count, metric: x_total, sensitivity: {value}}}]")
    says = "signals[0].sensitivity: should be 'standard', 'quiet', or a number above 0, at most 10"
    assert [problem.message for problem in refused.value.problems] == [says]


# --- local time


YEARS = [datetime.datetime(year, 1, 2, tzinfo=datetime.UTC) for year in (calendar.FIRST_YEAR, calendar.LAST_YEAR)]


def offset_by_rule(timezone: str, at: float) -> int:
    """`calendar:local_time:seconds` minus the time, read from the rule's own text."""
    rule = calendar.group("shop", timezone, ()).rules[0]
    terms = re.findall(r"([+-]) (\d+) \* \(time\(\) >= bool (\d+)\)", rule.expr)
    first = re.search(r"time\(\) \+ (-?\d+)", rule.expr)
    assert first is not None
    return int(first[1]) + sum((1 if sign == "+" else -1) * int(by) for sign, by, since in terms if at >= int(since))


@given(
    st.sampled_from(
        ["Europe/Lisbon", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "UTC", "America/Asuncion"]
    ),
    st.integers(int(YEARS[0].timestamp()), int(YEARS[1].timestamp())),
)
def test_the_rule_of_a_time_zone_says_what_the_database_says(timezone: str, at: int) -> None:
    offset = datetime.datetime.fromtimestamp(at, ZoneInfo(timezone)).utcoffset()
    assert offset is not None
    assert offset_by_rule(timezone, at) == offset.total_seconds()


@given(st.integers(1, 10**8))
def test_a_duration_in_promql_is_the_same_time(seconds: int) -> None:
    assert parse_duration(duration(seconds)) == seconds


# --- objectives

BURNS = {
    "three nines, all four": (99.9, [14.4, 6, 3, 1]),
    "93.1 %, where 14.4 times the budget is less than every request": (93.1, [14.4, 6, 3, 1]),
    "93 %, where 14.4 times the budget is more than all requests": (93.0, [6, 3, 1]),
    "a half, where only the slowest can happen": (50.0, [1]),
}


@pytest.mark.parametrize("case", BURNS)
def test_only_what_can_happen_is_watched(case: str) -> None:
    objective, factors = BURNS[case]
    slo = Slo.model_validate({"name": "a", "objective": objective, "availability": {"errors": "e", "total": "t"}})
    assert [burn.factor for burn in slos.BURNS if slos.can_fire(burn, slo)] == factors
    alerts = [rule for group in slos.groups(slo, Signals(), "shop") for rule in group.rules if isinstance(rule, Alert)]
    assert len([alert for alert in alerts if alert.name == "ErrorBudgetBurn"]) == len(factors)


def test_a_burn_waits_for_as_many_requests_as_tell_it_from_a_single_error() -> None:
    slo = Slo.model_validate({"name": "a", "objective": 99.9, "availability": {"errors": "e", "total": "t"}})
    first = next(
        rule for group in slos.groups(slo, Signals(), "shop") for rule in group.rules if isinstance(rule, Alert)
    )
    assert "[1h]) * 60 >= 70" in first.expr  # 1 / (14.4 * 0.001) = 69.4


# --- what is written

SHOP = """
timezone: Europe/Lisbon
holidays: [2026-12-25]
defaults: {owner: growth}
signals:
  - {name: checkouts, metric: shop_checkouts_total, by: [plan], kind: count}
  - {name: revenue, query: sum(shop_revenue), kind: gauge, direction: down, sensitivity: quiet}
slos:
  - {name: api, objective: 99.9, availability: {errors: 'http_requests_total{code=~"5.."}', total: http_requests_total}}
"""


def test_the_same_file_gives_the_same_text(tmp_path: Path) -> None:
    one, two = (build.build(loaded(tmp_path, SHOP), "shop.yml") for _ in range(2))
    assert (one.rules, one.tests) == (two.rules, two.tests)
    assert yaml.safe_load(one.rules)["groups"]


def test_signals_that_are_found_normal_alike_share_their_rules(tmp_path: Path) -> None:
    def rules(signals: str) -> int:
        return sum(len(group.rules) for group in build.build(loaded(tmp_path, f"signals: [{signals}]"), "s.yml").groups)

    one, two = rules(COUNT), rules(f"{COUNT}, {COUNT.replace('name: a', 'name: b')}")
    own_rules = 7  # signal_info, signal:value, and five alerts
    assert two - one == own_rules


def test_what_was_changed_by_hand_is_not_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, rules = tmp_path / "shop.yml", tmp_path / "shop.rules.yml"
    path.write_text(SHOP, encoding="utf-8")
    arguments = ["rules", "build", str(path)]
    assert COMMAND.main(arguments) == 0
    assert COMMAND.main(arguments) == 0, "what this command wrote, it may write again"
    written = rules.read_text(encoding="utf-8")
    rules.write_text(written.replace("for: 12h", "for: 1h"), encoding="utf-8")
    capsys.readouterr()
    assert COMMAND.main(arguments) == 1
    said = capsys.readouterr().err
    assert "-        for: 1h" in said
    assert "+        for: 12h" in said
    assert "--force" in said
    assert "for: 1h" in rules.read_text(encoding="utf-8")
    assert COMMAND.main([*arguments, "--force"]) == 0
    assert rules.read_text(encoding="utf-8") == written


def test_a_file_that_somebody_else_wrote_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "shop.yml").write_text(SHOP, encoding="utf-8")
    (tmp_path / "shop.rules.yml").write_text("groups: []\n", encoding="utf-8")
    assert COMMAND.main(["rules", "build", str(tmp_path / "shop.yml")]) == 1
    assert (tmp_path / "shop.rules.yml").read_text(encoding="utf-8") == "groups: []\n"
    assert not (tmp_path / "shop.test.yml").exists(), "one of two is refused: neither is written"


def test_a_difference_is_shown_and_nothing_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "shop.yml").write_text(SHOP, encoding="utf-8")
    assert COMMAND.main(["rules", "build", str(tmp_path / "shop.yml"), "--diff"]) == 1
    assert "+      - alert: SignalStopped" in capsys.readouterr().out
    assert not (tmp_path / "shop.rules.yml").exists()


@given(st.text(max_size=300))
def test_a_sealed_text_is_known_by_its_sum(text: str) -> None:
    sealed = document.sealed(text, "shop.yml")
    assert document.is_untouched(sealed)
    assert not document.is_untouched(sealed + "x")
    assert not document.is_untouched(text)


def expressions(text: str, folder: Path) -> str:
    return "\n".join(
        rule.expr for group in build.build(loaded(folder, text), "shop.yml").groups for rule in group.rules
    )


def test_planned_work_of_one_signal_is_not_that_of_others_and_begins_none_anew(tmp_path: Path) -> None:
    planned = "maintenance: [{from: 2026-12-05T22:00:00Z, to: 2026-12-06T02:00:00Z, signals: [a]}]"
    others = f"signals: [{COUNT}, {COUNT.replace('name: a', 'name: b')}]"
    slo = "slos: [{name: api, objective: 99.9, availability: {errors: e, total: t}}]"
    with_, without = (build.build(loaded(tmp_path, f"{others}\n{slo}\n{more}"), "s.yml") for more in (planned, ""))
    assert [group.name for group in with_.groups] == [group.name for group in without.groups]
    assert with_.groups[-2:] == without.groups[-2:], "the objective knows nothing of it"


def test_what_an_operator_writes_is_no_template(tmp_path: Path) -> None:
    text = "signals: [{name: a, kind: count, metric: x_total, help: 'Of {{ $value }}', owner: '{{ team', match: {r: '/{{id}}'}}]"
    built = build.build(loaded(tmp_path, text), "shop.yml")
    alerts = [rule for group in built.groups for rule in group.rules if isinstance(rule, Alert)]
    assert {alert.labels["owner"] for alert in alerts} == {"{{ `{{` }} team"}
    assert all("Of {{ `{{` }} $value }}" in alert.annotations["description"] for alert in alerts)


def test_a_comment_at_the_end_of_a_query_ends_with_its_line(tmp_path: Path) -> None:
    assert "# (no)\n) > -Inf" in expressions("signals: [{name: a, kind: gauge, query: 'sum(x) # (no)'}]", tmp_path)


def test_two_files_record_different_series(tmp_path: Path) -> None:
    profiles = {
        label
        for name in ("one.yml", "two.yml")
        for group in build.build(loaded(tmp_path, f"signals: [{COUNT}]"), name).groups
        for rule in group.rules
        if (label := rule.labels.get("profile"))
    }
    assert profiles == {"one-count-weekly-standard", "two-count-weekly-standard"}
