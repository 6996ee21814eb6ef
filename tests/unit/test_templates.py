"""Templates of operators: checked before they are used, bounded in what they cost, and never the end of a page."""

import contextlib
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from receiver.notifiers.render import CHANNELS
from receiver.notifiers.stories import acknowledged, resolved
from receiver.notifiers.style import Style, compiled
from receiver.notifiers.words import TITLE_LIMIT, words
from receiver.templates.settings import TemplateSettings, lint
from receiver.templates.template import TEXT_LIMIT, Mistake, Template
from tests.support.stories import STORIES

STORY = STORIES["checkout-drop"]
SHOWN = [
    ("a field", "{{ summary }}", "Checkouts 84 % below normal"),
    ("a condition", "{% if status == 'firing' %}on{% else %}over{% endif %}", "on"),
    ("a loop", "{% for change in changes %}{{ loop.index }} {{ change.what }}; {% endfor %}", "1 deploy of checkout 1.42 by Ana Lima; 2 migration 0093 of the orders database; "),
    ("a time", "{{ since | utc }}", "14:02 UTC"),
    ("what is made of the fields", "{{ state }}: {{ value }}", "P1 FIRING: 61 checkouts in 10 min (normal: 380), 6.2 times below normal ▇▇▇▇▆▇▇▂▁▁"),
    ("a filter", "{{ owner | upper }} {{ tier | default('none') }}", "PAYMENTS 0"),
    ("a rounded number", "{{ 2.56 | round(1) }} {{ firing_count | round }} {{ 61.5 | round | int }}", "2.6 3 62"),
    ("a list of its own", "{% for name in ['a', owner] %}{{ name }} {% endfor %}", "a payments "),
    ("what stands elsewhere in its place", "{% for change in logs[5:] %}{{ change }}{% else %}none{% endfor %}", "none"),
    ("one of several", "{{ first_steps[0] }}", "Roll checkout back to 1.41: the deploy came 4 min before the drop."),
]  # fmt: skip


@pytest.mark.parametrize(("source", "text"), [row[1:] for row in SHOWN], ids=[row[0] for row in SHOWN])
def test_a_template_shows(source: str, text: str) -> None:
    assert Template(source)(STORY) == text


MISTAKES = [
    ("a name that is not defined", "a\n{{ sumary }}", 2, "'sumary' is not defined; did you mean 'summary'?"),
    ("a key that is not there", "{% for c in changes %}\n{{ c.whta }}{% endfor %}", 2, "has no attribute 'whta'"),
    ("an end that is missing", "a\nb\n{% if owner %}", 3, "Unexpected end of template"),
    ("a filter that is not there", "{{ owner | shout }}", 1, "No filter named 'shout'"),
    ("a filter that costs", "{{ owner | center(1000000000) }}", 1, "No filter named 'center'"),
    ("a call", "{{ range(10) }}", 1, "calls nothing"),
    ("a call of a value's method", "{{ owner.upper() }}", 1, "calls nothing"),
    ("what Python keeps hidden", "{{ owner.__class__.__mro__ }}", 1, "SecurityError"),
    ("arithmetic", "{{ 'x' * 1000000000 }}", 1, "has no such expression"),
    ("an assignment", "{% set x = owner %}", 1, "sets nothing"),
    ("a block that is kept", "{% set x %}{{ owner }}{% endset %}", 1, "sets nothing"),
    ("a macro", "{% macro m() %}{% endmacro %}", 1, "defines no macros"),
    ("a file", "{% include '/etc/passwd' %}", 1, "includes no files"),
    ("loops in loops in loops", "{% for a in logs %}{% for b in logs %}{% for c in logs %}x{% endfor %}{% endfor %}{% endfor %}", 1, "nested deeper than 2"),
    ("too long a text", "x" * 20_000, 0, "longer than 16384 characters"),
    ("too much text", "{% for a in changes %}" + "x" * 5000 + "{% endfor %}", 0, f"makes more than {TEXT_LIMIT} characters"),
    ("a loop over letters", "a\n{% for a in description %}{% for b in description %}{% endfor %}{% endfor %}", 2, "a loop goes over a list"),
    ("a loop over letters that were joined", "{% for a in changes | join('x') %}{% endfor %}", 1, "a loop goes over a list"),
    ("a loop over letters within another", "{% for a in logs %}\n{% for b in a %}{% endfor %}{% endfor %}", 2, "a loop goes over a list"),
    ("a long list", "{% for a in [" + "1," * 101 + "] %}{% endfor %}", 1, "a loop goes over 100 values at most"),
    ("rounding by a power that fills the memory", "{{ 1 | round(999999999, 'floor') }}", 1, "TypeError"),
    ("digits that no number has", "{{ 1 | round(99999999) }}", 1, "round leaves 15 digits at most"),
    ("digits before the point", "{{ 1 | round(-99999999) }}", 1, "round leaves 15 digits at most"),
    ("more conditions than Python nests", "{% if owner %}" * 101 + "{% endif %}" * 101, 0, "can't be compiled"),
    ("a number without end", "{{ " + "9" * 5000 + " }}", 0, "can't be compiled"),
    ("an option given twice", "{{ owner | default(x=1, x=2) }}", 0, "can't be compiled"),
    ("nesting without end", "{{ " + "(" * 3000 + "owner" + ")" * 3000 + " }}", 0, "nested too deeply"),
]  # fmt: skip


