"""A history in any order, in pieces and twice: what the receiver holds in the end is the same."""

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy.engine import make_url

from receiver.incidents import Incident
from receiver.settings import ReceiverConfig, Service
from receiver.store import MIGRATIONS
from tests.faults.mortal import MEMORY, Machine
from tests.faults.truth import ALERTS, SERVICES, Alert, Event, Truth, firing, webhook
from toolkit.storage import migrate

EPOCH = 1_790_000_000.0
Delivery = list[tuple[list[Event], bool]]
"""Webhooks in their order, each with whether the receiver works off what it has after it."""
Incidents = frozenset[frozenset[tuple[str, float]]]
"""What fires, by incident."""


@st.composite
def histories(draw: st.DrawFn) -> Truth:
    """About a dozen events, seconds or a quarter of an hour apart."""
    truth = Truth(EPOCH)
    turns = st.tuples(st.sampled_from(ALERTS), st.sampled_from([0.0, 0.0, 30.0, 900.0]))
    for alert, pause in draw(st.lists(turns, min_size=4, max_size=14)):
        truth.time += pause
        truth.turn(alert)
    return truth


@st.composite
def deliveries(draw: st.DrawFn, history: Sequence[Event]) -> Delivery:
    """The history in any order, some of it twice, cut into webhooks."""
    events = draw(st.permutations([*history, *draw(st.lists(st.sampled_from(history), max_size=6))]))
    cuts = sorted(draw(st.lists(st.integers(0, len(events)), max_size=len(events))))
    pieces = [events[start:end] for start, end in zip([0, *cuts], [*cuts, len(events)], strict=True) if start < end]
    return [(piece, draw(st.booleans())) for piece in pieces]


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated database, to be copied."""
    path = tmp_path_factory.mktemp("order") / "empty.db"
    migrate(make_url(f"sqlite:///{path}"), MIGRATIONS)
    return path


def config(related: bool, storm: int = 1000) -> ReceiverConfig:
    """An alert's service is its key."""
    return ReceiverConfig.model_validate(
        {
            "correlation": {"labels": ["service"]},
            "services": {name: Service(depends_on=needs if related else ()) for name, needs in SERVICES.items()},
            "storm": {"incidents": storm},
        }
    )


def after(empty: Path, config: ReceiverConfig, now: float, delivery: Delivery) -> Incidents:
    """What the receiver holds once all of it is delivered and worked off."""
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        path = Path(shutil.copy(empty, folder))
        machine = Machine(path, config, lambda: now)
        try:
            for events, works in delivery:
                machine.run(machine.life.pipeline.accept(webhook(events)))
                if works:
                    assert not machine.run(machine.life.pipeline.process())
            assert not machine.run(machine.life.pipeline.process())
            found = machine.run(machine.life.store.incidents(100))
        finally:
            machine.close()
    return what_fires(found)


def what_fires(incidents: Sequence[Incident]) -> Incidents:
    return frozenset(frozenset(alert.occurrence for alert in one.firing) for one in incidents if one.live)


def in_order(truth: Truth) -> Delivery:
    return [([event], True) for event in truth.history]


def alerts(incidents: Incidents) -> set[tuple[str, float]]:
    found = [occurrence for incident in incidents for occurrence in incident]
    assert len(found) == len(set(found)), "an alert fires in one incident"
    return set(found)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(data=st.data(), truth=histories())
def test_without_a_graph_the_same_alerts_fire_in_the_same_incidents(
    empty: Path, data: st.DataObject, truth: Truth
) -> None:
    straight = after(empty, config(related=False), truth.time, in_order(truth))
    assert alerts(straight) == firing([event.key for event in truth.history])
    assert after(empty, config(related=False), truth.time, data.draw(deliveries(truth.history))) == straight


@settings(max_examples=100, deadline=None, derandomize=True)
@given(data=st.data(), truth=histories(), storm=st.sampled_from([1, 1000]))
def test_with_a_graph_or_in_a_storm_the_same_alerts_fire_each_in_one_incident(
    empty: Path, data: st.DataObject, truth: Truth, storm: int
) -> None:
    """Which of them share one hangs on the order: a service in the middle joins those on both sides of it that are known
    to fire when it is heard of, and they stay joined after its end."""
    ended = after(empty, config(True, storm), truth.time, data.draw(deliveries(truth.history)))
    assert alerts(ended) == firing([event.key for event in truth.history])


@settings(max_examples=50, deadline=None, derandomize=True)
@given(data=st.data(), alerts_at_once=st.lists(st.sampled_from(ALERTS), min_size=1, max_size=6, unique=True))
def test_with_a_graph_what_fires_together_and_has_not_ended_is_in_the_same_incidents(
    empty: Path, data: st.DataObject, alerts_at_once: list[Alert]
) -> None:
    truth = Truth(EPOCH)
    for alert in alerts_at_once:
        truth.turn(alert)
    straight = after(empty, config(related=True), truth.time, in_order(truth))
    assert after(empty, config(related=True), truth.time, data.draw(deliveries(truth.history))) == straight


def test_a_service_in_the_middle_joins_only_what_is_known_to_fire_when_it_is_heard_of(empty: Path) -> None:
    """What the law above leaves open, and why: with an alert that has ended nothing is joined."""
    truth = Truth(EPOCH)
    shop, app, cache = (next(alert for alert in ALERTS if alert.service == name) for name in ("shop", "app", "cache"))
    for alert in (cache, cache, shop, app):
        truth.turn(alert)
    begins, ends, first, second = truth.history
    fires = [(alert.name, at) for alert, at in truth.firing.items()]
    late: Delivery = [([first, second], True), ([begins], True), ([ends], True)]
    assert after(empty, config(related=True), truth.time, in_order(truth)) == {frozenset([one]) for one in fires}
    assert after(empty, config(related=True), truth.time, late) == {frozenset(fires)}
