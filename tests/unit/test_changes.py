"""What others tell of changes, each in their own words, and whatever else may be posted."""

import contextlib
import hashlib
import hmac
import json
import re
from typing import Any

import msgspec
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from receiver.changes import annotations
from receiver.changes.change import LONGEST_LINK, LONGEST_NAME, LONGEST_TITLE, ChangeError, Post, ToldChange
from receiver.changes.parse import ADAPTERS, LONGEST_KEY, parse, source_of
from receiver.changes.plain import MOST
from receiver.changes.signature import is_signed
from tests.conftest import ROOT

NOW = 1795212000.0
"""2026-11-20 22:00 UTC."""


def post(body: Any, event: str = "", **query: str) -> Post:
    return Post(body if isinstance(body, bytes) else json.dumps(body).encode(), NOW, event, **query)


def only(source: str, posted: Post) -> ToldChange:
    (change,) = parse(source, posted).changes
    return change


DEPLOY = {"kind": "deploy", "title": "1.42", "service": "checkout", "environment": "prod", "author": "ana"}
LINKS = {"url": "https://ci.example/1", "undo_url": "https://ci.example/1/undo"}

DEPLOYMENT = {
    "id": 145988746,
    "sha": "f95f852bd8fca8fcc58a9a2d6c842781e32a215e",
    "ref": "main",
    "environment": "production/eu",
    "creator": {"login": "ana", "type": "User"},
    "created_at": "2026-11-20T21:40:00Z",
    "payload": {},
}
REPOSITORY = {"name": "checkout", "full_name": "acme/checkout", "html_url": "https://github.com/acme/checkout"}
CREATED = {"action": "created", "deployment": DEPLOYMENT, "repository": REPOSITORY, "sender": {"login": "ana"}}


def ended(state: str, **fields: Any) -> dict[str, Any]:
    return {**CREATED, "deployment_status": {"state": state, "created_at": "2026-11-20T21:45:00Z", **fields}}


SYNC = {
    "app": "checkout",
    "phase": "Succeeded",
    "finished_at": "2026-11-20T21:50:00Z",
    "revision": "f95f852bd8fca8fcc58a9a2d6c842781e32a215e",
    "initiated_by": {"username": "ana"},
    "environment": "prod",
    "url": "https://argo.example/applications/checkout",
    "undo_url": "https://argo.example/applications/checkout?rollback=0",
}
FLAG = {
    "_id": "57c0a8e29969090743529965",
    "_links": {"site": {"href": "/default/production/features/new-pricing", "type": "text/html"}},
    "date": 1795211940774,
    "accesses": [{"action": "updateOn", "resource": "proj/default:env/production:flag/new-pricing;shop"}],
    "kind": "flag",
    "name": "New pricing",
    "description": "...",
    "member": {"_id": "5", "email": "ana@example.com", "firstName": "Ana", "lastName": "Lima"},
    "titleVerb": "turned on the flag",
}


