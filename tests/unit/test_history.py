import dataclasses

import pytest

from exporter.providers.history import State, advance
from exporter.providers.verdict import Certainty, Kind, Verdict

OK = Verdict(Kind.OK, Certainty.STATUS, "answered 200")
PAY = Verdict(Kind.PAYMENT_REQUIRED, Certainty.CODE, "402")
PAY_BY_STATUS = Verdict(Kind.PAYMENT_REQUIRED, Certainty.STATUS, "402")
DOWN = Verdict(Kind.OUTAGE, Certainty.STATUS, "no answer")

TIMELINES = [
    ("the first ok", [(10, OK)], {"since": 10, "streak": 1, "watched_since": 10, "last_success": 10}),
    ("the first failure knows no success", [(10, PAY)], {"since": 10, "streak": 1, "last_success": None}),
    ("equal verdicts add up", [(10, OK), (20, OK), (30, OK)], {"since": 10, "streak": 3, "last_success": 30}),
    ("another verdict begins a run", [(10, OK), (20, PAY), (30, PAY)], {"since": 20, "streak": 2, "last_success": 10}),
    ("a single other verdict breaks it", [(10, PAY), (20, DOWN), (30, PAY)], {"since": 30, "streak": 1}),
    ("another certainty does not", [(10, PAY), (20, PAY_BY_STATUS)], {"since": 10, "streak": 2, "certainty": "status"}),
    ("recovery", [(10, PAY), (20, OK)], {"since": 20, "streak": 1, "last_success": 20, "watched_since": 10}),
    ("a clock that steps back is borne", [(10, OK), (5, OK)], {"since": 10, "streak": 2, "last_success": 5}),
]  # fmt: skip


@pytest.mark.parametrize(("probes", "expected"), [row[1:] for row in TIMELINES], ids=[row[0] for row in TIMELINES])
def test_a_provider_is_remembered(probes: list[tuple[float, Verdict]], expected: dict[str, object]) -> None:
    state: State | None = None
    for now, verdict in probes:
        state = advance(state, verdict, 0.1, now)
    assert state is not None
    found = dataclasses.asdict(state)
    assert {name: found[name] for name in expected} == expected
