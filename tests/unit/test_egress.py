import pytest

from exporter.config import Provider
from exporter.providers.egress import suspected
from exporter.providers.history import Look, State, advance
from exporter.providers.kinds import Certainty, Kind, Verdict

OK = Verdict(Kind.OK, Certainty.STATUS, "")
DOWN = Verdict(Kind.OUTAGE, Certainty.STATUS, "")
REFUSED = Verdict(Kind.PAYMENT_REQUIRED, Certainty.HISTORY, "")
UNPAID = Verdict(Kind.PAYMENT_REQUIRED, Certainty.WORDS, "")


def provider(name: str) -> Provider:
    return Provider.model_validate({"name": name, "url": f"https://{name.partition('-')[0]}.example/"})


def state(*probes: tuple[float, Verdict]) -> State:
    found: State | None = None
    for now, verdict in probes:
        found = advance(found, Look(verdict, 0.1, credential=""), now)
    assert found is not None
    return found


WELL = state((0, OK), (5000, OK))


def failed(at: float, verdict: Verdict = DOWN) -> State:
    return state((0, OK), (at, verdict))


def elsewhere(at: float) -> State:
    return advance(WELL, Look(DOWN, 0.1, "calls"), at)


SCENES = [
    ("all is well", {"a": WELL, "b": WELL, "c": WELL}, False),
    ("three vendors stop within ten minutes", {"a": failed(5000), "b": failed(5300), "c": failed(5600)}, True),
    (
        "a proxy refuses all of them",
        {"a": failed(5000, REFUSED), "b": failed(5010, REFUSED), "c": failed(5020, REFUSED)},
        True,
    ),
    (
        "a vendor that has long been down changes nothing about the others",
        {"a": failed(100), "b": failed(5000), "c": failed(5300), "d": failed(5600)},
        True,
    ),
    ("nor does it count as one of them", {"a": failed(100), "b": failed(5000), "c": failed(5300)}, False),
    (
        "programs elsewhere that reach nobody say nothing of our way out",
        {name: elsewhere(5000) for name in "abcd"},
        False,
    ),
    ("two of two are too few to tell", {"a": failed(5000), "b": failed(5000)}, False),
    ("three that stopped over an hour", {"a": failed(5000), "b": failed(7000), "c": failed(9000)}, False),
    (
        "three of ten",
        {**dict.fromkeys("defghij", WELL), "a": failed(5000), "b": failed(5000), "c": failed(5000)},
        False,
    ),
    (
        "three endpoints of one vendor are one vendor",
        {"a-1": failed(5000), "a-2": failed(5000), "a-3": failed(5000)},
        False,
    ),
    ("a card that dies with four vendors on it says so", {n: failed(5000, UNPAID) for n in "abcd"}, False),
    ("what never worked proves nothing", {n: state((5000, DOWN)) for n in "abc"}, False),
    ("nothing is watched", {}, False),
]


@pytest.mark.parametrize(("states", "expected"), [row[1:] for row in SCENES], ids=[row[0] for row in SCENES])
def test_our_own_egress_is_suspected_when_many_stop_at_once_without_a_word(
    states: dict[str, State], expected: bool
) -> None:
    assert suspected([(provider(name), found) for name, found in states.items()]) is expected
