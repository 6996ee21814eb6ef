"""What librdkafka is told, and what it tells."""

from typing import Any

from confluent_kafka import Consumer, KafkaException

from exporter.usage.sources.kafka.settings import KafkaSettings
from toolkit.logs import Logger

QUEUED_KIBIBYTES = 16 * 1024
"""How much is fetched ahead of what was counted: no more is held in memory while the ledger is slow."""


def configuration(source: KafkaSettings) -> dict[str, Any]:
    """librdkafka's properties for `source`. Raises SecretUnreadable.

    The ledger's offsets count, so a partition without a valid one is an error here and never silently somewhere else
    (`auto.offset.reset`). The group's own offsets are written for those who look at the group's lag.
    """
    return {
        "bootstrap.servers": ",".join(source.brokers),
        "group.id": source.group,
        "client.id": f"tocsin-exporter-{source.name}",
        "session.timeout.ms": round(source.session_timeout * 1000),
        "heartbeat.interval.ms": max(round(source.session_timeout * 1000 / 4), 100),
        "partition.assignment.strategy": "range",  # one consumer has partition 3 of all topics: keys stay together
        "auto.offset.reset": "error",
        "enable.auto.offset.store": False,
        "enable.partition.eof": True,
        "isolation.level": "read_committed",
        "queued.max.messages.kbytes": QUEUED_KIBIBYTES,
        "fetch.wait.max.ms": max(round(source.batch.wait * 1000), 10),
        "allow.auto.create.topics": False,
        **_security(source),
    }


def _security(source: KafkaSettings) -> dict[str, Any]:
    secured, known = source.tls is not None, source.sasl is not None
    protocol = {(False, False): "PLAINTEXT", (True, False): "SSL", (False, True): "SASL_PLAINTEXT"}
    properties: dict[str, Any] = {"security.protocol": protocol.get((secured, known), "SASL_SSL")}
    if source.tls:
        files = {"ca": source.tls.ca_file, "certificate": source.tls.cert_file, "key": source.tls.key_file}
        properties |= {f"ssl.{of}.location": str(path) for of, path in files.items() if path is not None}
    if source.sasl:
        properties["sasl.mechanism"] = source.sasl.mechanism
        properties["sasl.username"] = source.sasl.username
        properties["sasl.password"] = source.sasl.password_file.read()
    return properties


def partitions_of(consumer: Consumer, topic: str, seconds: float) -> int:
    """How many partitions a topic has. Raises KafkaException when no broker says so within `seconds`, and when one does
    not know the topic, as may be for a moment: it lists no partitions then, and that is no number of them."""
    found = consumer.list_topics(topic, timeout=seconds).topics[topic]
    if found.error is not None:
        raise KafkaException(found.error)
    return len(found.partitions)


class Lines:
    """Takes librdkafka's log lines, as a `logging.Logger` would, to ours."""

    def __init__(self, log: Logger) -> None:
        self._log = log

    def log(self, level: int, message: str, *arguments: object) -> None:
        """`level` is one of the standard library's."""
        self._log.log(level, "librdkafka", line=message % arguments)
