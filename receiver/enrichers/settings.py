"""What an operator configures of the enrichers that ask Prometheus, Loki and a tracing backend."""

from string import Template
from typing import Annotated

import pydantic
from pydantic import Field

from receiver.enrichers.template import QueryTemplate
from toolkit.configfile import HttpUrl, Model, Secret

TRACE_ID = "trace_id"
TENANT = r"^[A-Za-z0-9!_.*'()|-]{1,300}$"
"""The characters that Loki allows in a tenant's name, and | between several."""


def _query(value: object) -> QueryTemplate:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("should be a query")
    return QueryTemplate(value)


def _trace_url(value: str) -> str:
    try:
        names = Template(value).get_identifiers() if Template(value).is_valid() else []
    except ValueError:
        names = []
    if names != [TRACE_ID]:
        raise ValueError(f"should hold ${TRACE_ID}, and nothing else with a $")
    return value


Query = Annotated[QueryTemplate, pydantic.PlainValidator(_query)]
"""A query with labels of the alert in it, as `$service`."""


class Impact(Model):
    """What is lost while alerts with these labels fire: a PromQL query, and what its number is."""

    match: dict[str, str] = {}
    query: Query
    unit: str = Field(min_length=1, max_length=100)


class Loki(Model):
    """Where the log lines in a message come from. `grafana_url` and `datasource` (its uid there) make the link."""

    url: HttpUrl
    bearer_token_file: Secret | None = None
    tenant: str | None = Field(default=None, pattern=TENANT)
    query: Query
    grafana_url: HttpUrl | None = None
    datasource: str = "loki"


class Traces(Model):
    """Where a trace is shown, and of which metric's exemplars it is taken: without `query` the alert's own."""

    url: Annotated[HttpUrl, pydantic.AfterValidator(_trace_url)]
    query: Query | None = None
