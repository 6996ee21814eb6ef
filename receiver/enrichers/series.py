"""Which of many series is the alert's own, and how to ask for that one alone. Pure."""

import re
from collections.abc import Mapping, Sequence

from receiver.enrichers.template import quoted
from toolkit.prometheus import Sample

_NAME = "__name__"
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class NoneOwn(Exception):
    """No series is the alert's own, or which one can't be told. The message says how many there were."""


def own(samples: Sequence[Sample], labels: Mapping[str, str]) -> Sample:
    """The sample that contradicts none of the alert's `labels` and agrees in the most. Raises NoneOwn."""
    fitting = [sample for sample in samples if _agreeing(sample, labels) is not None]
    most = max((_agreeing(sample, labels) or 0 for sample in fitting), default=0)
    best = [sample for sample in fitting if _agreeing(sample, labels) == most]
    if len(best) != 1:
        which = "which is the alert's own can't be told" if best else "none has the alert's labels"
        raise NoneOwn(
            f"the query returned {len(samples):,} series, {which}" if samples else "the query returned no series"
        )
    return best[0]


def _agreeing(sample: Sample, labels: Mapping[str, str]) -> int | None:
    """In how many labels they agree; None when they differ in one that both have."""
    shared = [name for name in sample.labels if name != _NAME and name in labels]
    return len(shared) if all(sample.labels[name] == labels[name] for name in shared) else None


def only(query: str, labels: Mapping[str, str]) -> str:
    """`query` for the one series with these labels, so that Prometheus sends no others; as it is without labels."""
    told = {name: value for name, value in labels.items() if name != _NAME and _PLAIN.fullmatch(name)}
    if not told:
        return query
    wanted = "vector(1)"
    for name, value in told.items():
        # a replacement's $1 is a group
        wanted = f'label_replace({wanted}, "{name}", "{quoted(value.replace("$", "$$"))}", "", "")'
    # a comment may end the query
    return f"({query}\n) and on ({', '.join(told)}) {wanted}"
