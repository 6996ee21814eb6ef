"""Who is told, as a table: the routes, the alert, the hour, and the targets with the reason."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from receiver import config as configuration
from receiver.alerts import AlertEvent
from receiver.settings import ReceiverConfig
from receiver.stages.route import route
from receiver.vocabulary import Vocabulary
from toolkit.configfile import ConfigError

TARGETS = [{"name": name, "url": f"json://{name}/"} for name in ("a", "b", "pager", "ana-phone", "ana-chat")]
KNOWN: dict[str, Any] = {
    "targets": TARGETS,
    "people": {"ana": {"contacts": {"critical": ["ana-phone"], "default": ["ana-chat"]}}},
    "teams": {
        "finance": {"targets": ["b"]},
        "platform": {"targets": ["a"], "members": ["ana"], "rota": "platform"},
    },
    "rotas": {
        "platform": {
            "layers": [
                {
                    "name": "first",
                    "people": ["ana"],
                    "starts": "2026-01-05",
                    "handover": {"every": "week", "at": "09:00"},
                }
            ]
        }
    },
    "hours": {
        "office": {"timezone": "Europe/Lisbon", "windows": [{"from": "09:00", "to": "18:00", "days": ["friday"]}]}
    },
}
FRIDAY_NOON = datetime(2026, 11, 20, 12, tzinfo=UTC).timestamp()
FRIDAY_NIGHT = datetime(2026, 11, 20, 3, tzinfo=UTC).timestamp()
BILL = {"alertname": "ThirdPartyPaymentRequired", "severity": "critical", "owner": "finance", "service": "mail"}
ALL: dict[str, Any] = {"targets": ["b"]}

Row = tuple[str, list[dict[str, Any]], dict[str, str], float, list[str]]
ROWS: list[Row] = [
    ("without routes everybody is told", [], BILL, FRIDAY_NOON, ["a", "b", "pager", "ana-phone", "ana-chat"]),
    ("the first that matches", [{"match": {"owner": "finance"}, "targets": ["a"]}, ALL], BILL, FRIDAY_NOON, ["a"]),
    ("the one that matches everything", [{"match": {"owner": "else"}, "targets": ["a"]}, ALL], BILL, FRIDAY_NOON, ["b"]),
    ("and on, when it says continue", [{"match": {"owner": "finance"}, "targets": ["a"], "continue": True}, ALL], BILL, FRIDAY_NOON, ["a", "b"]),
    ("a target is told once", [{"targets": ["a", "b"], "continue": True}, ALL], BILL, FRIDAY_NOON, ["a", "b"]),
    ("every label has to agree", [{"match": {"owner": "finance", "severity": "info"}, "targets": ["a"]}, ALL], BILL, FRIDAY_NOON, ["b"]),
    ("nobody, on purpose", [{"targets": []}], BILL, FRIDAY_NOON, []),
    ("by the class", [{"match": {"class": "vendor_billing"}, "targets": ["a"]}, ALL], BILL, FRIDAY_NOON, ["a"]),
    ("by a pattern", [{"matchers": ['severity=~"critical|warning"', "service!=web"], "targets": ["a"]}, ALL], BILL, FRIDAY_NOON, ["a"]),
    ("by a pattern that does not fit", [{"matchers": ["service=~w.*"], "targets": ["a"]}, ALL], BILL, FRIDAY_NOON, ["b"]),
    ("in these hours", [{"hours": ["office"], "targets": ["a"]}, ALL], BILL, FRIDAY_NOON, ["a"]),
    ("outside of them", [{"hours": ["office"], "targets": ["a"]}, ALL], BILL, FRIDAY_NIGHT, ["b"]),
    ("a team's own targets", [{"team": "finance"}], BILL, FRIDAY_NOON, ["b"]),
    ("a team's targets and who is on call, by the severity", [{"team": "platform"}], BILL, FRIDAY_NOON, ["a", "ana-phone"]),
    ("... which is lower", [{"team": "platform"}], {**BILL, "severity": "info"}, FRIDAY_NOON, ["a", "ana-chat"]),
    ("the team that owns it", [{"owner": True}, {"targets": ["pager"]}], BILL, FRIDAY_NOON, ["b"]),
    ("an owner that is no team goes on", [{"owner": True}, {"targets": ["pager"]}], {**BILL, "owner": "x"}, FRIDAY_NOON, ["pager"]),
    ("the owner's team and a room", [{"owner": True, "targets": ["pager"]}, ALL], BILL, FRIDAY_NOON, ["pager", "b"]),
]  # fmt: skip


def routed(rows: list[dict[str, Any]], labels: dict[str, str], now: float) -> dict[str, str]:
    config = ReceiverConfig.model_validate({**KNOWN, "routes": rows})
    alert = Vocabulary().translated(AlertEvent("f", "firing", 0, None, labels, {}, ""))
    return {choice.target: choice.reason for choice in route(alert, config, now)}


@pytest.mark.parametrize(("rows", "labels", "now", "targets"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_routes_choose_targets_and_say_why(
    rows: list[dict[str, Any]], labels: dict[str, str], now: float, targets: list[str]
) -> None:
    choices = routed(rows, labels, now)
    assert list(choices) == targets
    assert all(choices.values())


def test_the_reason_tells_the_way() -> None:
    row = {"match": {"class": "vendor_billing"}, "matchers": ["service!=web"], "hours": ["office"], "team": "platform"}
    assert routed([row], BILL, FRIDAY_NOON) == {
        "a": "routes[0] matches class=vendor_billing, service!=web, hours office, team platform",
        "ana-phone": "routes[0] matches class=vendor_billing, service!=web, hours office, ana is on call for team platform",
    }


MISTAKES = [
    ("a team that nobody has", "routes: [{team: finanse}]", "no team is named 'finanse'; did you mean 'finance'?"),
    ("hours that nobody named", "routes: [{hours: [ofice], targets: []}, {targets: []}]", "no hours are named 'ofice'; did you mean 'office'?"),
    ("nobody to tell", "routes: [{match: {a: b}}, {targets: []}]", "needs targets, team or owner"),
    ("a matcher that is none", "routes: [{matchers: ['a='], targets: []}, {matchers: [a], targets: []}]", "is no matcher; write it like"),
    ("a pattern that is none", "routes: [{matchers: ['a=~('], targets: []}]", "not a regular expression of RE2"),
    ("the last one leaves alerts out", "routes: [{owner: true}]", "the last route must match everything, or alerts would be lost"),
    ("a severity that is none", "vocabulary: {severities: {page: urgent}}", "'critical', 'warning' or 'info'"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "problem"), [row[1:] for row in MISTAKES], ids=[row[0] for row in MISTAKES])
def test_a_mistake_is_named_with_its_line(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "receiver.yml"
    known = "teams: {finance: {targets: []}}\nhours: {office: {windows: [{from: '09:00', to: '18:00'}]}}\n"
    path.write_text(known + text + "\n")
    with pytest.raises(ConfigError) as refused:
        configuration.load(path)
    assert f"{path}:3:" in str(refused.value)
    assert problem in str(refused.value)
