"""What a broker says of a topic; the broker is librdkafka's own, on loopback."""

from collections.abc import Iterator

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException

from exporter.usage.sources.kafka.client import partitions_of

SECONDS = 60.0


@pytest.fixture
def consumer() -> Iterator[Consumer]:
    brokers = {"bootstrap.servers": "", "test.mock.num.brokers": 1}
    one = Consumer({**brokers, "group.id": "shop", "allow.auto.create.topics": False, "log_level": 0})
    yield one
    one.close()


def test_a_topic_that_the_broker_does_not_know_has_no_number_of_partitions(consumer: Consumer) -> None:
    with pytest.raises(KafkaException) as raised:
        partitions_of(consumer, "orders", SECONDS)
    assert raised.value.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART
