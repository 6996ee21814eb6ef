"""Which incident an alert belongs to: by labels, by time, by the services; and what a storm brings."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from receiver.alerts import AlertEvent, Status, StoredEvent
from receiver.incidents import STORM_KEY
from receiver.services import ServiceGraph
from receiver.stages.correlate import Group, Known, Neighbour, Rules, correlate, divert, key_of
from receiver.stages.storm import Openings

GRAPH = ServiceGraph({"web": ("api",), "shop": ("api",), "api": ("db",), "db": ()})
RULES = Rules(("alertname", "service"), 600, GRAPH)


def event(id_: int, status: Status = "firing", at: float = 1000, source: str = "", **labels: str) -> StoredEvent:
    alert = AlertEvent(f"f{id_}", status, at, None, {"alertname": "A", **labels}, {}, "", source=source)
    return StoredEvent(id_, at, alert)


def key(**labels: str) -> str:
    return key_of(replace(event(1).event, labels={"alertname": "A", **labels}), RULES.labels)


def shape(groups: Sequence[Group]) -> list[tuple[tuple[int, ...], list[int]]]:
    """Of each group the incidents and the ids of its events."""
    return [(group.incidents, [one.id for one in group.events]) for group in groups]


near = Neighbour(7, "api", ("", ""), 900)
CASES: list[tuple[str, list[StoredEvent], Known, list[tuple[tuple[int, ...], list[int]]]]] = [
    ("two that agree in the labels are one", [event(1, pod="1"), event(2, pod="2")], Known(), [((), [1, 2])]),
    ("two that differ in one are two", [event(1, service="x"), event(2, service="y")], Known(), [((), [1]), ((), [2])]),
    ("two that agree in the labels, of two sources, are two", [event(1, source="eu"), event(2, source="us")], Known(), [((), [1]), ((), [2])]),
    ("a service that needs another's, of another source", [event(1, service="web", source="eu"), event(2, service="db", source="us")], Known(), [((), [1]), ((), [2])]),
    ("a live incident of the key", [event(1)], Known(by_key={key(): 4}), [((4,), [1])]),
    ("the live incident that holds the alert, whatever its key", [event(1)], Known({"f1": 3}, {key(): 4}), [((3,), [1])]),
    ("one that ended within the window", [event(1)], Known(ended={key(): (4, 400)}), [((4,), [1])]),
    ("one that ended before it", [event(1)], Known(ended={key(): (4, 399)}), [((), [1])]),
    ("one that ended, with the end of what opens it again", [event(1), event(2, "resolved")], Known(ended={key(): (4, 400)}), [((4,), [1, 2])]),
    ("... and with what began after the window", [event(1), event(2, at=1001)], Known(ended={key(): (4, 400)}), [((4,), [1, 2])]),
    ("a resolve belongs to nothing that has ended", [event(1, "resolved")], Known(ended={key(): (4, 900)}), [((), [1])]),
    ("a service that needs another's, both new", [event(1, service="web"), event(2, service="db")], Known(), [((), [1, 2])]),
    ("... which began longer apart than the window", [event(1, service="web"), event(2, at=1601, service="db")], Known(), [((), [1]), ((), [2])]),
    ("... in another environment", [event(1, service="web", environment="a"), event(2, service="db", environment="b")], Known(), [((), [1]), ((), [2])]),
    ("a live incident of a service that it needs", [event(1, service="web")], Known(neighbours=[near]), [((7,), [1])]),
    ("a live incident of a service that needs it", [event(1, service="db")], Known(neighbours=[near]), [((7,), [1])]),
    ("a service that is not related", [event(1, service="mail")], Known(neighbours=[near]), [((), [1])]),
    ("two that need the same are not related by that", [event(1, service="web"), event(2, service="shop")], Known(), [((), [1]), ((), [2])]),
    ("... until what they need has an alert too", [event(1, service="web"), event(2, service="shop"), event(3, service="api")], Known(), [((), [1, 2, 3])]),
    ("two live incidents with a cause in common are merged", [event(1, service="db")], Known(neighbours=[near, Neighbour(3, "web", ("", ""), 1100)]), [((3, 7), [1])]),
]  # fmt: skip


@pytest.mark.parametrize(("stored", "known", "expected"), [row[1:] for row in CASES], ids=[row[0] for row in CASES])
def test_alerts_are_one_incident_by_their_labels_their_time_and_their_services(
    stored: list[StoredEvent], known: Known, expected: list[tuple[tuple[int, ...], list[int]]]
) -> None:
    assert shape(correlate(stored, known, RULES)) == expected


def test_what_would_open_too_many_incidents_is_one_storm() -> None:
    found = correlate(
        [event(n, service=f"s{n}") for n in range(5)] + [event(9, "resolved", service="x")], Known(), RULES
    )
    assert shape(divert(found, 2, None)) == [((), [0]), ((), [1]), ((), [9]), ((), [2, 3, 4])]
    assert shape(divert(found, 0, 8))[-1] == ((8,), [0, 1, 2, 3, 4])
    assert divert(found, 0, None)[-1].key == STORM_KEY
    assert divert(found, 5, None) == found


def test_a_storm_lasts_while_more_comes_than_may_open() -> None:
    openings = Openings()
    first, second = [f"a{n}" for n in range(15)], [f"b{n}" for n in range(500)]
    assert openings.room(first, 20, 60, 0) == 20
    openings.note(first, 20, 0)
    assert openings.room(second, 20, 60, 30) == 5
    openings.note(second, 20, 30)
    assert openings.room(["c"], 20, 60, 59) == 0
    assert openings.room(["c"], 20, 60, 91) == 20
    openings.note(["c"], 20, 91)
    assert openings.room(["d"], 20, 60, 50) == 20, "the clock was set back"


def test_one_incident_that_is_tried_again_and_again_is_no_storm() -> None:
    openings = Openings()
    for second in range(100):
        assert openings.room(["a"], 1, 600, second) == 1
        openings.note(["a"], 1, second)
    assert openings.room(["b"], 1, 600, 100) == 0


def test_what_comes_of_the_storm_itself_and_what_it_takes_in_are_one_group() -> None:
    groups = correlate([event(1, service="a"), event(2, service="b")], Known(by_fingerprint={"f2": 8}), RULES)
    assert shape(divert(groups, 0, 8)) == [((8,), [1, 2])]


def test_a_drill_is_left_out_of_a_storm() -> None:
    drill = replace(event(1), event=replace(event(1).event, labels={"alertname": "TocsinDrill", "drill": "true"}))
    groups = correlate([drill, event(2)], Known(), RULES)
    assert shape(divert(groups, 0, None)) == [((), [1]), ((), [2])]
    assert [group.key == STORM_KEY for group in divert(groups, 0, None)] == [False, True]


@pytest.mark.parametrize(
    ("services", "lowest"),
    [(["web", "api"], "api"), (["web", "db"], "db"), (["web", "shop"], None), (["db"], None), ([], None)],
)
def test_the_lowest_service_is_the_one_that_another_needs(services: list[str], lowest: str | None) -> None:
    assert GRAPH.lowest(services) == lowest


def test_a_circle_of_services_has_no_lowest_one_and_an_end() -> None:
    circle = ServiceGraph({"a": ("b",), "b": ("a",)})
    assert circle.lowest(["a", "b"]) is None
    assert circle.neighbours("a") == {"b"}
