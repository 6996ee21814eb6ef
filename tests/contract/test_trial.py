"""`tocsin-exporter try` and `metrics` as an operator runs them: what is shown of a file, and what of the rules."""

import subprocess
import sys
from pathlib import Path

import pytest

CONFIG = """
usage:
  producers: [{name: web, bearer_token_files: [web.token], labels: {site: eu}}]
  events:
    - {name: buy, fields: {plan: {values: [free, pro, team]}, eur: {type: number}, user: {}}}
    - {name: paid, fields: {user: {}}}
  logs:
    - name: app
      patterns: [{event: failed, pattern: "payment (?P<user>\\\\w+) failed"}]
  rules:
    - {name: buys, metric: buys_total, help: B., event: buy, owner: me, labels: {plan: [free, pro]}}
    - {name: sites, metric: sites_total, help: S., event: buy, owner: me, labels: {site: {}}}
    - {name: sums, metric: eur_total, help: E., event: buy, owner: me, kind: sum, value: eur}
    - {name: good, metric: deals_total, help: D., event: buy, owner: me, kind: ratio, good: {plan: pro}}
    - {name: fails, metric: fails_total, help: F., event: failed, owner: me}
  sequences:
    - {name: pays, metric: pays_total, help: P., owner: us, key: user, after: buy, expect: paid, within: 10m}
"""
PRO, TEAM = '{"event":"buy","plan":"pro","eur":2.5}\n', '{"event":"buy","plan":"team"}\n'

TRIED: list[tuple[str, list[str], str, int, list[str], list[str]]] = [
    # name, flags, standard input, exit status, lines that are shown, what is not
    ("a listed label", [], PRO, 0, ['buys_total{plan="pro"} 1'], ["free", "other"]),
    ("a value that the list lacks", [], PRO + TEAM + TEAM, 0, ['buys_total{plan="pro"} 1', 'buys_total{plan="other"} 2'], ["free"]),
    ("a ratio", ["good"], PRO + TEAM, 0, ["deals_total 2", "deals_good_total 1"], ["buys"]),
    ("a sum", ["sums"], PRO + PRO, 0, ["eur_total 5"], []),
    ("as a producer sends it", ["--source", "web", "sites"], PRO, 0, ['sites_total{site="eu"} 1'], []),
    ("lines of a log", ["--log", "app"], "payment ana failed\nfine\n", 0, ["fails_total 1"], []),
    ("an event against its contract", [], '{"event":"buy","plan":"gold"}\n', 1, ["not_allowed: 1", '  the field \'plan\' is none of ["free","pro","team"]: {"event":"buy","plan":"gold"}'], []),
    ("nothing", [], "", 0, ["Nothing was read."], []),
]  # fmt: skip

REFUSED: list[tuple[str, list[str], str]] = [
    ("a rule that is almost there", ["buis"], "no usage rule is named 'buis'; did you mean 'buys'?"),
    ("a rule about keys", ["pays"], "'pays' is a rule about keys"),
    ("a producer that is almost there", ["--source", "wxb"], "no producer or source is named 'wxb'; did you mean 'web'?"),
    ("a log that isn't there", ["--log", "apq"], "no entry of usage.logs is named 'apq'; did you mean 'app'?"),
]  # fmt: skip


def run(folder: Path, command: str, *flags: str, given: str = "") -> subprocess.CompletedProcess[str]:
    (folder / "web.token").write_text("the-token-of-web")
    (folder / "exporter.yml").write_text(CONFIG)
    argv = [sys.executable, "-m", "exporter", command, "--config.file", str(folder / "exporter.yml"), *flags]
    return subprocess.run(argv, input=given, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(("flags", "given", "status", "shown", "hidden"), [row[1:] for row in TRIED], ids=[row[0] for row in TRIED])  # fmt: skip
def test_what_a_file_would_count_is_shown(
    tmp_path: Path, flags: list[str], given: str, status: int, shown: list[str], hidden: list[str]
) -> None:
    ended = run(tmp_path, "try", *flags, given=given)
    assert ended.returncode == status, ended.stderr
    lines = ended.stdout.splitlines()
    assert set(shown) <= set(lines), ended.stdout
    assert not [line for line in lines if line.split(" ")[0].count("{") and any(word in line for word in hidden)]


@pytest.mark.parametrize(("flags", "says"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_what_can_not_be_tried_is_named(tmp_path: Path, flags: list[str], says: str) -> None:
    ended = run(tmp_path, "try", *flags)
    assert ended.returncode != 0
    assert says in ended.stderr


def test_every_metric_is_listed_whole_rules_about_keys_too(tmp_path: Path) -> None:
    rows = [line.split() for line in run(tmp_path, "metrics").stdout.splitlines()]
    assert [row[0] for row in rows] == [
        "METRIC", "buys_total", "sites_total", "eur_total", "deals_total", "deals_good_total", "fails_total", "pays_total", "pays_seconds",
    ]  # fmt: skip
    assert rows[7][1:3] == ["keys", "outcome"]
