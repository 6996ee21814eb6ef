"""Providers and their states -> the `thirdparty_*` families, written at scrape time."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from exporter.config import Provider
from exporter.exposition import Families, Family, line, series
from exporter.providers.egress import suspected
from exporter.providers.history import State
from exporter.providers.kinds import Certainty, Kind

Labels = Sequence[Mapping[str, str]]
Values = Sequence[float]
Counts = Mapping[tuple[str, str, str], int]


@dataclass(frozen=True)
class Column:
    """One family: the labels of each provider's samples, and their values in the same order.

    `values` returns nothing where the value is not known yet. `state_of` names the state that alone decides the values
    of a state set.
    """

    family: Family
    values: Callable[[Provider, State], Values]
    labels: Callable[[Provider], Labels] = lambda _: ({},)
    state_of: Callable[[State], str] | None = None


def _gauge(name: str, about: str) -> Family:
    return Family(name, "gauge", about)


def _info(provider: Provider) -> Labels:
    billing = provider.billing_owner or provider.owner
    return ({"service": provider.service, "owner": provider.owner, "billing_owner": billing},)


def _impact(provider: Provider) -> Labels:
    features, cost = ", ".join(provider.features), provider.cost_per_hour
    url = (provider.billing.url if provider.billing else None) or ""
    return ({"features": features, "cost_per_hour": cost, "billing_url": url},) if features or cost or url else ()


_KINDS = tuple(Kind)
_CERTAINTIES = tuple(Certainty)

CONFIGURED: tuple[tuple[Family, Callable[[Provider], Labels], Callable[[Provider], float]], ...] = (
    (
        _gauge("thirdparty_provider_info", "A configured provider: its service, who runs it and who pays for it."),
        _info,
        lambda _: 1,
    ),
    (
        _gauge("thirdparty_provider_impact_info", "What stops with a provider, what that costs, where it is paid."),
        _impact,
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
        lambda state: state.kind,
    ),
    Column(
        _gauge("thirdparty_verdict_certainty", "What the verdict rests on: 1 for that certainty, 0 for the others."),
        lambda _, state: [certainty is state.certainty for certainty in _CERTAINTIES],
        lambda _: [{"certainty": certainty} for certainty in _CERTAINTIES],
        lambda state: state.certainty,
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
        lambda _, state: (state.last_probe,) if state.last_probe else (),
    ),
    Column(
        _gauge("thirdparty_probe_duration_seconds", "How long the last probe took."),
        lambda _, state: (state.probe_seconds,) if state.last_probe else (),
    ),
    Column(
        _gauge("thirdparty_tls_certificate_expiry_timestamp_seconds", "When the vendor's certificate ends."),
        lambda _, state: () if state.certificate_expires is None else (state.certificate_expires,),
    ),
)
RESPONSES = Family("thirdparty_responses_total", "counter", "Answers by verdict and HTTP status, or why none came.")
OBSERVATIONS = Family("thirdparty_observations_total", "counter", "Answers to other programs' calls, in the same way.")
INCIDENT = _gauge("thirdparty_status_page_incident", "Whether the vendor's status page tells of an incident.")

EGRESS = _gauge(
    "thirdparty_egress_suspected",
    "Whether several vendors stopped at once without a word: our own way out is the likeliest cause.",
)


class Collector:
    """Knows the label bytes of every provider's series; `families` adds the values."""

    def __init__(self, providers: Iterable[Provider]) -> None:
        self._providers = tuple(providers)
        self._keys = {
            provider.name: tuple(tuple(_keys(column, provider)) for column in MEASURED) for provider in self._providers
        }
        self._configured = tuple((family, self._constant(family, of, value)) for family, of, value in CONFIGURED)
        self._blocks: dict[tuple[str, int, str], bytes] = {}
        self._responses: dict[tuple[str, tuple[str, str, str]], bytes] = {}

    def _constant(
        self, family: Family, of: Callable[[Provider], Labels], value: Callable[[Provider], float]
    ) -> tuple[bytes, ...]:
        pairs = ((provider, labels) for provider in self._providers for labels in of(provider))
        return tuple(line(_key(family, provider, labels), value(provider)) for provider, labels in pairs)

    def families(
        self,
        states: Mapping[str, State],
        responses: Counts,
        observations: Counts,
        pages: Mapping[str, bool | None] | None = None,
    ) -> Families:
        """`states` and `pages` (whether a status page tells of an incident) by provider name; counts by (provider,
        verdict, code)."""
        yield from self._configured
        known = [(provider, states[provider.name]) for provider in self._providers if provider.name in states]
        for index, column in enumerate(MEASURED):
            yield column.family, [self._block(index, column, provider, state) for provider, state in known]
        if pages is not None:
            yield EGRESS, [line(series(EGRESS.name, {}), suspected(known))] if self._providers else []
            yield INCIDENT, self._incidents(pages)
        for family, counts in ((RESPONSES, responses), (OBSERVATIONS, observations)):
            counted = (item for item in counts.items() if item[0][0] in self._keys)
            yield family, [line(self._response_key(family, key), count) for key, count in counted]

    def _incidents(self, pages: Mapping[str, bool | None]) -> list[bytes]:
        known = (item for item in pages.items() if item[0] in self._keys)
        return [line(series(INCIDENT.name, {"provider": name}), told) for name, told in known if told is not None]

    def _block(self, index: int, column: Column, provider: Provider, state: State) -> bytes:
        """One provider's lines of a family. A state set's are made once for each of its states."""
        if column.state_of is None:
            return self._lines(index, column, provider, state)
        key = provider.name, index, column.state_of(state)
        if key not in self._blocks:
            self._blocks[key] = self._lines(index, column, provider, state)
        return self._blocks[key]

    def _lines(self, index: int, column: Column, provider: Provider, state: State) -> bytes:
        keys = self._keys[provider.name][index]
        # a value that is not known yet has a key and no value
        return b"".join(map(line, keys, column.values(provider, state)))

    def _response_key(self, family: Family, key: tuple[str, str, str]) -> bytes:
        if (family.name, key) not in self._responses:
            provider, verdict, code = key
            labels = {"provider": provider, "verdict": verdict, "code": code}
            self._responses[family.name, key] = series(family.name, labels)
        return self._responses[family.name, key]


def _keys(column: Column, provider: Provider) -> Iterator[bytes]:
    return (_key(column.family, provider, labels) for labels in column.labels(provider))


def _key(family: Family, provider: Provider, labels: Mapping[str, str]) -> bytes:
    return series(family.name, {"provider": provider.name, **labels})
