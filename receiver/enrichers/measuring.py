"""The enrichers that ask Prometheus, Loki and a tracing backend, as the configuration has them."""

import aiohttp

from receiver.enrichers import impact, logs, promql, traces
from receiver.settings import ReceiverConfig
from receiver.stages.enrich import Enricher
from toolkit.clock import Now
from toolkit.loki import Loki
from toolkit.prometheus import Prometheus


def measuring(config: ReceiverConfig, session: aiohttp.ClientSession, now: Now) -> dict[str, Enricher]:
    """Every enricher that has what it needs, by its name."""
    found: dict[str, Enricher] = {}
    if config.prometheus is not None:
        server = Prometheus(session, config.prometheus.url, config.prometheus.bearer_token_file)
        found[promql.NAME] = promql.PromqlEnricher(server, now)
        if config.impact:
            found[impact.NAME] = impact.ImpactEnricher(server, config.impact)
        if config.traces is not None:
            found[traces.NAME] = traces.TracesEnricher(server, config.traces, now)
    if config.loki is not None:
        loki = Loki(session, config.loki.url, config.loki.bearer_token_file, config.loki.tenant)
        found[logs.NAME] = logs.LogsEnricher(loki, config.loki, now)
    return found
