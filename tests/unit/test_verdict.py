"""The judge of the fault lanes: a table of what was told, and what is wrong with it."""

from collections.abc import Sequence

import pytest

from tests.faults.verdict import judge
from tests.support.receivers import Row
from tests.support.sink import CUT, ERROR, OK, REPEAT_MARK, Behaviour, Told

FIRING = "[P1 FIRING] alert-1 · 10:00 UTC"
RESOLVED = "[RESOLVED] alert-1 · 10:00 UTC"
AGAIN = f"{FIRING} {REPEAT_MARK}"
SURE = Row("alert-1", "firing", "inbox", "sent", may_repeat=False)
UNSURE = Row("alert-1", "firing", "inbox", "sent", may_repeat=True)
SUPERSEDED = Row("alert-1", "firing", "inbox", "superseded", may_repeat=False)

ROWS: list[tuple[str, list[str | tuple[str, Behaviour]], list[Row], str]] = [
    ("each once, in order", [FIRING, RESOLVED], [SURE], ""),
    ("a repeat that says so", [FIRING, AGAIN, RESOLVED], [UNSURE], ""),
    ("the first copy was lost on its way", [AGAIN, RESOLVED], [UNSURE], ""),
    ("refused, and then taken", [(FIRING, ERROR), FIRING, RESOLVED], [SURE], ""),
    ("a firing that its resolve replaced", [RESOLVED], [SUPERSEDED], ""),
    ("nobody was told that it fired", [RESOLVED], [SURE], "lost: [('alert-1', 'firing')]"),
    ("the resolve is missing", [FIRING], [SURE], "lost: [('alert-1', 'resolved')]"),
    ("refused for good", [(FIRING, ERROR), RESOLVED], [SURE], "lost: [('alert-1', 'firing')]"),
    (
        "a superseded firing whose resolve is missing",
        [],
        [SUPERSEDED],
        "lost: [('alert-1', 'firing'), ('alert-1', 'resolved')]",
    ),
    ("a repeat that says nothing", [FIRING, FIRING, RESOLVED], [UNSURE], "unmarked: [('alert-1', 'firing')]"),
    (
        "a repeat of what may have been read",
        [(FIRING, CUT), FIRING, RESOLVED],
        [UNSURE],
        "unmarked: [('alert-1', 'firing')]",
    ),
    ("a mark that nothing explains", [FIRING, AGAIN, RESOLVED], [SURE], "unmarked: [('alert-1', 'firing')]"),
    ("the resolve came first", [RESOLVED, FIRING], [SURE], "overtaken: ['alert-1']"),
    (
        "something that nobody asked for",
        [FIRING, RESOLVED, "[RESOLVED] alert-2 · 10:00 UTC"],
        [SURE],
        "unasked: [('alert-2', 'resolved')]",
    ),
]


@pytest.mark.parametrize(("titles", "rows", "faults"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_a_story_is_judged(titles: Sequence[str | tuple[str, Behaviour]], rows: list[Row], faults: str) -> None:
    given = [(one, OK) if isinstance(one, str) else one for one in titles]
    told = [Told("inbox", title, "", float(at), behaviour) for at, (title, behaviour) in enumerate(given)]
    verdict = judge([("alert-1", "firing"), ("alert-1", "resolved")], told, rows)
    assert verdict.faults == faults
