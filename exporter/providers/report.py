"""What `/probe` answers: one look's series, or (`debug=true`) its steps for a person. Pure."""

import itertools
from collections.abc import Iterator, Mapping

from exporter.config import Provider
from exporter.exposition import Families, Family, line, series
from exporter.providers.answer import Exchange, Outcome
from exporter.providers.concealed import secrets_of
from exporter.providers.history import State
from exporter.providers.kinds import Kind
from exporter.providers.prober import Found
from exporter.providers.transport import PHASES
from toolkit.redaction import MASK, printable, quoted

SUCCESS = Family("probe_success", "gauge", "Whether the answer was ok.")
DURATION = Family("probe_duration_seconds", "gauge", "How long the look took.")
PHASE = Family("probe_phase_duration_seconds", "gauge", "How long each step took; 0 for one that was not reached.")
STATUS = Family("probe_http_status_code", "gauge", "The HTTP status; 0 where no answer came.")
SHOWN_BODY = 2048
OFFSET_SECONDS = 0.5
"""Prometheus's own scrape timeout less this is ours, so that the answer is there in time; as blackbox_exporter does."""


def time_limit(provider: Provider, scrape_timeout: str | None) -> float:
    """Seconds for a look: the provider's timeout, and less where Prometheus waits for less.

    `scrape_timeout` is the header X-Prometheus-Scrape-Timeout-Seconds. Raises ValueError for one that is no number.
    """
    if scrape_timeout is None:
        return provider.timeout
    try:
        seconds = float(scrape_timeout)
    except ValueError:
        raise ValueError(f"X-Prometheus-Scrape-Timeout-Seconds is {scrape_timeout!r}, which is no number") from None
    if not seconds > 0:
        raise ValueError(f"X-Prometheus-Scrape-Timeout-Seconds is {scrape_timeout!r}, which is no time to answer in")
    # a scrape of half a second or less still gets half of it
    return min(provider.timeout, max(seconds - OFFSET_SECONDS, seconds / 2))


def families(found: Found, state: State) -> Families:
    """The look's own series."""
    outcome = found.outcome
    nothing: Mapping[str, str] = {}
    status = outcome.status if isinstance(outcome, Exchange) else 0
    yield SUCCESS, [line(series(SUCCESS.name, nothing), state.kind is Kind.OK)]
    yield DURATION, [line(series(DURATION.name, nothing), outcome.seconds)]
    yield STATUS, [line(series(STATUS.name, nothing), status)]
    phases = ((phase, outcome.phases.get(phase, 0.0)) for phase in PHASES)
    yield PHASE, [line(series(PHASE.name, {"phase": phase}), seconds) for phase, seconds in phases]


def explained(provider: Provider, found: Found, state: State, limit: float, metrics: str) -> str:
    """Every step of a look, for a person: what was asked, what came, how it was judged. Credentials are masked."""
    steps = itertools.chain(_asked(provider, limit), _answered(found), _judged(provider, state))
    secrets = tuple(secrets_of(provider, found.credential.secret))
    return "\n".join(printable(quoted(step, secrets)) for step in steps) + f"\n\nmetrics\n{metrics}"


def _asked(provider: Provider, limit: float) -> Iterator[str]:
    yield f"look at {provider.name}, within {limit:g} s"
    yield f"  {provider.method} {provider.url}"
    yield from (f"  {name}: {value}" for name, value in provider.headers.items())
    auth = provider.auth
    if auth is not None:
        yield f"  query {auth.query}={MASK}" if auth.query else f"  {auth.header}: {auth.scheme} {MASK}"
    if provider.oauth is not None:
        yield f"  Authorization: Bearer {MASK} (from {provider.oauth.token_url})"
    if provider.proxy:
        yield f"  through the proxy {provider.proxy}"


def _answered(found: Found) -> Iterator[str]:
    yield from _told("the token server's answer" if found.by_token_server else "answer", found.outcome)
    if found.second is not None:
        yield from _told("answer to the second request", found.second)


def _told(what: str, outcome: Outcome) -> Iterator[str]:
    yield ""
    if isinstance(outcome, Exchange):
        yield f"{what}: {outcome.status} in {outcome.seconds:.3f} s"
        yield from (f"  {name}: {value}" for name, value in outcome.headers.items())
        body = outcome.body[:SHOWN_BODY].decode(errors="replace")
        yield from (f"  | {text}" for text in body.splitlines())
    else:
        yield f"{what}: none in {outcome.seconds:.3f} s ({outcome.reason}): {outcome.detail}"
    yield "  " + ", ".join(f"{phase} {outcome.phases.get(phase, 0.0):.4f} s" for phase in PHASES)


def _judged(provider: Provider, state: State) -> Iterator[str]:
    yield ""
    yield f"verdict: {state.kind} (certainty: {state.certainty})"
    yield f"  {state.reason}" + (f" [{state.signature}]" if state.signature else "")
    confirmation = provider.confirmation
    yield (
        f"  {state.streak} in a row; the rules believe it after {confirmation.probes}, over {confirmation.duration:g} s"
    )
