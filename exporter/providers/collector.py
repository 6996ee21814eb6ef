"""Providers and their states -> the `thirdparty_*` families, written at scrape time."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from exporter.config import Provider
from exporter.exposition import Family, Sample, series
from exporter.providers.history import State
from exporter.providers.verdict import Certainty, Kind

Labels = Sequence[Mapping[str, str]]
Values = Sequence[float]


@dataclass(frozen=True)
class Column:
    """One family: the labels of each provider's samples, and their values in the same order.

    `values` returns nothing where the value is not known yet.
    """

    family: Family
    values: Callable[[Provider, State], Values]
    labels: Callable[[Provider], Labels] = lambda _: ({},)


def _gauge(name: str, about: str) -> Family:
    return Family(name, "gauge", about)


def _info(provider: Provider) -> Labels:
    billing = provider.billing_owner or provider.owner
    return ({"service": provider.service, "owner": provider.owner, "billing_owner": billing},)


_KINDS = tuple(Kind)
_CERTAINTIES = tuple(Certainty)

CONFIGURED: tuple[tuple[Family, Callable[[Provider], Labels], Callable[[Provider], float]], ...] = (
    (
        _gauge("thirdparty_provider_info", "A configured provider: its service, who runs it and who pays for it."),
        _info,
        lambda _: 1,
    ),
    (
        _gauge("thirdparty_probe_interval_seconds", "How often the provider is probed."),
        lambda _: ({},),
        lambda provider: provider.interval,
    ),
    (
        _gauge("thirdparty_success_max_age_seconds", "An ok answer older than this is worth an alert."),
        lambda _: ({},),
        lambda provider: provider.success_max_age,
    ),
    (
        _gauge("thirdparty_confirmation_probes", "A verdict counts once this many probes in a row agree."),
        lambda _: ({},),
        lambda provider: provider.confirmation.probes,
    ),
    (
        _gauge("thirdparty_confirmation_seconds", "A verdict counts once it has stood for this long."),
        lambda _: ({},),
        lambda provider: provider.confirmation.duration,
    ),
)
"""What the configuration says, known before the first probe: (family, labels, value)."""

MEASURED: tuple[Column, ...] = (
    Column(
        _gauge("thirdparty_up", "Whether the last answer was ok."),
        lambda _, state: (state.kind is Kind.OK,),
    ),
    Column(
        _gauge("thirdparty_verdict", "What the last answer means: 1 for that verdict, 0 for the others."),
        lambda _, state: [kind is state.kind for kind in _KINDS],
        lambda _: [{"verdict": kind} for kind in _KINDS],
    ),
    Column(
        _gauge("thirdparty_verdict_certainty", "What the verdict rests on: 1 for that certainty, 0 for the others."),
        lambda _, state: [certainty is state.certainty for certainty in _CERTAINTIES],
        lambda _: [{"certainty": certainty} for certainty in _CERTAINTIES],
    ),
    Column(
        _gauge("thirdparty_verdict_since_timestamp_seconds", "When the present run of equal verdicts began."),
        lambda _, state: (state.since,),
    ),
    Column(
        _gauge("thirdparty_verdict_streak", "How many probes in a row gave the present verdict."),
        lambda _, state: (state.streak,),
    ),
    Column(
        _gauge("thirdparty_last_success_timestamp_seconds", "When the last ok answer came; absent before the first."),
        lambda _, state: () if state.last_success is None else (state.last_success,),
    ),
    Column(
        _gauge("thirdparty_watched_since_timestamp_seconds", "When this provider was first probed."),
        lambda _, state: (state.watched_since,),
    ),
    Column(
        _gauge("thirdparty_last_probe_timestamp_seconds", "When the last probe ended."),
        lambda _, state: (state.last_probe,),
    ),
    Column(
        _gauge("thirdparty_probe_duration_seconds", "How long the last probe took."),
        lambda _, state: (state.probe_seconds,),
    ),
)
RESPONSES = Family("thirdparty_responses_total", "counter", "Answers by verdict and HTTP status, or why none came.")


class Collector:
    """Knows the label bytes of every provider's series; `families` adds the values."""

    def __init__(self, providers: Iterable[Provider]) -> None:
        self._providers = tuple(providers)
        self._keys = {
            provider.name: tuple(
                tuple(_key(column.family, provider, labels) for labels in column.labels(provider))
                for column in MEASURED
            )
            for provider in self._providers
        }
        self._configured = tuple(
            (
                family,
                [
                    (_key(family, provider, labels), value(provider))
                    for provider in self._providers
                    for labels in of(provider)
                ],
            )
            for family, of, value in CONFIGURED
        )
        self._responses: dict[tuple[str, str, str], bytes] = {}

    def families(
        self, states: Mapping[str, State], responses: Mapping[tuple[str, str, str], int]
    ) -> Iterator[tuple[Family, Iterable[Sample]]]:
        """`states` by provider name; `responses` counts by (provider, verdict, code)."""
        yield from self._configured
        known = [(provider, states[provider.name]) for provider in self._providers if provider.name in states]
        for index, column in enumerate(MEASURED):
            samples: list[Sample] = []
            for provider, state in known:
                samples += zip(self._keys[provider.name][index], column.values(provider, state), strict=False)
            yield column.family, samples
        counted = [(self._response_key(key), count) for key, count in responses.items() if key[0] in self._keys]
        yield RESPONSES, counted

    def _response_key(self, key: tuple[str, str, str]) -> bytes:
        if key not in self._responses:
            provider, verdict, code = key
            labels = {"provider": provider, "verdict": verdict, "code": code}
            self._responses[key] = series(RESPONSES.name, labels)
        return self._responses[key]


def _key(family: Family, provider: Provider, labels: Mapping[str, str]) -> bytes:
    return series(family.name, {"provider": provider.name, **labels})
