"""The five stories as each channel shows them, word for word: `make golden` writes the files anew, and git shows what
has changed."""

import difflib
from pathlib import Path

import pytest

from receiver.notifiers.rows import FIRST_VIEW
from tests.support.golden import GOLDEN, texts
from tests.support.stories import STORIES

TEXTS = texts()


@pytest.mark.parametrize("path", TEXTS, ids=[str(path.relative_to(GOLDEN).with_suffix("")) for path in TEXTS])
def test_a_story_reads_as_its_golden_file(path: Path) -> None:
    golden = path.read_text() if path.exists() else ""
    changed = "\n".join(
        difflib.unified_diff(golden.splitlines(), TEXTS[path].splitlines(), "golden", "now", lineterm="")
    )
    assert TEXTS[path] == golden, f"`make golden` accepts this:\n{changed}"


def test_no_golden_file_is_left_over() -> None:
    assert set(GOLDEN.rglob("*.txt")) == set(TEXTS)


NAMED = ("Since: ", "Measured now: ", "Impact: ", "Changed: ", "Owner: ", "First step: ", "If that fails: ")


@pytest.mark.parametrize("story", STORIES)
def test_the_first_view_has_all_eight_fields_in_twelve_lines(story: str) -> None:
    message = STORIES[story]
    text = (GOLDEN / "text" / f"{story}.txt").read_text()
    head, _, body = text.partition("\n\n")
    view = body.split("\n\n")[0].splitlines()
    assert message.summary in head.splitlines()[0]
    assert len(view) <= FIRST_VIEW == 11  # and the title
    for label in NAMED:
        assert [line for line in view if line.startswith(label) and len(line) > len(label) + 3], label
    assert "(normal: " in next(line for line in view if line.startswith("Measured now"))