@pytest.mark.parametrize(("source", "line", "problem"), [row[1:] for row in MISTAKES], ids=[row[0] for row in MISTAKES])
def test_a_mistake_is_named_with_its_line(source: str, line: int, problem: str) -> None:
    with pytest.raises(Mistake) as mistake:
        Template(source)(STORY)
    assert (mistake.value.line, problem in mistake.value.problem) == (line, True), mistake.value


def settings(**fields: object) -> TemplateSettings:
    return TemplateSettings.model_validate({"name": "own", **fields})


LINTED = [
    ("a target that nobody has", {"targets": ["pagr"], "title": "x"}, "targets", "no target is named 'pagr'; did you mean 'pager'?"),
    ("a team that nobody has", {"teams": ["paymnts"], "title": "x"}, "teams", "no team is named 'paymnts'; did you mean 'payments'?"),
    ("a mistake in a title", {"title": "{{ sumary }}"}, "title", "line 1: 'sumary' is not defined"),
    ("a mistake in a body", {"body": "\n{{ sumary }}"}, "body", "line 2: 'sumary' is not defined"),
    ("what fails at the end of an incident only", {"body": "{{ summary }}{% if status == 'resolved' %}{{ changes[0].x }}{% endif %}"}, "body", "has no attribute 'x'"),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "part", "problem"), [row[1:] for row in LINTED], ids=[row[0] for row in LINTED])
def test_check_names(fields: dict[str, object], part: str, problem: str) -> None:
    ((location, text),) = lint([settings(**fields)], ["pager"], ["payments"])
    assert location[2] == part
    assert problem in text


def test_check_names_the_file_of_a_template(tmp_path: Path) -> None:
    (tmp_path / "own.j2").write_text("fine\n{{ sumary }}\n")
    bad = TemplateSettings.model_validate({"name": "own", "body_file": "own.j2"}, context={"base": tmp_path})
    ((_, text),) = lint([bad], [], [])
    assert text.startswith(f"{tmp_path / 'own.j2'}: line 2: 'sumary' is not defined")


def style(*templates: TemplateSettings, target: str = "chat") -> Style:
    return Style(target=target, templates=compiled(templates))


OWN = settings(
    title="{{ summary | upper }}",
    body="Do this: {{ first_steps[0] }}\n\n{{ measured }}",
    targets=["chat"],
    teams=["payments"],
)


@pytest.mark.parametrize("name", CHANNELS)
def test_every_channel_shows_the_operators_words(name: str) -> None:
    shown = CHANNELS[name](STORY, style(OWN).say(STORY, False))
    told = shown.title + shown.body + str(shown.native)
    assert "CHECKOUTS 84 % BELOW NORMAL" in told or name == "voice"  # which has its own sentences
    assert "Do this: Roll checkout back" in told or name == "voice"


@pytest.mark.parametrize(
    ("target", "owner", "own"), [("chat", "payments", True), ("mail", "payments", False), ("chat", "growth", False)]
)
def test_a_template_is_for_its_targets_and_teams(target: str, owner: str, own: bool) -> None:
    message = msgspec.structs.replace(STORY, owner=owner)
    assert style(OWN, target=target).say(message, False).title.startswith("CHECKOUTS") is own


def test_a_digest_is_told_in_our_words() -> None:
    digest = msgspec.structs.replace(STORY, digest=("critical firing · #7 · one",))
    assert style(settings(title="own")).say(digest, False).title != "own"


def test_links_and_the_mark_of_a_repeat_stay() -> None:
    said = style(settings(title="x" * 300)).say(STORY, True)
    assert said.title.endswith("… (may be a repeat)")
    assert len(said.title) == TITLE_LIMIT
    assert said.links == words(STORY).links
    assert said.facts == words(STORY).facts


FAILS = [
    ("it raises", "{{ changes[0].what }}{{ changes[5].what }}", "line 1"),
    ("it says nothing", "{% if status == 'nothing' %}x{% endif %}", "it says nothing"),
    ("it says too much", "{% for a in changes %}" + "x" * 5000 + "{% endfor %}", "more than"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "reason"), [row[1:] for row in FAILS], ids=[row[0] for row in FAILS])
def test_a_template_that_fails_is_named_and_the_page_is_told_in_our_words(body: str, reason: str) -> None:
    failed: list[tuple[str, str]] = []
    own = Style(templates=compiled([settings(body=body)]), failed=lambda *told: failed.append(told))
    said = own.say(STORY, False)
    assert said.title == words(STORY).title
    assert said.steps == words(STORY).steps
    assert "template own: " in said.unknown
    assert reason in said.unknown
    assert [name for name, _ in failed] == ["own"]


@given(source=st.text(alphabet="{}%| abcfinorstu.[]()'\"_-+*~=\n0123456789", max_size=200))
def test_any_text_is_a_template_or_a_mistake(source: str) -> None:
    with contextlib.suppress(Mistake):
        template = Template(source)
        for told in (STORY, acknowledged(STORY), resolved(STORY)):
            assert len(template(told)) <= TEXT_LIMIT