TOLD: list[tuple[str, str, Post, ToldChange]] = [
    (
        "our own words, with seconds since the epoch",
        "plain",
        post({**DEPLOY, **LINKS, "at": 1795211000, "id": "ci-1"}),
        ToldChange("plain", "ci-1", 1795211000, "deploy", "1.42", "checkout", "prod", "ana", *LINKS.values()),
    ),
    (
        "without a time it is now",
        "plain",
        post({"kind": "migration", "title": "add index", "id": "m1"}),
        ToldChange("plain", "m1", NOW, "migration", "add index"),
    ),
    (
        "an RFC 3339 time with a zone",
        "plain",
        post({"kind": "flag", "title": "x on", "id": "f", "at": "2026-11-20T22:30:00+01:00"}),
        ToldChange("plain", "f", 1795210200, "flag", "x on"),
    ),
    (
        "the query's service goes before the body's",
        "plain",
        post({**DEPLOY, "id": "1"}, service="shop", environment="staging"),
        ToldChange("plain", "1", NOW, "deploy", "1.42", "shop", "staging", "ana"),
    ),
    (
        "a deployment on GitHub when it is created",
        "github",
        post(CREATED, "deployment"),
        ToldChange(
            "github",
            "acme/checkout 145988746",
            1795210800,
            "deploy",
            "main (f95f852)",
            "checkout",
            "production/eu",
            "ana",
            "https://github.com/acme/checkout/commit/f95f852bd8fca8fcc58a9a2d6c842781e32a215e",
            "https://github.com/acme/checkout/deployments/production%2Feu",
        ),
    ),
    (
        "... and when it has failed, with its log",
        "github",
        post(ended("failure", log_url="https://ci.example/log"), "deployment_status"),
        ToldChange(
            "github",
            "acme/checkout 145988746",
            1795211100,
            "deploy",
            "main (f95f852) (failed)",
            "checkout",
            "production/eu",
            "ana",
            "https://ci.example/log",
            "https://github.com/acme/checkout/deployments/production%2Feu",
        ),
    ),
    (
        "a deployment of a bare commit, by nobody",
        "github",
        post({"deployment": {**DEPLOYMENT, "ref": DEPLOYMENT["sha"], "creator": None}, "repository": {"name": "a", "full_name": "b/a"}}, "deployment"),
        ToldChange("github", "b/a 145988746", 1795210800, "deploy", "f95f852", "a", "production/eu"),
    ),
    (
        "a sync of Argo CD",
        "argocd",
        post(SYNC),
        ToldChange(
            "argocd",
            "checkout 2026-11-20T21:50:00Z f95f852bd8fca8fcc58a9a2d6c842781e32a215e",
            1795211400,
            "deploy",
            "f95f852",
            "checkout",
            "prod",
            "ana",
            "https://argo.example/applications/checkout",
            "https://argo.example/applications/checkout?rollback=0",
        ),
    ),
    (
        "a sync of several sources, by itself, that failed",
        "argocd",
        post({"app": "shop", "phase": "Failed", "finished_at": "2026-11-20T21:50:00Z", "revision": "", "revisions": ["1.2.0", "main"], "initiated_by": {"automated": True}}),
        ToldChange("argocd", "shop 2026-11-20T21:50:00Z 1.2.0 main", 1795211400, "deploy", "1.2.0, main (failed)", "shop", "", "Argo CD"),
    ),
    (
        "a sync that tells of no revision",
        "argocd",
        post({"app": "shop", "phase": "Succeeded", "finished_at": "2026-11-20T21:50:00Z", "revision": None, "initiated_by": {}}),
        ToldChange("argocd", "shop 2026-11-20T21:50:00Z ", 1795211400, "deploy", "synced", "shop"),
    ),
    (
        "a flag of LaunchDarkly",
        "launchdarkly",
        post(FLAG, service="shop"),
        ToldChange(
            "launchdarkly",
            "57c0a8e29969090743529965",
            1795211940.774,
            "flag",
            "New pricing turned on the flag",
            "shop",
            "production",
            "Ana Lima",
            "https://app.launchdarkly.com/default/production/features/new-pricing",
            "https://app.launchdarkly.com/default/production/features/new-pricing",
        ),
    ),
    (
        "a flag that a token changed",
        "launchdarkly",
        post({"_id": "1", "date": 1795211940774, "kind": "flag", "name": "x", "token": {"name": "CI"}}),
        ToldChange("launchdarkly", "1", 1795211940.774, "flag", "x changed", author="CI"),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("source", "posted", "change"), [row[1:] for row in TOLD], ids=[row[0] for row in TOLD])
def test_a_change_is_read_from_what_its_source_sends(source: str, posted: Post, change: ToldChange) -> None:
    assert only(source, posted) == change


IGNORED = [
    ("GitHub's ping", "github", post({"zen": "Keep it simple"}, "ping"), "the event 'ping' is no deployment"),
    ("a push", "github", post({}, "push"), "the event 'push' is no deployment"),
    ("a deployment under way", "github", post(ended("in_progress"), "deployment_status"), "a deployment that is 'in_progress' has not ended"),
    ("one that waits for leave", "github", post(ended("waiting"), "deployment_status"), "a deployment that is 'waiting' has not ended"),
    ("one that a later one replaced", "github", post(ended("inactive"), "deployment_status"), "a deployment that is 'inactive' has not ended"),
    ("a sync that runs", "argocd", post({**SYNC, "phase": "Running", "finished_at": None}), "a sync that is 'Running' has not ended"),
    ("a new member", "launchdarkly", post({**FLAG, "kind": "member"}), "a change of a 'member' changes no service"),
]  # fmt: skip


@pytest.mark.parametrize(("source", "posted", "reason"), [row[1:] for row in IGNORED], ids=[row[0] for row in IGNORED])
def test_what_is_no_change_is_ignored_and_said_why(source: str, posted: Post, reason: str) -> None:
    found = parse(source, posted)
    assert (found.changes, found.ignored) == ((), reason)


REFUSED = [
    ("a future date", "plain", post({**DEPLOY, "at": "2026-11-21T22:00:00Z"}), "at: 2026-11-21 22:00:00 UTC is 1d in the future; a change is told once it is made, and clocks may differ by 5m (of '1.42')"),
    ("one in a list", "plain", post([DEPLOY, {**DEPLOY, "title": "2", "at": NOW + 301}]), "at: 2026-11-20 22:05:01 UTC is 5m1s in the future; a change is told once it is made, and clocks may differ by 5m (of '2')"),
    ("milliseconds for seconds", "plain", post({**DEPLOY, "at": NOW * 1000}), "at: 1.79521e+12 is no time of a change in seconds since the epoch (of '1.42')"),
    ("a time before all times", "plain", post({**DEPLOY, "at": 0}), "at: 0 is no time of a change in seconds since the epoch (of '1.42')"),
    ("a time without a zone", "plain", post([{**DEPLOY, "at": "2026-11-20T20:00:00"}]), "[0].at: '2026-11-20T20:00:00' is no RFC 3339 time"),
    ("an unknown kind", "plain", post({**DEPLOY, "kind": "deployment"}), "kind: there is no 'deployment'; did you mean 'deploy'?"),
    ("no title", "plain", post({"kind": "deploy"}), "no change as plain tells it: Object missing required field `title`"),
    ("an empty title", "plain", post({"kind": "deploy", "title": ""}), "no change as plain tells it: Expected `str` of length >= 1 - at `$.title`"),
    ("an unknown field", "plain", post([{**DEPLOY, "when": 1}]), "no change as plain tells it: Object contains unknown field `when` - at `$[0]`"),
    ("a field of another kind", "plain", post({**DEPLOY, "author": {"name": "ana"}}), "no change as plain tells it: Expected `str`, got `object` - at `$.author`"),
    ("too long a title", "plain", post({**DEPLOY, "title": "x" * 201}), "no change as plain tells it: Expected `str` of length <= 200 - at `$.title`"),
    ("too many", "plain", post([DEPLOY] * (MOST + 1)), "no change as plain tells it: Expected `array` of length <= 100"),
    ("a link that is a program", "plain", post({**DEPLOY, "url": "javascript:alert(1)"}), "url: this is no http:// or https:// URL without credentials"),
    ("a link with a password", "plain", post([{**DEPLOY, "undo_url": "https://me:pw@ci.example/"}]), "[0].undo_url: this is no http:// or https:// URL without credentials"),
    ("no JSON", "plain", post(b"deployed!"), "no change as plain tells it: JSON is malformed: invalid character (byte 0)"),
    ("a form", "github", post(b"payload=%7B%7D", "deployment"), "this is a form: let GitHub's webhook send the content type application/json"),
    ("a deployment without a number", "github", post({**CREATED, "deployment": {"created_at": "x"}}, "deployment"), "no change as github tells it: Object missing required field `id` - at `$.deployment`"),
    ("a deployment at no time", "github", post({**CREATED, "deployment": {**DEPLOYMENT, "created_at": "soon"}}, "deployment"), "deployment.created_at: 'soon' is no RFC 3339 time"),
    ("a status without its state", "github", post(CREATED, "deployment_status"), "no change as github tells it: Object missing required field `deployment_status`"),
    ("a sync in the future", "argocd", post({**SYNC, "finished_at": "2027-11-20T21:50:00Z"}), "at: 2027-11-20 21:50:00 UTC is 364d23h in the future; a change is told once it is made, and clocks may differ by 5m (of 'f95f852')"),
    ("a sync that ended at no time", "argocd", post({**SYNC, "finished_at": "<no value>"}), "finished_at: '<no value>' is no RFC 3339 time"),
    ("an entry without its time", "launchdarkly", post({"_id": "1", "kind": "flag", "name": "x"}), "no change as launchdarkly tells it: Object missing required field `date`"),
]  # fmt: skip


@pytest.mark.parametrize(("source", "posted", "words"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_what_is_wrong_is_refused_and_the_field_named(source: str, posted: Post, words: str) -> None:
    with pytest.raises(ChangeError) as refused:
        parse(source, posted)
    assert str(refused.value) == words


@pytest.mark.parametrize(
    ("headers", "asked", "source"),
    [
        ({}, "", "plain"),
        ({"X-GitHub-Event": "deployment"}, "", "github"),
        ({"X-LD-Signature": "00"}, "", "launchdarkly"),
        ({"X-GitHub-Event": "deployment"}, "argocd", "argocd"),
    ],
)
def test_who_posts_is_told_by_a_header_or_by_the_query(headers: dict[str, str], asked: str, source: str) -> None:
    assert source_of(headers, asked) == source


def test_a_source_that_nobody_knows_is_refused_with_the_nearest() -> None:
    with pytest.raises(ChangeError, match="source: there is no 'argo'; did you mean 'argocd'"):
        source_of({}, "argo")


def test_without_an_id_the_content_tells_changes_apart() -> None:
    at = {"at": NOW - 60}
    told: list[dict[str, Any]] = [{}, {"at": NOW - 30}, {"title": "1.43"}, {"at": NOW}]
    keys = [only("plain", post({**DEPLOY, **at, **more})).key for more in told]
    assert keys[0] == keys[1], "of one minute"
    assert len(set(keys)) == 3


def test_a_version_that_is_deployed_again_later_is_a_change_again() -> None:
    body = json.dumps(DEPLOY).encode()
    keys = {only("plain", Post(body, NOW + later)).key for later in (0, 1, 3600)}
    assert len(keys) == 2


SECRETS = ["The-canary-Sings-at-dawn"]
SPOKEN = [
    ("one of ours in a title", "token The-canary-Sings-at-dawn used", "token *** used"),
    ("a key by its shape", "rotated sk_live_4711Zx81pQ7mAbCd", "rotated ***"),
    ("a whole commit is cut, no secret", "f95f852bd8fca8fcc58a9a2d6c842781e32a215e", "f95f852"),
    ("lines and control characters", "a\n b\t\u202ec\x00", "a b \\x202ec\\x00"),
]


@pytest.mark.parametrize(("title", "kept"), [row[1:] for row in SPOKEN], ids=[row[0] for row in SPOKEN])
def test_a_title_is_kept_on_one_line_and_without_secrets(title: str, kept: str) -> None:
    (change,) = parse("plain", post({"kind": "other", "title": title}), SECRETS).changes
    assert change.title == kept


def test_no_field_keeps_a_secret_of_ours() -> None:
    everywhere = dict.fromkeys(("title", "service", "environment", "author", "id"), f"x {SECRETS[0]} y")
    links = dict.fromkeys(("url", "undo_url"), f"https://x.example/{SECRETS[0]}?token=4711abcdef")
    (change,) = parse("plain", post({"kind": "other", **everywhere, **links}), SECRETS).changes
    assert SECRETS[0] not in repr(change)
    assert "4711abcdef" not in repr(change)


def test_a_key_with_a_nul_is_kept_as_what_a_database_takes() -> None:
    assert only("plain", post({**DEPLOY, "id": "a\0b"})).key == "a\\x00b"
    assert len(only("plain", post({**DEPLOY, "id": "\0" * LONGEST_NAME})).key) == 64


def test_what_a_vendor_sends_is_cut_to_length_and_links_that_are_none_are_left_out() -> None:
    long = {
        "app": "a" * 5000,
        "revision": "r" * 5000,
        "url": "javascript:alert(1)",
        "undo_url": "https://x/" + "u" * 5000,
    }
    change = only("argocd", post({**SYNC, **long}))
    assert (len(change.service), len(change.title)) == (LONGEST_NAME, LONGEST_TITLE)
    assert (change.url, change.undo_url) == ("", "")
    assert len(change.key) == 64


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (ToldChange("s", "k", 1, "deploy", "1.42", "checkout", author="ana"), "deploy of checkout 1.42 by ana"),
        (ToldChange("s", "k", 1, "deploy", "Checkout 1.42", "checkout"), "deploy of checkout 1.42"),
        (ToldChange("s", "k", 1, "flag", "new-pricing turned on", author="bo"), "flag: new-pricing turned on by bo"),
        (ToldChange("s", "k", 1, "config", "pool of 20", "db"), "config change of db: pool of 20"),
        (ToldChange("s", "k", 1, "other", "move"), "change move"),
    ],
)
def test_a_change_is_told_in_words(change: ToldChange, words: str) -> None:
    assert change.words == words


def rendered(template: str, app: Any) -> str:
    """A template of Argo CD's as Argo CD renders it, as far as ours go: a path of the application, as JSON or as text."""

    def value(found: re.Match[str]) -> str:
        held = app
        for name in found[2].strip(".").split("."):
            held = held.get(name)
        return json.dumps(held) if found[1] else str(held)

    return re.sub(r"\{\{(toJson )?([.\w]+)\}\}", value, template)


APP = {
    "context": {"argocdUrl": "https://argo.example"},
    "app": {
        "metadata": {"name": "checkout"},
        "status": {
            "operationState": {
                "phase": "Succeeded",
                "finishedAt": "2026-11-20T21:50:00Z",
                "operation": {"initiatedBy": {"username": "ana"}},
                "syncResult": {"revision": "f95f852bd8fca8fcc58a9a2d6c842781e32a215e"},
            }
        },
    },
}
"""What of an application our template asks for; the rest is much more."""


def test_the_template_for_argo_cd_that_the_page_shows_is_understood() -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    (settings,) = (
        text for text in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL) if "template.tocsin-change" in text
    )
    body = yaml.safe_load(yaml.safe_load(settings)["template.tocsin-change"])["webhook"]["tocsin"]["body"]
    change = only("argocd", post(rendered(body, APP).encode(), environment="prod"))
    assert change.words == "deploy of checkout f95f852 by ana"
    assert change.undo_url == "https://argo.example/applications/checkout?rollback=0"


