"""Bad configuration: every row is a file, where it is wrong, and what a person is told."""

import contextlib
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter import config as exporter_config
from receiver import config as receiver_config
from toolkit.configfile import ConfigError

PLACE = "▶"
"""Stands in a row's file where the problem is to be reported."""

PROVIDER = "providers:\n  - {name: a, url: 'http://x.example/', owner: me, "
RULE = "usage:\n  rules:\n    - {name: a, metric: a_total, help: A., event: a, owner: me, "
BOMB = "a: &a [x,x,x,x,x,x,x,x,▶x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n" for before, name in zip("abcdefg", "bcdefgh", strict=True)
)

EXPORTER = [
    ("an unknown key at the top", "▶provider: []\n", "provider: unknown key; did you mean 'providers'?"),
    ("an unknown key deep down", PROVIDER + "▶intervall: 5s}\n", "did you mean 'interval'?"),
    ("an unknown key of a nested part", PROVIDER + "confirmation: {▶probe: 3}}\n", "did you mean 'probes'?"),
    (
        "a key far from any other",
        PROVIDER + "▶zzz: 3}\n",
        "unknown key; known: account, auth, billing, billing_owner",
    ),
    ("a key that stands twice", "providers: []\n▶providers: []\n", "the key 'providers' stands here twice"),
    ("a missing key", "providers:\n  - ▶{name: a, owner: me}\n", "providers[0].url: required, but missing"),
    ("a duration without a unit", PROVIDER + "▶interval: 5}\n", "write it with a unit, like 30s or 5m"),
    ("a duration that is none", PROVIDER + "▶interval: soon}\n", "'soon' is not a duration"),
    ("a timeout over the interval", PROVIDER.replace("{", "▶{") + "interval: 5s, timeout: 9s}\n", "must not be longer"),
    (
        "a URL without a host",
        "providers:\n  - {name: a, owner: me, ▶url: 'http://'}\n",
        "not an http:// or https:// URL",
    ),
    ("a URL of another scheme", "providers:\n  - {name: a, owner: me, ▶url: 'file:///etc/x'}\n", "not an http://"),
    ("a bad port", "providers:\n  - {name: a, owner: me, ▶url: 'http://x:99999/'}\n", "not an http://"),
    ("a missing secret file", PROVIDER + "auth: {▶secret_file: gone}}\n", "gone: No such file or directory"),
    ("an empty secret file", PROVIDER + "auth: {▶secret_file: empty}}\n", "empty: is empty"),
    ("a bad regex", RULE + "where: {p: {▶regex: '(a'}}}\n", "not a regular expression of RE2: missing )"),
    ("a misspelt regex", RULE + "where: {p: {▶regexp: a}}}\n", "unknown key; did you mean 'regex'?"),
    ("a condition that is a list", RULE + "where: {▶p: [a]}}\n", "p: should be a text, a number, true, false"),
    ("a name used twice", PROVIDER + "}\n  - {▶name: a, url: 'http://y.example/', owner: me}\n", "'a' is used twice"),
    (
        "a counter not named as one",
        RULE.replace("metric: a_total", "▶metric: a_sum") + "}\n",
        "the name of a count must end in _total",
    ),
    (
        "a gauge named as a counter",
        RULE.replace("metric:", "kind: last, value: n, ▶metric:") + "}\n",
        "must not end in _total",
    ),
    (
        "a sum of nothing",
        RULE.replace("{name: a, metric", "▶{name: a, kind: sum, metric") + "}\n",
        "kind: sum needs value",
    ),
    ("a unit that is none", RULE + "kind: sum, value: {field: n, ▶unit: milli}}\n", "no unit is named 'milli'"),
    (
        "buckets that don't ascend",
        RULE.replace("a_total", "a") + "kind: histogram, value: n, ▶buckets: [2, 1]}\n",
        "ascend",
    ),
    (
        "a rule for an event that nobody declared",
        "usage:\n  events: [{name: buy}]\n" + RULE.removeprefix("usage:\n").replace("event: a", "▶event: bay") + "}\n",
        "no event is named 'bay'; did you mean 'buy'?",
    ),
    (
        "a label from a field that nobody declared",
        "usage:\n  events: [{name: a, fields: {plan: {}}}]\n"
        + RULE.removeprefix("usage:\n")
        + "labels: {▶plam: [x]}}\n",
        "has no field 'plam'; did you mean 'plan'?",
    ),
    (
        "a label's value that the contract forbids",
        "usage:\n  events: [{name: a, fields: {plan: {values: [free, pro]}}}]\n"
        + RULE.removeprefix("usage:\n")
        + "labels: {▶plan: [free, proo]}}\n",
        "'plan' is never 'proo'; did you mean 'pro'?",
    ),
    (
        "a condition on a value that the contract forbids",
        "usage:\n  events: [{name: a, fields: {plan: {values: [free, pro]}}}]\n"
        + RULE.removeprefix("usage:\n")
        + "where: {▶plan: fre}}\n",
        "'plan' is never 'fre'; did you mean 'free'?",
    ),
    (
        "a condition on a value of another type",
        "usage:\n  events: [{name: a, fields: {ok: {type: boolean}}}]\n"
        + RULE.removeprefix("usage:\n")
        + 'where: {▶ok: "true"}}\n',
        "'ok' is a boolean, and never the text 'true'",
    ),
    (
        "a label of a rule about keys that no event has",
        "usage:\n  events: [{name: a, fields: {user: {}, plan: {}}}]\n  sequences:\n"
        "    - {name: s, metric: s_total, help: S., owner: me, key: user, silent: a, for: 1h, labels: {▶plam: [x]}}\n",
        "none of its events has a field 'plam'; did you mean 'plan'?",
    ),
    (
        "a rule about keys of two kinds",
        "usage:\n  sequences:\n"
        "    - {name: s, metric: s_total, help: S., owner: me, key: u, after: a, expect: b, within: 1m, ▶never: c}\n",
        "never: can't stand beside the other keys here",
    ),
    ("a kind that is almost there", RULE + "▶kind: distinkt}\n", "did you mean 'distinct'?"),
    (
        "a sample against its own contract",
        "usage:\n  events:\n    - {name: a, fields: {plan: {values: [x]}}, ▶sample: {plan: y}}\n",
        'is none of ["x"]',
    ),
    (
        "a time that is a text",
        "usage:\n  events:\n    - ▶{name: a, fields: {at: {}}, time: {field: at}}\n",
        "has to be a timestamp",
    ),
    (
        "an allowed value of another type",
        "usage:\n  events: [{name: a, fields: {▶n: {type: integer, values: [x]}}}]\n",
        "'x' is no integer",
    ),
    ("a metric of Tocsin's", RULE.replace("metric: a", "▶metric: tocsin") + "}\n", "are Tocsin's own"),
    ("a label of Prometheus's", RULE + "labels: {▶job: [a]}}\n", "'job' is Prometheus's own"),
    (
        "rules about keys on a shared ledger, and nothing that comes in partitions",
        "usage:\n  ledger: {url_file: full}\n"
        + "  ▶sequences: [{name: s, key: k, never: a, before: b, metric: s_total, help: S., owner: me}]\n",
        "with a shared ledger rules about keys look at what comes by Kafka, and usage.sources has no kafka",
    ),
    ("no YAML at all", "providers: [\n▶", "not valid YAML"),
    ("a tab", "providers:\n▶\t- a\n", "not valid YAML"),
    ("a list where a mapping is due", "▶- a\n", "the file: should be a mapping, with a key and a value on each line"),
    ("a key that is no text", "▶1: a\n", "the key 1 is no text; put it in quotes"),
    (
        "an unknown card",
        "cards: [{name: visa, expires: 2026-12}]\n" + PROVIDER + "billing: {▶card: vise}}\n",
        "no card is named 'vise'; did you mean 'visa'?",
    ),
    (
        "an unknown vendor",
        "providers:\n  - ▶{name: a, vendor: strype, secret_file: full}\n",
        "no vendor is named 'strype'; did you mean 'stripe'?",
    ),
    (
        "a vendor like no other",
        "providers:\n  - ▶{name: a, vendor: nosuchthing, secret_file: full}\n",
        "airtable, alchemy, algolia, alibaba-dashscope, alpha-vantage, amap, anthropic, api-ninjas, apify and ",
    ),
    (
        "a date that is none",
        PROVIDER + "billing: {renews: {▶date: 2026-13-01}}}\n",
        "billing.renews.date: input should be a valid date",
    ),
    ("a key like a date that is none", "▶2026-13-01: a\n", "2026-13-01: unknown key"),
    ("one value where a list is due", PROVIDER + "▶features: mails}\n", "features: should be a list"),
    ("one value where a mapping is due", PROVIDER + "▶headers: a}\n", "headers: should be a mapping"),
    ("a number where text is due", PROVIDER + "▶service: 5}\n", "service: should be text (in quotes)"),
    (
        "neither of two kinds",
        PROVIDER + "account: {quota: {▶limit: [], used: a}}}\n",
        "account.quota.limit: should be text",
    ),
    ("an address in place of a network", PROVIDER + "private_networks: [▶10.0.0.1/8]}\n", "did you mean '10.0.0.0/8'?"),
    ("no network at all", PROVIDER + "private_networks: [▶ours]}\n", "not a valid IPv4 or IPv6 network"),
    ("a bomb of aliases", BOMB, "once its aliases are expanded"),
    ("an alias of itself", "▶a: &a [*a]\n", "nested too deeply"),
]

