"""The receiver as a state machine: alerts come in any order and twice, sends fail, processes die, clocks leap."""

import contextlib
import random
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlalchemy.engine import make_url

from receiver import pipeline
from receiver.alerts import Status
from receiver.delivery.leases import LEASE_SECONDS
from receiver.delivery.outbox import Claimed, Receipt, after
from receiver.escalation.settings import Escalation
from receiver.explain import explained
from receiver.incidents import Incident, acknowledge
from receiver.message import Message
from receiver.settings import ReceiverConfig, Route, Service, Storm, Target
from receiver.stages.send import attempt
from receiver.store import MIGRATIONS, Decision
from tests.faults.mortal import LOG, Died, Machine
from tests.faults.truth import ALERTS, SERVICES, Alert, Event, Truth, firing, webhook
from toolkit.storage import migrate

EPOCH = 1_790_000_000.0
DAY = 86400.0
MEMORY = Path("/dev/shm") if Path("/dev/shm").is_dir() else None
"""Where a database need not wait for a disk."""
TARGETS = ("pager", "chat")
CALLS = {
    "steps": [
        {"notify": ["target/chat"], "wait": "1m"},
        {"notify": ["target/pager"], "wait": "5m"},
        {"notify": ["target/chat"], "wait": "5m"},
    ],
    "repeat": 1,
    "reminder": "10m",
}
FLYING = 3
"""Sends under way at once to one target."""
Outcome = Literal["sent", "failed", "refused", "lost", "lost on the way back"]
OUTCOMES: tuple[Outcome, ...] = ("sent", "failed", "refused", "lost", "lost on the way back")
RECEIPTS: Mapping[Outcome, Receipt] = {
    "sent": Receipt("sent", "", 200),
    "failed": Receipt("failed", "no", 500),
    "refused": Receipt("failed", "no", 404),
    "lost": Receipt("unknown", "no answer"),
    "lost on the way back": Receipt("unknown", "no answer"),
}


def config(related: bool, storm: int) -> ReceiverConfig:
    """What is critical goes to the pager as well, and is escalated. `storm`: so many incidents may open in a minute."""
    return ReceiverConfig(
        correlation={"labels": ("service",)},  # type: ignore[arg-type]  # as the file has it
        services={name: Service(depends_on=needs if related else ()) for name, needs in SERVICES.items()},
        storm=Storm(incidents=storm),
        targets=tuple(Target(name=name, url="json://localhost/") for name in TARGETS),
        routes=(
            Route.model_validate(
                {"match": {"severity": "critical"}, "targets": ["pager"], "continue": True, "escalation": "calls"}
            ),
            Route(targets=("chat",)),
        ),
        escalations={"calls": Escalation.model_validate(CALLS)},
    )


@pytest.fixture(scope="module", autouse=True)
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A migrated database, which each example takes a copy of."""
    TheReceiver.empty = tmp_path_factory.mktemp("machine") / "empty.db"
    migrate(make_url(f"sqlite:///{TheReceiver.empty}"), MIGRATIONS)
    with pytest.MonkeyPatch.context() as patch:
        # in one order, or an example would not be the same when it is run again
        patch.setattr(pipeline, "AT_ONCE", 1)
        yield TheReceiver.empty


@dataclass(frozen=True)
class Told:
    """A message as the sink got it. `late`: its sender was so slow that it was taken for dead."""

    row: int
    incident: int
    target: str
    status: Status
    late: bool
    may_repeat: bool
    untold: bool


class Sink:
    """Keeps what it is sent, and answers as it is told."""

    def __init__(self, receipt: Receipt, arrives: bool) -> None:
        self._receipt, self._arrives = receipt, arrives
        self.got: tuple[bool, bool] | None = None
        """Whether the message said that it may be a repeat, and that it tells of an end for the first time."""

    async def send(self, message: Message, *, may_repeat: bool, place: str) -> Receipt:  # noqa: ARG002 - a sink's interface
        if self._arrives:
            self.got = may_repeat, message.untold
        return self._receipt


class Records:
    """What the database holds, read beside the receiver."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        self._connection.row_factory = sqlite3.Row
        self._version = -1

    def changed(self) -> bool:
        """Whether anybody has written since this was asked last."""
        (version,) = self._connection.execute("PRAGMA data_version").fetchone()
        before, self._version = self._version, version
        return bool(version != before)

    def rows(self, query: str) -> list[sqlite3.Row]:
        return self._connection.execute(query).fetchall()

    def knew_of_less(self, incident: int) -> bool:
        """Whether an alert of it fired anew, or another incident became part of it."""
        anew = f"SELECT 1 FROM events WHERE reason = 'fired_again' AND incident_id = {incident}"
        return bool(self.rows(f"{anew} UNION SELECT 1 FROM incidents WHERE merged_into = {incident}"))

    def events(self, which: str = "true") -> set[tuple[str, float, str, float]]:
        query = f"SELECT fingerprint, starts_at, status, ends_at FROM events WHERE {which}"
        return {tuple(row) for row in self.rows(query)}

    def close(self) -> None:
        self._connection.close()


