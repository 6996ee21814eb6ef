"""What an escalation does next, in tables, and that each step is taken once whatever happens."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from receiver.alerts import AlertEvent
from receiver.config import load
from receiver.escalation.people import Call, Called, called
from receiver.escalation.policy import (
    QUIET,
    Progress,
    Reach,
    Standing,
    begin,
    decide,
    ended,
    held_up,
    is_reached,
    put_off,
    reminded,
    resumed,
    starts,
    take,
)
from receiver.escalation.settings import Escalation, Step
from receiver.incidents import severity_of
from receiver.settings import ReceiverConfig
from receiver.stages.route import escalation_of
from tests.support.escalating import EVENING, config
from toolkit.configfile import ConfigError

NOW = 1000.0
OPEN, TAKEN = Standing("open"), Standing("acknowledged")
POLICY = Escalation.model_validate(
    {"steps": [{"notify": ["a"], "wait": "5m"}, {"notify": ["b"], "wait": "10m"}], "repeat": 1, "reminder": "1h"}
)
ONCE = POLICY.model_copy(update={"repeat": 0, "reminder": None})


def calls(step: Step) -> Called:
    return Called(tuple(Call(name, name, name) for name in step.notify))


def gap(_: Step) -> Called:
    return Called((), ("rota/r: nobody is on call",))


SECOND = Progress("p", NOW, NOW + 300, step=1, called=("a",), called_at=1)
NEXT: list[tuple[str, Escalation | None, Progress, Standing, bool, float, str]] = [
    # name, policy, progress, how the incident stands, whether the last step reached anybody, seconds later, reason
    ("before its time", POLICY, SECOND, OPEN, True, 299, "not_due"),
    ("at its time", POLICY, SECOND, OPEN, True, 300, "step_due"),
    ("nobody was reached", POLICY, SECOND, OPEN, False, 1, "unreachable"),
    ("nobody was reached by the last step", POLICY, replace(SECOND, step=0, round=1), OPEN, False, 1, "not_due"),
    ("acknowledged by somebody who told nobody", POLICY, SECOND, TAKEN, True, 1, "acknowledged"),
    ("all rounds are over", POLICY, replace(SECOND, step=0, round=2), OPEN, True, 300, "exhausted"),
    ("the policy is gone", None, SECOND, OPEN, True, 1, "policy_gone"),
    ("a reminder before its time", POLICY, replace(SECOND, ended_by="acknowledged"), TAKEN, True, 1, "not_due"),
    ("a reminder at its time", POLICY, replace(SECOND, ended_by="acknowledged"), TAKEN, True, 300, "reminder_due"),
    ("a reminder while nobody has it", POLICY, replace(SECOND, ended_by="exhausted"), OPEN, True, 300, "reminder_due"),
    ("it has come to its end", POLICY, replace(SECOND, due_at=None), OPEN, True, 9999, "not_due"),
    ("it is snoozed", POLICY, SECOND, Standing("open", NOW + 900), True, 400, "snoozed"),
    ("the snooze is over", POLICY, SECOND, Standing("open", NOW + 900), True, 900, "step_due"),
    ("the clock was set back", POLICY, SECOND, OPEN, True, -3600, "clock_set_back"),
    ("the clock was set back while it is snoozed", POLICY, SECOND, Standing("open", NOW + 900), True, -3600, "snoozed"),
    ("the clock was set back before a reminder", POLICY, replace(SECOND, ended_by="exhausted"), OPEN, True, -9000, "clock_set_back"),
    ("a snooze without an escalation is over", None, put_off(None, NOW + 60, NOW), OPEN, True, 60, "reminder_due"),
    ("a policy that has fewer steps by now", POLICY, replace(SECOND, step=2), OPEN, True, 300, "step_due"),
    ("... and nobody was reached", POLICY, replace(SECOND, step=2), OPEN, False, 1, "not_due"),
    ("... and no further round", ONCE, replace(SECOND, step=2), OPEN, True, 300, "exhausted"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("policy", "progress", "standing", "reached", "later", "reason"), [row[1:] for row in NEXT], ids=[row[0] for row in NEXT]
)  # fmt: skip
def test_what_is_done_next(
    policy: Escalation | None, progress: Progress, standing: Standing, reached: bool, later: float, reason: str
) -> None:
    assert decide(policy, progress, standing, reached, NOW + later) == reason


def test_the_steps_of_all_rounds_come_in_order() -> None:
    progress, found, at = begin("p", NOW), [], NOW
    while decide(POLICY, progress, OPEN, True, at) == "step_due":
        move = take(POLICY, progress, calls, at)
        found.append((at - NOW, move.number, move.called.targets))
        progress = move.progress
        at = progress.due_at or 0
    assert found == [(0, 1, ("a",)), (300, 2, ("b",)), (900, 1, ("a",)), (1200, 2, ("b",))]
    assert decide(POLICY, progress, OPEN, True, at) == "exhausted"


def test_a_policy_that_has_fewer_steps_by_now_goes_on_with_the_next_round() -> None:
    move = take(POLICY, replace(SECOND, step=2), calls, NOW)
    assert (move.number, move.called.targets, move.progress.round, move.progress.step) == (1, ("a",), 1, 1)


def test_a_step_that_reaches_nobody_is_left_out_and_said() -> None:
    move = take(POLICY, begin("p", NOW), lambda step: gap(step) if step.notify == ("a",) else calls(step), NOW)
    assert (move.number, move.called.targets, move.skipped) == (2, ("b",), ("step 1, rota/r: nobody is on call",))
    assert move.progress.due_at == NOW + 600


def test_a_round_that_reaches_nobody_is_over_after_the_last_wait() -> None:
    move = take(POLICY, begin("p", NOW), gap, NOW)
    assert (move.called.calls, len(move.skipped)) == ((), 2)
    assert (move.progress.round, move.progress.step, move.progress.due_at) == (1, 0, NOW + 600)


def test_after_its_end_there_are_reminders_where_the_policy_wants_them() -> None:
    assert ended(POLICY, SECOND, "acknowledged", NOW).due_at == NOW + 3600
    assert ended(ONCE, SECOND, "acknowledged", NOW).due_at is None
    assert ended(None, SECOND, "policy_gone", NOW).due_at is None
    assert reminded(POLICY, ended(POLICY, SECOND, "acknowledged", NOW), NOW).ended_by == "acknowledged"


def test_what_was_handed_over_goes_on_where_it_was() -> None:
    ended_ = ended(POLICY, SECOND, "acknowledged", NOW)
    again = resumed(POLICY, ended_, ("c",), 7, NOW)
    assert (again.step, again.ended_by, again.due_at, again.called, again.called_at) == (1, None, NOW + 300, ("c",), 7)
    spent = replace(ended_, round=2, step=0)
    assert (resumed(POLICY, spent, (), 7, NOW).round, resumed(None, spent, (), 7, NOW)) == (0, spent)


def test_a_wait_begins_anew_when_the_clock_was_set_back() -> None:
    assert held_up(POLICY, SECOND, NOW - 3600).due_at == NOW - 3300


REACHES = [
    ("sent", [Reach("sent", 1, 200)], True),
    ("not tried yet", [Reach("planned", 0, None)], True),
    ("failed once", [Reach("failed", 1, 500)], True),
    ("failed twice", [Reach("failed", 2, 500)], False),
    ("lost twice", [Reach("unknown", 2, None)], False),
    ("refused", [Reach("failed", 1, 404)], False),
    ("given up", [Reach("dead", 9, None)], False),
    ("refused, and its fallback was told", [Reach("failed", 1, 404, stood_in=True)], True),
    ("one of two failed", [Reach("dead", 9, None), Reach("planned", 0, None)], True),
    ("replaced by something newer", [Reach("superseded", 1, 500)], True),
    ("nobody was called", [], True),
]


@pytest.mark.parametrize(("found", "reached"), [row[1:] for row in REACHES], ids=[row[0] for row in REACHES])
def test_whether_anybody_was_reached(found: list[Reach], reached: bool) -> None:
    assert is_reached(found) == reached


STARTS = [
    ("there is none yet", "p", None, "open", False, True),
    ("no escalation is wanted", None, None, "open", True, False),
    ("one is under way", "p", SECOND, "open", True, False),
    ("one has ended, and an alert joined", "p", ended(ONCE, SECOND, "exhausted", NOW), "open", False, False),
    ("one has ended, and it opens again", "p", ended(ONCE, SECOND, "resolved", NOW), "reopened", True, True),
    ("somebody has it", "p", None, "acknowledged", True, False),
    ("it was only snoozed", "p", put_off(None, NOW, NOW), "open", False, True),
]


@pytest.mark.parametrize(
    ("policy", "progress", "state", "anew", "begins"), [row[1:] for row in STARTS], ids=[row[0] for row in STARTS]
)
def test_whether_news_start_one(policy: str, progress: Progress, state: str, anew: bool, begins: bool) -> None:
    assert starts(policy, progress, state, anew) == begins  # type: ignore[arg-type]  # the table's states are States


# --- whom a step calls

DAY = EVENING - 12 * 3600
SERVED = {"chat", "ana-phone", "bo-phone", "cy-phone"}
WHO: list[tuple[str, str, float, tuple[str, ...], str]] = [
    ("a rota in its hours", "rota/platform", DAY, ("ana-phone",), ""),
    ("a rota outside its hours", "rota/platform", EVENING, (), "rota/platform: nobody is on call (office: outside its hours)"),
    ("a layer of it", "rota/platform/office", DAY, ("ana-phone",), ""),
    ("a layer that it has no more", "rota/platform/gone", DAY, (), "rota/platform/gone: nobody is on call (there is no such rota)"),
    ("a person", "person/bo", DAY, ("bo-phone",), ""),
    ("a person who left", "person/dan", DAY, (), "person/dan: no contact is known"),
    ("a team with members", "team/shop", DAY, ("cy-phone",), ""),
    ("a team that is gone", "team/x", DAY, (), "team/x: it has no target, and no member with a contact"),
    ("a target", "target/chat", DAY, ("chat",), ""),
    ("a target that left", "target/pager", DAY, (), "target/pager: there is no such target"),
]  # fmt: skip


@pytest.mark.parametrize(("named", "at", "targets", "why"), [row[1:] for row in WHO], ids=[row[0] for row in WHO])
def test_whom_a_name_calls(named: str, at: float, targets: tuple[str, ...], why: str) -> None:
    found = called([named], config(), SERVED, "critical", at)
    assert (found.targets, "; ".join(found.gaps)) == (targets, why)


def test_a_target_is_called_once_however_many_names_lead_to_it() -> None:
    found = called(["person/ana", "rota/platform", "person/bo"], config(), SERVED, "critical", DAY)
    assert (found.targets, found.who) == (("ana-phone", "bo-phone"), "ana, bo")


ROUTED = [
    ("the route's", {"team": "platform"}, "standard"),
    ("the team's, where no route names one", {"team": "shop"}, "by_rota"),
    ("the owner's team", {"owner": "shop"}, "by_rota"),
    ("none of a team for information", {"team": "shop", "severity": "info"}, None),
    ("none", {}, None),
]


def labelled(labels: dict[str, str]) -> AlertEvent:
    return AlertEvent("f", "firing", DAY, None, labels, {}, "")


@pytest.mark.parametrize(("labels", "wanted"), [row[1:] for row in ROUTED], ids=[row[0] for row in ROUTED])
def test_which_escalation_an_alert_has(labels: dict[str, str], wanted: str | None) -> None:
    assert escalation_of(labelled(labels), severity_of(labels), config(), DAY) == wanted


def test_the_first_route_that_names_one_decides_while_routes_go_on() -> None:
    routes = [
        {"match": {"a": "1"}, "targets": [], "continue": True},
        {"match": {"b": "1"}, "targets": [], "escalation": "by_rota"},
        {"targets": [], "escalation": "standard"},
    ]
    found: ReceiverConfig = config(routes=routes)
    assert escalation_of(labelled({"a": "1", "b": "1"}), "warning", found, DAY) == "by_rota"
    assert escalation_of(labelled({"a": "1"}), "warning", found, DAY) == "standard"


# --- what check refuses

GOOD = """
targets: [{name: chat, url: 'json://localhost/'}]
people: {ana: {contacts: {default: [chat]}}, bo: {}}
teams: {shop: {members: [ana], escalation: ESCALATION}, empty: {}}
rotas: {week: {layers: [{name: first, people: [ana], starts: 2026-01-05, handover: {every: week, at: "09:00"}}]}}
escalations: {standard: {steps: [{notify: [NOTIFY], wait: WAIT}]}}
routes: [{targets: [chat], escalation: ROUTE}]
"""
MISTAKES = [
    ("a rota that there is not", {"NOTIFY": "rota/weak"}, ":6:44: escalations.standard.steps[0].notify[0]: no rota is named 'weak'; did you mean 'week'?"),
    ("a layer that there is not", {"NOTIFY": "rota/week/frist"}, "the rota 'week' has no layer 'frist'; did you mean 'first'?"),
    ("a person that there is not", {"NOTIFY": "person/anna"}, "no person is named 'anna'; did you mean 'ana'?"),
    ("a person without contacts", {"NOTIFY": "person/bo"}, "the person 'bo' has no contacts, so this would reach nobody"),
    ("a team that reaches nobody", {"NOTIFY": "team/empty"}, "the team 'empty' has neither targets nor members"),
    ("a target that there is not", {"NOTIFY": "target/chatt"}, "no target is named 'chatt'; did you mean 'chat'?"),
    ("another kind", {"NOTIFY": "persons/ana"}, "'persons/ana' names nobody; write rota/NAME, person/NAME, team/NAME or target/NAME; did you mean 'person'?"),
    ("no kind", {"NOTIFY": "ana"}, "'ana' names nobody; write rota/NAME"),
    ("a route's escalation that there is not", {"ROUTE": "standart"}, ":7:28: routes[0].escalation: no escalation is named 'standart'; did you mean 'standard'?"),
    ("a team's escalation that there is not", {"ESCALATION": "x"}, ":4:32: teams.shop.escalation: no escalation is named 'x'; known: standard"),
    ("no time to wait", {"WAIT": "0s"}, "escalations.standard.steps[0].wait: input should be greater than 0"),
]  # fmt: skip


def written(folder: Path, **parts: str) -> Path:
    text = GOOD
    for place, value in {
        "NOTIFY": "rota/week/first",
        "ROUTE": "standard",
        "ESCALATION": "standard",
        "WAIT": "5m",
        **parts,
    }.items():
        text = text.replace(place, value)
    (folder / "receiver.yml").write_text(text)
    return folder / "receiver.yml"


@pytest.mark.parametrize(("parts", "words"), [row[1:] for row in MISTAKES], ids=[row[0] for row in MISTAKES])
def test_a_mistake_is_named_with_its_place(tmp_path: Path, parts: dict[str, str], words: str) -> None:
    load(written(tmp_path))
    with pytest.raises(ConfigError) as error:
        load(written(tmp_path, **parts))
    assert words in str(error.value)


# --- each step once


class AnyInterleaving(RuleBasedStateMachine):
    """Two replicas read, decide, and commit where nobody else did since; people act; clocks leap; replicas die."""

    def __init__(self) -> None:
        super().__init__()
        self.now, self.revision = 1_000_000.0, 1
        self.progress = begin("p", self.now)
        self.standing = OPEN
        self.reads: dict[int, tuple[int, Progress, Standing]] = {}
        self.told: list[tuple[int, int, int]] = []
        self.handed = 0

    @initialize()
    def opens(self) -> None:
        self.commits(self.read(0))

    def read(self, replica: int) -> int:
        self.reads[replica] = self.revision, self.progress, self.standing
        return replica

    @rule(replica=st.sampled_from([0, 1]))
    def reads_and_may_die(self, replica: int) -> None:
        self.read(replica)

    @precondition(lambda self: self.reads)
    @rule(replica=st.sampled_from([0, 1]), reached=st.booleans())
    def decides_and_commits(self, replica: int, reached: bool) -> None:
        if replica in self.reads:
            self.commits(replica, reached)

    def commits(self, replica: int, reached: bool = True) -> None:
        revision, progress, standing = self.reads.pop(replica)
        reason = decide(POLICY, progress, standing, reached, self.now)
        if reason in QUIET or revision != self.revision:
            return  # the guard of the store: whoever changed it since has the say
        if reason in ("step_due", "unreachable"):
            assert standing.state == "open", "nobody is called for what somebody has"
            move = take(POLICY, progress, calls, self.now)
            self.told.append((self.handed, progress.round, move.number))
            progress = move.progress
        elif reason == "reminder_due":
            progress = reminded(POLICY, progress, self.now)
        elif reason == "clock_set_back":
            progress = held_up(POLICY, progress, self.now)
        else:
            assert reason in ("exhausted", "acknowledged")
            progress = ended(POLICY, progress, reason, self.now)
        self.progress, self.revision = progress, self.revision + 1

    @rule(seconds=st.sampled_from([1.0, 299.0, 301.0, 601.0, 3601.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(seconds=st.sampled_from([-86400.0, -3600.0, 3600.0, 86400.0]))
    def the_clock_leaps(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def somebody_acknowledges(self) -> None:
        if self.standing.state == "open":
            self.standing = replace(self.standing, state="acknowledged")
            self.progress = ended(POLICY, self.progress, "acknowledged", self.now)
            self.revision += 1

    @rule(seconds=st.sampled_from([60.0, 7200.0]))
    def somebody_snoozes(self, seconds: float) -> None:
        self.standing = replace(self.standing, snoozed_until=self.now + seconds)
        self.progress = put_off(self.progress, self.now + seconds, self.now)
        self.revision += 1

    @rule()
    def somebody_hands_it_over(self) -> None:
        if self.progress.round <= POLICY.repeat or self.handed > 3:
            return
        self.standing, self.handed, self.revision = OPEN, self.handed + 1, self.revision + 1
        self.progress = resumed(POLICY, self.progress, (), self.revision, self.now)

    @invariant()
    def each_step_is_taken_once_and_in_order(self) -> None:
        assert self.told == sorted(set(self.told))

    @invariant()
    def what_is_under_way_comes_to_an_end(self) -> None:
        longest = 3600.0 if self.progress.ended_by else 600.0
        if self.progress.due_at is not None and self.progress.due_at > self.now + longest:
            snoozed = self.standing.snoozed_until is not None and self.now < self.standing.snoozed_until
            reason = decide(POLICY, self.progress, self.standing, True, self.now)
            assert (
                snoozed
                or reason in ("clock_set_back", "acknowledged")
                or self.progress.due_at == self.standing.snoozed_until
            )

    def teardown(self) -> None:
        """Left alone, every step is taken that was to come, unless somebody has it."""
        for _ in range(200):
            self.now += 3601.0
            self.commits(self.read(0))
        if self.standing.state == "open":
            assert (
                self.told[-4:]
                == [(self.handed, round_, step) for round_ in (0, 1) for step in (1, 2)][-len(self.told[-4:]) :]
            )
            assert self.progress.ended_by == "exhausted"


TestAnyInterleaving = AnyInterleaving.TestCase
TestAnyInterleaving.settings = settings(max_examples=300, stateful_step_count=50, deadline=None)