PEOPLE = "people: {ana: {}, bo: {}}\n"
LAYER = "name: one, starts: 2026-01-05, handover: {every: week, at: '09:00'}"
ROTA = PEOPLE + f"rotas:\n  p:\n    layers: [{{{LAYER}, people: [ana]}}]\n"
SLACK = "targets: [{name: slack, url: 'json://x'}]\n"
BOT = "slackbot://xoxb-4711-canary-0123456789"
RECEIVER = [
    ("an unknown target", SLACK + "routes: [{targets: [▶slak]}]\n", "no target is named 'slak'; did you mean 'slack'?"),
    (
        "a last route that lets alerts fall",
        SLACK + "routes: [▶{match: {a: b}, targets: [slack]}]\n",
        "match everything",
    ),
    (
        "an unknown fallback",
        "targets: [{name: slack, url: 'json://x', ▶fallback: pagr}, {name: pager, url: 'json://x'}]\n",
        "no target is named 'pagr'; did you mean 'pager'?",
    ),
    (
        "a target that stands in for itself",
        "targets: [{name: slack, url: 'json://x', ▶fallback: slack}]\n",
        "leads back to 'slack': slack -> slack",
    ),
    (
        "fallbacks in a circle",
        "targets: [{name: a, url: 'json://x', ▶fallback: b}, {name: b, url: 'json://x', fallback: a}]\n",
        "leads back to 'a': a -> b -> a",
    ),
    ("a rate that is none", "targets: [{name: a, url: 'json://x', ▶rate: fast}]\n", "write it like 1/s, 30/m or 100/h"),
    ("a target without a URL", "targets: [▶{name: s}]\n", "needs either url or url_file"),
    ("a target with two URLs", "targets: [▶{name: s, url: 'json://x', url_file: full}]\n", "either url or url_file"),
    (
        "an unknown service",
        "targets: [{name: s, ▶url: 'slakc://a/b'}]\n",
        "no service 'slakc://'; did you mean 'slack'?",
    ),
    ("a Slack bot with a channel's name", f"targets: [{{name: s, ▶url: '{BOT}/general'}}]\n", "not with its name"),
    (
        "a Slack bot without time",
        f"targets: [{{name: s, url: '{BOT}/C0123ABCD', ▶timeout: 2s}}]\n",
        "give it 5s at least",
    ),
    (
        "buttons whose presses nobody takes",
        f"targets: [▶{{name: s, url: '{BOT}/C0123ABCD?buttons=yes'}}]\n",
        "buttons=yes needs slack.signing_secret_file",
    ),
    ("a Slack section without its secret", "▶slack: {}\n", "slack.signing_secret_file: required"),
    ("a URL that Apprise can't use", "targets: [{name: s, ▶url: 'slack://'}]\n", "can't use this slack:// URL"),
    ("a runbook folder that is none", "▶runbooks: nowhere\n", "nowhere is not a folder"),
    ("a heartbeat without a URL", "▶heartbeat: {interval: 1m}\n", "needs either url or url_file"),
    ("a heartbeat to what is no web address", "heartbeat: {▶url_file: full}\n", "holds no http:// or https:// URL"),
    (
        "an unknown person on a rota",
        PEOPLE + f"rotas: {{p: {{layers: [{{{LAYER}, people: [▶anna]}}]}}}}\n",
        "no person is named 'anna'; did you mean 'ana'?",
    ),
    (
        "an unknown member of a team",
        PEOPLE + "teams: {t: {members: [ana, ▶boo]}}\n",
        "no person is named 'boo'; did you mean 'bo'?",
    ),
    ("a team of an unknown rota", ROTA + "teams: {t: {▶rota: q}}\n", "no rota is named 'q'; known: p"),
    (
        "a contact that is no target",
        SLACK + "people: {ana: {contacts: {default: [▶slak]}}}\n",
        "no target is named 'slak'; did you mean 'slack'?",
    ),
    (
        "a contact for no severity",
        SLACK + "people: {ana: {contacts: {▶critcal: [slack]}}}\n",
        "no severity is named 'critcal'; did you mean 'critical'?",
    ),
    ("contacts that reach nobody", "people: {ana: {contacts: {▶default: []}}}\n", "would reach nobody"),
    (
        "an unknown time zone",
        "people: {ana: {▶timezone: Europe/Lisboa}}\n",
        "no time zone is named 'Europe/Lisboa'; did you mean 'Europe/Lisbon'?",
    ),
    ("a time zone like no other", "people: {ana: {▶timezone: here}}\n", "write it like Europe/Lisbon or UTC"),
    ("a time zone that is a path", "people: {ana: {▶timezone: ../../etc/passwd}}\n", "no time zone is named"),
    (
        "a time without quotes",
        "people: {ana: {quiet_hours: [{▶from: 22:00, to: '07:00'}]}}\n",
        '1320 is not a time of day; write it in quotes, like "22:00"',
    ),
    (
        "a misspelt key of quiet hours",
        "people: {ana: {quiet_hours: [{▶form: '22:00', to: '07:00'}]}}\n",
        "unknown key; did you mean 'from'?",
    ),
    (
        "quiet hours without end",
        "people: {ana: {▶quiet_hours: [{from: '08:00', to: '20:00'}, {from: '20:00', to: '08:00'}]}}\n",
        "it is quiet all the time",
    ),
    ("a holiday backwards", "people: {ana: {holidays: [▶{from: 2026-12-25, to: 2026-12-24}]}}\n", "ends before"),
    ("a holiday that is none", "people: {ana: {holidays: [▶2026-13-25]}}\n", "should be a valid date"),
    ("a year that is a slip", "people: {ana: {holidays: [▶0206-12-25]}}\n", "greater than or equal to 2000-01-01"),
    ("a rota without a layer", "rotas: {p: {▶layers: []}}\n", "nobody would be on call"),
    (
        "a layer that nobody is in",
        f"rotas: {{p: {{layers: [{{{LAYER}, ▶people: []}}]}}}}\n",
        "names nobody, so nobody would be on call",
    ),
    (
        "two layers of one name",
        PEOPLE + f"rotas: {{p: {{layers: [{{{LAYER}, people: [bo]}}, {{▶{LAYER}, people: [bo]}}]}}}}\n",
        "the name 'one' is used twice",
    ),
    (
        "a daily handover on a day of the week",
        "rotas: {p: {layers: [{name: a, starts: 2026-01-05, people: [], ▶handover: {every: day, on: monday, at: '09:00'}}]}}\n",
        "a handover on each day needs no 'on'",
    ),
    (
        "overrides that overlap",
        ROTA
        + "    overrides:\n"
        + "      - {person: bo, layer: one, from: 2026-12-24 09:00, to: 2026-12-26 09:00}\n"
        + "      - ▶{person: ana, layer: one, from: 2026-12-26 08:00+00:00, to: 2026-12-27}\n",
        "overlaps overrides[0] of the same layer",
    ),
    (
        "an override backwards",
        ROTA + "    overrides: [{person: bo, layer: one, from: 2026-12-24 09:00, ▶to: 2026-12-24}]\n",
        "it ends before it begins",
    ),
    (
        "an override of an unknown layer",
        ROTA + "    overrides: [{person: bo, ▶layer: two, from: 2026-12-24, to: 2026-12-25}]\n",
        "no layer is named 'two'; known: one",
    ),
    (
        "an override by an unknown person",
        ROTA + "    overrides: [{▶person: ben, layer: one, from: 2026-12-24, to: 2026-12-25}]\n",
        "no person is named 'ben'",
    ),
    (
        "a moment that is none",
        ROTA + "    overrides: [{person: bo, layer: one, ▶from: tomorrow, to: 2026-12-25}]\n",
        "'tomorrow' is not a date with a time; write it like 2026-12-24 09:00",
    ),
    (
        "a digest of what is critical",
        SLACK + "digests: {d: {every: day, targets: [slack], severities: [▶critical]}}\n",
        "input should be 'info' or 'warning'",
    ),
    (
        "a digest for an unknown target",
        SLACK + "digests: {d: {every: day, targets: [▶slak]}}\n",
        "no target is named 'slak'; did you mean 'slack'?",
    ),
    ("a digest for nobody", "digests: {d: {every: day, ▶targets: []}}\n", "nobody would be told"),
    (
        "two digests of the same",
        SLACK
        + "digests: {d: {every: day, targets: [slack]}, e: {every: hour, targets: [▶slack], severities: [info]}}\n",
        "'slack' has its info in the digest 'd' already",
    ),
    (
        "a digest for a pager that folds",
        "targets: [{name: p, url: 'pagerduty://integrationkey@apikey'}]\ndigests: {d: {every: day, targets: [▶p]}}\n",
        "'p' keeps one alert for each incident, and a digest tells of many",
    ),
    ("a Prometheus URL with a password", "prometheus: {▶url: 'http://me:pw@x/'}\n", "must not hold credentials"),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "empty").write_text(" \n")
    (tmp_path / "full").write_text("json://localhost")
    return tmp_path