# --- whatever else

TEXTS = st.text(max_size=30) | st.sampled_from(["2026-11-20T21:45:00Z", "flag", "success", "Succeeded", "deploy", "\0"])
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
GOOD = [(source, posted.event, msgspec.json.decode(posted.body)) for _, source, posted, _ in TOLD]


@st.composite
def nearly_good(draw: st.DrawFn) -> tuple[str, str, Any]:
    """A good body of which some fields are gone or something else."""
    source, event, body = draw(st.sampled_from(GOOD))
    names = draw(st.lists(st.sampled_from(sorted(body)), max_size=2))
    changed = {**body, **{name: draw(VALUES | TEXTS) for name in names}}
    gone = draw(st.sampled_from([None, *sorted(body)]))
    return source, event, {name: value for name, value in changed.items() if name != gone}


def parsed(source: str, event: str, body: bytes) -> None:
    """Raises only when something other than a refusal happens, or what is stored knows no bounds."""
    with contextlib.suppress(ChangeError):
        for change in parse(source, Post(body, NOW, event), SECRETS).changes:
            assert 0 < change.at <= NOW + 300
            assert 0 < len(change.title) <= LONGEST_TITLE
            assert max(map(len, (change.service, change.environment, change.author))) <= LONGEST_NAME
            assert len(change.key) <= LONGEST_KEY
            assert max(len(change.url), len(change.undo_url)) <= LONGEST_LINK
            texts = (change.title, change.author, change.service, change.environment, change.key)
            assert not any("\0" in text for text in texts)
            annotations.row(change)