class TheReceiver(RuleBasedStateMachine):
    """Two targets, six alerts of five services, and whatever can happen to them."""

    empty: Path

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory(dir=MEMORY)
        self.path = Path(self.folder.name) / "receiver.db"
        shutil.copy(self.empty, self.path)
        self.truth, self.leap, self.chance = Truth(EPOCH), 0.0, random.Random(7)
        self.accepted: set[tuple[str, float, str, float]] = set()
        self.flying: list[Claimed] = []
        self.senders = 0
        self.told: list[Told] = []
        self.in_doubt: set[tuple[int, str]] = set()
        self.acknowledged: dict[int, tuple[str, int]] = {}
        self.machine: Machine | None = None

    @initialize(related=st.sampled_from([True, True, False]), storm=st.sampled_from([20, 20, 2]), hurried=st.booleans())
    def starts(self, related: bool, storm: int, hurried: bool) -> None:
        """`hurried`: in the end all alerts end before the targets have heard of them."""
        self.hurried = hurried
        self.machine = Machine(self.path, config(related, storm), self.now)
        self.records = Records(self.path)

    def now(self) -> float:
        """The receiver's clock."""
        return self.truth.time + self.leap

    @property
    def life(self) -> Any:
        assert self.machine is not None
        return self.machine.life

    def run(self, work: Any, fuse: int | None = None) -> Any:
        assert self.machine is not None
        return self.machine.run(work, fuse)

    @contextlib.contextmanager
    def may_die(self) -> Iterator[None]:
        """What was being sent when it died did not arrive."""
        try:
            yield
        except Died:
            self.forget_sends()

    def forget_sends(self) -> None:
        self.in_doubt.update((row.incident, row.target) for row in self.flying)
        self.flying.clear()

    # --- what comes in

    @rule(turns=st.lists(st.tuples(st.sampled_from(ALERTS), st.booleans()), min_size=1, max_size=4))
    def alerts_turn(self, turns: list[tuple[Alert, bool]]) -> None:
        """They begin to fire, or end; which of it reaches the receiver at once is drawn too."""
        reached = [
            event for event, reaches in [(self.truth.turn(alert), reaches) for alert, reaches in turns] if reaches
        ]
        if reached:
            self.post(reached)

    @precondition(lambda self: self.truth.history)
    @rule(which=st.lists(st.integers(0, 99), min_size=1, max_size=5), fuse=st.sampled_from([None, None, None, 0]))
    def a_webhook_tells_of_any_time(self, which: list[int], fuse: int | None) -> None:
        history = self.truth.history
        with self.may_die():
            self.post([history[-1 - number % len(history)] for number in which], fuse)

    def post(self, events: Sequence[Event], fuse: int | None = None) -> None:
        self.run(self.life.pipeline.accept(webhook(events)), fuse)
        self.accepted.update(event.key for event in events)

    @rule(seconds=st.sampled_from([0.5, 5.0, 59.0, 61.0, 299.0, 601.0, 3000.0]))
    def time_passes(self, seconds: float) -> None:
        self.truth.time += seconds

    @rule(leap=st.sampled_from([-DAY, 0.0, DAY]))
    def the_clock_is_set(self, leap: float) -> None:
        self.leap = leap

    # --- what is made of it

    @precondition(lambda self: self.records.events("processed_at IS NULL"))
    @rule()
    def it_processes(self) -> None:
        self.process()

    @precondition(lambda self: self.records.events("processed_at IS NULL"))
    @rule(fuse=st.integers(0, 12))
    def it_dies_while_it_processes(self, fuse: int) -> None:
        with self.may_die():
            self.run(self.life.pipeline.process(), fuse)

    @precondition(lambda self: self.records.events("processed_at IS NULL"))
    @rule(which=st.integers(0, 99), alert=st.sampled_from(ALERTS))
    def people_and_alerts_come_while_it_processes(self, which: int, alert: Alert) -> None:
        event = self.truth.turn(alert)

        async def meanwhile() -> None:
            await self.acknowledge(which)
            await self.life.pipeline.accept(webhook([event]))
            self.accepted.add(event.key)

        self.life.meanwhile = meanwhile
        self.process()
        self.life.meanwhile = None

    def process(self) -> None:
        """An incident that was changed by somebody else meanwhile is done at the second try."""
        assert not self.run(self.life.pipeline.process()) or not self.run(self.life.pipeline.process())

    @rule(fuse=st.sampled_from([None, None, None, 0, 3, 6, 7, 8]))
    def it_escalates(self, fuse: int | None) -> None:
        with self.may_die():
            self.run(self.life.escalator.look(), fuse)

    @rule(alert=st.sampled_from(ALERTS), which=st.integers(0, 99))
    def people_and_alerts_come_while_it_escalates(self, alert: Alert, which: int) -> None:
        event = self.truth.turn(alert)

        async def meanwhile() -> None:
            await self.acknowledge(which)
            await self.life.pipeline.accept(webhook([event]))
            self.accepted.add(event.key)
            await self.life.pipeline.process()

        self.life.meanwhile = meanwhile
        self.run(self.life.escalator.look())
        self.life.meanwhile = None

    @rule(which=st.integers(0, 99))
    def somebody_acknowledges(self, which: int) -> None:
        self.run(self.acknowledge(which))

    async def acknowledge(self, which: int) -> None:
        """As the endpoint `ack`."""
        live = [incident for incident in await self.life.store.incidents(100) if incident.live]
        if not live:
            return
        before: Incident = live[which % len(live)]
        taken = acknowledge(before, "ada", self.now())
        if taken == before:
            return
        done = await self.life.store.change(taken, before, Decision("acknowledged", "by_a_person", "ada"), self.now())
        assert done.id is not None
        self.acknowledged[done.id] = ("ada", done.reopened)

    # --- what goes out

    @precondition(lambda self: len(self.flying) < FLYING * len(TARGETS))
    @rule(to=st.sampled_from(TARGETS), fuse=st.sampled_from([None, None, None, None, 0]))
    def it_claims(self, to: str, fuse: int | None) -> None:
        with self.may_die():
            row: Claimed | None = self.run(self.claim(to), fuse)
            if row is None:
                return
            for other in self.flying:
                assert (other.incident, other.target) != (row.incident, to) or self.was_taken(other), "one at a time"
            self.flying.append(row)

    def claim(self, target: str) -> Any:
        self.senders += 1
        return self.life.store.outbox.claim(target, f"sender {self.senders}", self.now())

    def was_taken(self, row: Claimed) -> bool:
        query = f"SELECT 1 FROM outbox WHERE id = {row.id} AND state = 'sending' AND leased_by = '{row.owner}'"
        return not self.records.rows(query)

    @rule(to=st.sampled_from(TARGETS), outcomes=st.lists(st.sampled_from(OUTCOMES), min_size=1, max_size=5))
    def it_delivers(self, to: str, outcomes: list[Outcome]) -> None:
        for outcome in outcomes:
            row = self.run(self.claim(to))
            if row is None:
                return
            self.run(self.send(row, outcome))

    @precondition(lambda self: self.flying)
    @rule(which=st.integers(0, 99), outcome=st.sampled_from(OUTCOMES))
    def a_send_ends(self, which: int, outcome: Outcome) -> None:
        row = self.flying.pop(which % len(self.flying))
        self.run(self.send(row, outcome))

    async def send(self, row: Claimed, outcome: Outcome) -> None:
        sink = Sink(RECEIPTS[outcome], outcome in ("sent", "lost on the way back"))
        receipt = await attempt(row, sink, lambda: False, LOG)
        self.arrives(row, sink)
        if receipt.result == "unknown":
            self.in_doubt.add((row.incident, row.target))
        following = after(row, receipt, self.now(), self.chance)
        await self.life.store.outbox.finish(row, receipt, following, self.now(), self.now())

    @precondition(lambda self: self.flying)
    @rule()
    def its_leases_run_out(self) -> None:
        """Though it lives, and will end what it sends."""
        self.run(self.look())
        self.in_doubt.update((row.incident, row.target) for row in self.flying)

    async def look(self) -> None:
        await self.life.keeper.look()
        self.life.steady += LEASE_SECONDS
        await self.life.keeper.look()

    @rule(arrived=st.lists(st.booleans(), min_size=FLYING * len(TARGETS), max_size=FLYING * len(TARGETS)))
    def it_is_killed(self, arrived: list[bool]) -> None:
        """Also between a send and its record."""
        for row, is_there in zip(self.flying, arrived, strict=False):
            sink = Sink(RECEIPTS["lost"], is_there)
            self.run(attempt(row, sink, lambda: False, LOG))
            self.arrives(row, sink)
        self.forget_sends()
        assert self.machine is not None
        self.machine.die()

    def arrives(self, row: Claimed, sink: Sink) -> None:
        """The laws of what a target hears."""
        if sink.got is None:
            return
        told = Told(row.id, row.incident, row.target, row.message.status, self.was_taken(row), *sink.got)
        heard = [one for one in self.told if (one.incident, one.target) == (row.incident, row.target)]
        copies = [one for one in heard if one.row == told.row]
        assert sum(not one.may_repeat for one in [*copies, told]) <= 1, "of copies one is not marked"
        if told.may_repeat:
            assert (row.incident, row.target) in self.in_doubt, "what is marked may be a repeat"
        if not told.late:
            assert told.may_repeat or not copies, "a repeat is marked"
            assert told.status == "firing" or comes_in_order(heard, told), "an end comes after its beginning"
        self.told.append(told)

    # --- what always holds

    @invariant()
    def what_was_accepted_is_stored(self) -> None:
        if self.machine is not None:
            assert self.records.events() == self.accepted
            assert not self.records.rows("SELECT 1 FROM events WHERE (processed_at IS NULL) != (reason IS NULL)")

    @invariant()
    def each_step_is_taken_once(self) -> None:
        if self.machine is None:
            return
        begun = (
            "SELECT COUNT(*) FROM decisions WHERE what = 'escalation' AND incident_id = incidents.id AND detail LIKE"
        )
        query = f"SELECT id, ({begun} '%step 1 calls%'), ({begun} '%step 2 calls%'), ({begun} '%step 3 calls%') FROM incidents"
        for number, first, second, third in self.records.rows(query):
            assert first >= second >= third, f"the steps of {number} come in order, and each once a round"
        again = "SELECT 1 FROM decisions WHERE what = 'escalation' GROUP BY incident_id, revision HAVING COUNT(*) > 1"
        assert not self.records.rows(again), "a revision is one step"

    @invariant()
    def what_fires_fires_in_one_live_incident(self) -> None:
        if self.machine is None or not self.records.changed():
            return
        incidents: list[Incident] = self.run(self.life.store.incidents(100))
        live = [incident for incident in incidents if incident.live]
        assert all(incident.firing for incident in live), "a live incident fires"
        assert not any(incident.firing for incident in incidents if not incident.live), "an ended one does not"
        found = [alert.occurrence for incident in live for alert in incident.firing]
        assert len(found) == len(set(found)), "an alert fires in one incident"
        assert set(found) == firing(self.records.events("processed_at IS NOT NULL")), "what truly fires"
        for incident in incidents:
            by, reopened = self.acknowledged.get(incident.id or 0, (None, 0))
            kept = (
                by == incident.acknowledged_by
                or incident.reopened > reopened
                or self.records.knew_of_less(incident.id or 0)
            )
            assert kept, "an acknowledgement is kept"

    # --- when everything goes well again

    def teardown(self) -> None:
        try:
            if self.machine is not None and sys.exception() is None:
                self.ends_well()
        finally:
            if self.machine is not None:
                self.records.close()
                self.machine.close()
            self.folder.cleanup()

    def ends_well(self) -> None:
        if self.truth.history:
            self.post(self.truth.history)
        for all_ended in (False, True):
            if all_ended:
                self.post([self.truth.turn(alert) for alert in tuple(self.truth.firing)])
            self.process()
            if all_ended or not self.hurried:
                self.deliver()
                self.everybody_knows_how_things_are()
            self.what_was_accepted_is_stored()
            self.what_fires_fires_in_one_live_incident()
            assert firing(self.accepted) == {(alert.name, at) for alert, at in self.truth.firing.items()}
        self.everything_is_explained()
        self.the_audit_finds_nothing()

    def deliver(self) -> None:
        """Every sink takes everything."""
        while self.flying:
            self.run(self.send(self.flying.pop(), "sent"))
        for _ in range(20):
            self.run(self.look())
            for target in TARGETS:
                while (row := self.run(self.claim(target))) is not None:
                    self.run(self.send(row, "sent"))
            if not self.records.rows("SELECT 1 FROM outbox WHERE finished_at IS NULL"):
                return
            self.truth.time += 900
        raise AssertionError("something is never sent")

    def everybody_knows_how_things_are(self) -> None:
        """Who heard that it fires hears that it has ended, and whom the routes name, that it fires."""
        incidents = {incident.id or 0: incident for incident in self.run(self.life.store.incidents(100))}
        last: dict[tuple[int, str], str] = {}
        fires: set[tuple[int, str]] = set()
        # one that came late, while nobody had sent it again, is on record as sent: it is not told once more
        sent = {row["id"] for row in self.records.rows("SELECT id FROM outbox WHERE state = 'sent'")}
        in_time = [told for told in self.told if not told.late or told.row in sent]
        for told in in_time:
            last[whole(incidents, told.incident), told.target] = told.status
        for of_one in {(told.incident, told.target): told for told in in_time}.values():
            if of_one.status == "firing":
                fires.add((whole(incidents, of_one.incident), of_one.target))
        for (number, target), status in last.items():
            if not incidents[number].live and not self.gave_up(number, target):
                assert status == "resolved", f"{target} knows that {number} has ended"
        for number, incident in incidents.items():
            for target in self.served(incident) if incident.live else ():
                if not self.gave_up(number, target):
                    assert (number, target) in fires, f"{target} knows that {number} fires"

    def served(self, incident: Incident) -> set[str]:
        critical = any(alert.labels["severity"] == "critical" for alert in incident.firing)
        return {"pager", "chat"} if critical else {"chat"}

    def gave_up(self, incident: int, target: str) -> bool:
        query = f"SELECT state FROM outbox WHERE incident_id = {incident} AND target = '{target}' ORDER BY revision"
        return "dead" in [row["state"] for row in self.records.rows(query)][-1:]

    def everything_is_explained(self) -> None:
        lines = 0
        for number in [row["id"] for row in self.records.rows("SELECT id FROM incidents")]:
            facts = self.run(self.life.store.explained.facts(number))
            lines += sum(entry.kind == "event" for entry in explained(facts))
        alone = len(self.records.events("incident_id IS NULL"))
        assert lines + alone == len(self.accepted)
        for alert in ALERTS:
            heard = self.run(self.life.store.explained.alert(alert.name))
            assert len(heard) == len([key for key in self.accepted if key[0] == alert.name])
            assert all(one.reason is not None for one in heard)

    def the_audit_finds_nothing(self) -> None:
        for _ in range(2):
            self.run(self.life.auditor.look())
            self.life.steady += 3600
        assert self.life.auditor.findings == {}


def comes_in_order(heard: Sequence[Told], end: Told) -> bool:
    """Whether the target knows that it began, or is told that it may not."""
    before = heard[-1].status if heard else None
    return before == "firing" or end.untold or (before is not None and end.may_repeat)


def whole(incidents: Mapping[int, Incident], number: int) -> int:
    """The incident that `number` is part of by now."""
    into = incidents[number].merged_into
    return number if into is None else whole(incidents, into)


TestTheReceiver = TheReceiver.TestCase
TestTheReceiver.settings = settings(
    max_examples=200,
    stateful_step_count=50,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