@pytest.mark.parametrize(("text", "says"), [row[1:] for row in EXPORTER], ids=[row[0] for row in EXPORTER])
def test_a_bad_exporter_yml_is_refused_at_its_place(folder: Path, text: str, says: str) -> None:
    refused(exporter_config.load, folder / "exporter.yml", text, says)


@pytest.mark.parametrize(("text", "says"), [row[1:] for row in RECEIVER], ids=[row[0] for row in RECEIVER])
def test_a_bad_receiver_yml_is_refused_at_its_place(folder: Path, text: str, says: str) -> None:
    refused(receiver_config.load, folder / "receiver.yml", text, says)


def refused(load: Callable[[Path], object], path: Path, text: str, says: str) -> None:
    before = text.partition(PLACE)[0]
    line, column = before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1
    path.write_text(text.replace(PLACE, ""))
    with pytest.raises(ConfigError) as caught:
        load(path)
    told = str(caught.value).splitlines()
    assert any(one.startswith(f"{path}:{line}:{column}: ") and says in one for one in told), told


def test_every_problem_is_told_at_once_in_the_order_of_the_file(folder: Path) -> None:
    path = folder / "exporter.yml"
    path.write_text("providers:\n  - {name: a, url: bad, owner: x}\n  - {name: b, url: worse, owner: x}\nzzz: 1\n")
    with pytest.raises(ConfigError) as caught:
        exporter_config.load(path)
    assert [problem.line for problem in caught.value.problems] == [2, 3, 4]


