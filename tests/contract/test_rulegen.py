"""Generated rules, as both of Debian's promtools see them: they are rules, and they pass the tests generated for them."""

import subprocess
from pathlib import Path

import pytest

from exporter.rulegen import build
from exporter.rulegen.settings import Signals, lint
from tests.support.running import binaries
from toolkit.configfile import load

EVERY = """
timezone: Europe/Lisbon
holidays: [2026-12-25, {from: 2026-12-31, to: 2027-01-01}]
maintenance: [{from: 2026-11-21T22:00:00+01:00, to: 2026-11-22T22:00:00Z}]
defaults: {owner: growth}
signals:
  - {name: checkouts, help: Completed checkouts., metric: shop_checkouts_total, by: [plan], kind: count, service: shop,
     minimum: {events: 30}, hours: {from: "08:00", to: "20:00"}}
  - {name: logins, query: "sum(rate(logins_total[5m])) or vector(0)", kind: count, direction: down, severity: page}
  - {name: revenue, query: "sum(shop_revenue)", kind: gauge, direction: down, sensitivity: quiet, unit: EUR}
  - {name: queue, metric: queue_depth, kind: gauge, direction: up, seasonality: none, sensitivity: 3, impact: Mails wait.}
slos:
  - {name: api, objective: 99.9, hours: {from: "08:00", to: "20:00"},
     availability: {errors: 'http_requests_total{code=~"5.."}', total: http_requests_total}}
  - {name: slow, objective: 85, latency: {histogram: http_request_duration_seconds, at_most: 1}}
  - {name: fresh, objective: 99, freshness: {timestamp: export_last_success_timestamp_seconds, max_age: 10m}}
  - {name: pay, objective: 99, third_party: {provider: stripe}, page: false}
"""


def written(folder: Path, text: str) -> build.Built:
    (folder / "every.yml").write_text(text, encoding="utf-8")
    built = build.build(load(folder / "every.yml", Signals, lint), "every.yml")
    (folder / "every.rules.yml").write_text(built.rules, encoding="utf-8")
    (folder / "every.test.yml").write_text(built.tests, encoding="utf-8")
    return built


def promtool(*arguments: str) -> str:
    done = subprocess.run([str(binaries() / "promtool"), *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_what_is_generated_passes_its_own_tests(tmp_path: Path) -> None:
    written(tmp_path, EVERY)
    assert "SUCCESS" in promtool("check", "rules", str(tmp_path / "every.rules.yml"))
    assert "SUCCESS" in promtool("test", "rules", str(tmp_path / "every.test.yml"))


def test_the_tests_of_objectives_of_every_size_pass(tmp_path: Path) -> None:
    # 98.74 %: an hour of errors is just enough for a burn of 3; 10 %: its budget isn't spent in days
    slo = "{{name: of-{0}, objective: {1}, page: {2}, availability: {{errors: e, total: t}}}}"
    sizes = ("99.99", "true"), ("98.74", "false"), ("85", "true"), ("10", "true")
    listed = ", ".join(slo.format(size.replace(".", "-"), size, page) for size, page in sizes)
    always = "{name: always, objective: 99, freshness: {timestamp: t or vector(0), max_age: 10m}}"
    written(tmp_path, f"slos: [{listed}, {always}]")
    assert "SUCCESS" in promtool("test", "rules", str(tmp_path / "every.test.yml"))


BROKEN = {
    "a burn that has to be ten times faster": ("> 0.144", "> 1.44"),
    "a budget that is never spent": ("<= 0\n", "<= -1000\n"),
    "an objective that nobody misses": ("for: 30m", "for: 3h"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_the_generated_tests_fail_for(case: str, tmp_path: Path) -> None:
    built = written(tmp_path, "slos: [{name: fresh, objective: 99, freshness: {timestamp: t, max_age: 10m}}]")
    right, wrong = BROKEN[case]
    assert right in built.rules
    (tmp_path / "every.rules.yml").write_text(built.rules.replace(right, wrong), encoding="utf-8")
    with pytest.raises(AssertionError, match="FAILED"):
        promtool("test", "rules", str(tmp_path / "every.test.yml"))
