"""What the configuration says of a Kafka source."""

import importlib.util
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from toolkit.configfile import Duration, ExistingFile, Location, Model, Name, Secret

Broker = Annotated[str, Field(pattern=r"^([A-Za-z0-9._-]+|\[[0-9A-Fa-f:]+\]):[0-9]{1,5}$")]
"""`host:port`, where a client learns of all other brokers."""
Topic = Annotated[str, Field(pattern=r"^[a-zA-Z0-9._-]{1,249}$")]
"""A topic's whole name, as Kafka allows it."""
LabelName = Annotated[str, Field(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$")]


class KafkaTls(Model):
    """TLS to the brokers. Without `ca_file` the system's certificates are trusted."""

    ca_file: ExistingFile | None = None
    cert_file: ExistingFile | None = None
    key_file: ExistingFile | None = None


class KafkaSasl(Model):
    """How the brokers are told who we are."""

    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]
    username: str = Field(min_length=1)
    password_file: Secret


class KafkaBatch(Model):
    """How much is counted in one piece: `messages`, or what came within `wait`."""

    messages: int = Field(default=10_000, ge=1, le=1_000_000)
    wait: Duration = Field(default=0.1, ge=0.005, le=10)


class KafkaSettings(Model):
    """One consumer of the group `group`.

    `start` is where a partition begins of which the ledger knows nothing. `behind` is how old the last message may be
    before the source says that it catches up.
    """

    name: Name
    brokers: tuple[Broker, ...] = Field(min_length=1)
    topics: tuple[Topic, ...] = Field(min_length=1)
    group: str = Field(default="tocsin", min_length=1, max_length=255)
    start: Literal["earliest", "latest"] = "earliest"
    format: Literal["records", "lines"] = "records"
    log: str = ""
    tls: KafkaTls | None = None
    sasl: KafkaSasl | None = None
    batch: KafkaBatch = KafkaBatch()
    session_timeout: Duration = Field(default=10.0, ge=1, le=300)
    behind: Duration = Field(default=60.0, gt=0)
    labels: dict[LabelName, str] = {}


def lint(source: KafkaSettings) -> Iterator[tuple[Location, str]]:
    """Where one setting of `source` contradicts another, or what it needs is not installed."""
    if importlib.util.find_spec("confluent_kafka") is None:
        yield (), "reading from Kafka needs confluent-kafka: install tocsin[kafka]"
    for index, topic in enumerate(source.topics):
        if topic in source.topics[:index]:
            yield ("topics", index), f"the topic '{topic}' stands here twice"
    tls = source.tls
    if tls and (tls.cert_file is None) != (tls.key_file is None):
        yield ("tls",), "cert_file and key_file belong together: give both or none"
    if source.sasl and source.sasl.mechanism == "PLAIN" and tls is None:
        yield (
            ("sasl", "mechanism"),
            "PLAIN without tls shows the password to the network; add tls, or use SCRAM-SHA-512",
        )