def test_a_date_that_is_none_hides_no_other_mistake(folder: Path) -> None:
    path = folder / "exporter.yml"
    path.write_text(PROVIDER + "billing: {renews: {date: 2026-13-01}}}\nzzz: 1\n")
    with pytest.raises(ConfigError) as caught:
        exporter_config.load(path)
    assert [problem.line for problem in caught.value.problems] == [2, 3]


ONE_MISTAKE = [
    ("in a target", "targets: [{nam: s, name: s, url: 'json://x'}]\n", "targets[0].nam: unknown key; did you mean 'name'?"),
    ("in a target's URL", "targets: [{name: s, url: 5}]\n", "targets[0].url: should be text (in quotes)"),
    ("in the only step", "escalations: {e: {steps: [{notfy: [target/s], notify: [target/s], wait: 5m}]}}\n", "escalations.e.steps[0].notfy: unknown key; did you mean 'notify'?"),
    ("in the only window", "hours: {h: {windows: [{from: 22:00, to: '23:00'}]}}\n", 'hours.h.windows[0].from: 1320 is not a time of day; write it in quotes, like "22:00"'),
    ("in none", "hours: {h: {windows: []}}\n", "hours.h.windows: tuple should have at least 1 item after validation, not 0"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "says"), [row[1:] for row in ONE_MISTAKE], ids=[row[0] for row in ONE_MISTAKE])