@given(nearly_good())
def test_a_body_that_is_nearly_good_is_read_or_refused(case: tuple[str, str, Any]) -> None:
    source, event, body = case
    parsed(source, event, json.dumps(body).encode())


@given(st.sampled_from(sorted(ADAPTERS)), st.sampled_from(["deployment", "deployment_status", ""]), st.binary(max_size=60) | VALUES.map(lambda value: json.dumps(value).encode()))  # fmt: skip
def test_any_bytes_are_read_or_refused(source: str, event: str, body: bytes) -> None:
    parsed(source, event, body)


@given(st.binary(max_size=60) | st.fixed_dictionaries({"range": VALUES | st.fixed_dictionaries({"from": TEXTS, "to": TEXTS}), "annotation": VALUES}).map(lambda value: json.dumps(value).encode()))  # fmt: skip
def test_any_question_of_grafana_is_read_or_refused(body: bytes) -> None:
    with contextlib.suppress(ChangeError):
        annotations.question(body)


# --- signatures


def signed(body: bytes, secret: str) -> str:
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


@given(st.binary(max_size=40), st.text(min_size=1, max_size=20), st.text(max_size=70))
def test_only_the_secrets_own_signature_of_the_very_body_is_good(body: bytes, secret: str, other: str) -> None:
    good = signed(body, secret)
    assert is_signed(body, secret, good)
    assert is_signed(body, secret, f"sha256={good}")
    assert not is_signed(body + b" ", secret, good)
    assert not is_signed(body, secret + "x", good)
    assert not is_signed(body, secret, good[:-1])
    assert not is_signed(body, secret, good[:-1] + ("1" if good[-1] == "0" else "0"))
    assert is_signed(body, secret, other) == (other.strip().removeprefix("sha256=").lower() == good)
