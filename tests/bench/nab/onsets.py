"""When an alert begins to fire."""

import numpy as np
from numpy.typing import NDArray


def onsets(is_true: NDArray[np.bool_], hold: int, keep: int) -> list[int]:
    """The evaluations at which an alert begins to fire whose expression was true for `hold` steps (`for`) and which goes
    on firing until it wasn't for `keep` (`keep_firing_for`)."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], is_true, [False])).astype(np.int8)))
    found: list[int] = []
    until = -1
    for first, after in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        if first <= until:
            until = after + keep
        elif after - first > hold:
            found.append(first + hold)
            until = after + keep
    return found