def test_one_mistake_is_one_problem(folder: Path, text: str, says: str) -> None:
    path = folder / "receiver.yml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        receiver_config.load(path)
    assert [problem.message for problem in caught.value.problems] == [says]


PLACES = [r"\b", r"\B", r"(?m)^", r"(?m)$", r"\w+|\b", r"\bx*\b", "a?", r"(?m)^\s*$"]


@pytest.mark.parametrize("pattern", PLACES)
def test_a_pattern_that_masks_nothing_is_refused(folder: Path, pattern: str) -> None:
    refused(
        receiver_config.load,
        folder / "receiver.yml",
        f"redact: [▶'{pattern}']\n",
        "match where there is nothing to mask",
    )


def test_a_pattern_that_masks_something_is_taken(folder: Path) -> None:
    (folder / "receiver.yml").write_text(r"redact: ['\bC-[0-9]+\b', '(?m)^user: .+$', 'x', '.']")
    assert len(receiver_config.load(folder / "receiver.yml").redact) == 4


@pytest.mark.parametrize("text", ["!!int x", "!!int ''", "!!float x", "!!bool x", "!!timestamp x"])
def test_a_tag_that_does_not_fit_its_value_leaves_text(folder: Path, text: str) -> None:
    path = folder / "exporter.yml"
    path.write_text(PROVIDER + f"▶timeout: {text}}}\n")
    refused(exporter_config.load, path, path.read_text(), "is not a duration")


def test_a_secret_in_a_refused_url_is_not_shown(folder: Path) -> None:
    path = folder / "receiver.yml"
    path.write_text("targets: [{name: s, url: 'slack://T0KEN-canary-4711/x'}]\n")
    with pytest.raises(ConfigError) as caught:
        receiver_config.load(path)
    assert "canary" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"gone.yml:1:1: can't read the file: No such file"):
        exporter_config.load(tmp_path / "gone.yml")


def test_an_empty_file_is_a_configuration_without_anything(tmp_path: Path) -> None:
    (tmp_path / "exporter.yml").write_text("")
    assert exporter_config.load(tmp_path / "exporter.yml").providers == ()


@settings(max_examples=300)
@given(text=st.text(alphabet="ab:-{}[]&*#'\"|>!%@ \n\t1\u0000\u0085", max_size=60))
def test_whatever_the_bytes_are_a_file_is_loaded_or_refused(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yml"
    path.write_text(text, encoding="utf-8", newline="")
    with contextlib.suppress(ConfigError):
        exporter_config.load(path)


STRANGE: list[object] = [None, 5, "x", True, [], {}, [None], [5], {"x": None}, [[]], 1.5]


@pytest.mark.parametrize("vendor", ["", "stripe", "deepl", "hunter"])
@pytest.mark.parametrize("key", sorted(exporter_config.Provider.model_fields))
def test_whatever_stands_in_a_provider_is_refused_in_its_place_or_taken(tmp_path: Path, key: str, vendor: str) -> None:
    (tmp_path / "x").write_text("a-secret")
    given = {"name": "a", "url": "http://x.example/", **({"vendor": vendor} if vendor else {})}
    for value in STRANGE:
        (tmp_path / "exporter.yml").write_text(yaml.safe_dump({"providers": [{**given, key: value}]}))
        with contextlib.suppress(ConfigError):
            exporter_config.load(tmp_path / "exporter.yml")


def test_a_secret_that_no_header_can_carry_is_refused_with_how_the_vendor_takes_it(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("a-secret")
    (tmp_path / "exporter.yml").write_text("providers: [{name: a, vendor: aws, secret_file: x}]\n")
    with pytest.raises(ConfigError, match="aws takes its secret as 'SigV4', which secret_file can't give"):
        exporter_config.load(tmp_path / "exporter.yml")
