"""Every shipped alert has an owner, a runbook, and a test for promtool that expects it to fire."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
import yaml

from tests.conftest import ROOT

CONFIG, TESTS = ROOT / "config", ROOT / "tests" / "rules"
MATCHER = re.compile(r'(\w+)="([^"]*)"')


@dataclass(frozen=True)
class Alert:
    """An alerting rule as it is written; labels may be templates."""

    name: str
    labels: Mapping[str, str]
    runbook: str

    def is_met_by(self, labels: Mapping[str, str]) -> bool:
        """Whether an alert with these labels, of which some may not be said, can be this one."""
        fixed = {name: text for name, text in self.labels.items() if text and "{{" not in text}
        return labels["alertname"] == self.name and all(labels.get(name, text) == text for name, text in fixed.items())


def rules() -> Iterator[dict[str, Any]]:
    for path in sorted((CONFIG / "rules").glob("*.yml")):
        for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]:
            yield from group["rules"]


def expected() -> Iterator[Mapping[str, str]]:
    """The labels of every alert that a test expects to fire."""
    for path in sorted(TESTS.glob("*.test.yml")):
        for test in yaml.safe_load(path.read_text(encoding="utf-8"))["tests"]:
            for case in test.get("alert_rule_test", ()):
                for alert in case.get("exp_alerts") or ():
                    yield {**alert["exp_labels"], "alertname": case["alertname"]}
            for case in test.get("promql_expr_test", ()):
                if case.get("exp_samples"):
                    yield from firing(case["expr"])


def firing(expression: str) -> Iterator[Mapping[str, str]]:
    for matchers in re.findall(r"ALERTS\{([^}]*)\}", expression):
        found = dict(MATCHER.findall(matchers))
        if found.pop("alertstate", "") == "firing" and "alertname" in found:
            yield found


ALERTS = [
    Alert(rule["alert"], rule["labels"], rule["annotations"].get("runbook_url", ""))
    for rule in rules()
    if "alert" in rule
]
EXPECTED = list(expected())
OWNED_BY_QUERY = {
    rule["labels"]["signal"]
    for rule in rules()
    if rule.get("record") == "signal:value" and re.search(r"\bby \([^)]*\bowner\b", rule["expr"])
}
"""Signals whose query returns the label `owner`."""
EACH = pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: f"{alert.name}-{alert.labels.get('severity')}")


@EACH
def test_a_test_expects_every_alert_to_fire(alert: Alert) -> None:
    # SignalDrifted stands on four weeks, for which promtool takes minutes: its tests give it the ratio of these weeks, and
    # test_rulegen_evaluate.py holds the ratio's arithmetic against Prometheus
    assert any(alert.is_met_by(labels) for labels in EXPECTED)


@EACH
def test_every_alert_has_an_owner(alert: Alert) -> None:
    is_told = any(alert.is_met_by(labels) and labels.get("owner") for labels in EXPECTED)
    assert alert.labels.get("owner") or is_told or alert.labels.get("signal") in OWNED_BY_QUERY


@EACH
def test_every_alert_leads_to_a_runbook_that_exists(alert: Alert) -> None:
    page = alert.runbook.rpartition("/")[2]
    assert (CONFIG / "runbooks" / f"{page}.md").exists()
