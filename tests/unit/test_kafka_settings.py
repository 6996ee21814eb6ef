"""Mistakes in a Kafka source are named at their place."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from exporter.usage.sources.kafka.client import configuration
from exporter.usage.sources.kafka.settings import KafkaSettings, lint
from toolkit.configfile import ConfigError, Location, load

GOOD = "name: shop\nbrokers: ['kafka-1:9092', '[::1]:9092']\ntopics: [orders]\n"
MISTAKES = [
    ("a misspelt key", "toppics: [a]\n", "toppics: unknown key; did you mean 'topics'?"),
    ("a topic twice", "topics: [a, b, a]\n", "topics[2]: the topic 'a' stands here twice"),
    ("a topic's name that Kafka refuses", "topics: ['a b']\n", "topics[0]: string should match pattern"),
    ("no topic", "topics: []\n", "topics: tuple should have at least 1 item"),
    ("a broker without a port", "brokers: [kafka-1]\n", "brokers[0]: string should match pattern"),
    ("a start that is none", "start: begin\n", "start: input should be 'earliest' or 'latest'"),
    ("a certificate without its key", "tls: {cert_file: secret}\n", "tls: cert_file and key_file belong together"),
    (
        "a password in the clear",
        "sasl: {mechanism: PLAIN, username: u, password_file: secret}\n",
        "sasl.mechanism: PLAIN without tls shows the password",
    ),
    (
        "a mechanism that is none",
        "sasl: {mechanism: SCRAM, username: u, password_file: secret}\n",
        "sasl.mechanism: input should be 'PLAIN', 'SCRAM-SHA-256' or 'SCRAM-SHA-512'",
    ),
    (
        "a password that is not there",
        "sasl: {mechanism: PLAIN, username: u, password_file: nowhere}\ntls: {}\n",
        "nowhere: No such file",
    ),
]


def _load(folder: Path, text: str) -> KafkaSettings:
    (folder / "secret").write_text("hush-hush")
    path = folder / "kafka.yml"
    given = {line.partition(":")[0] for line in text.splitlines()}
    path.write_text("".join(line for line in GOOD.splitlines(True) if line.partition(":")[0] not in given) + text)

    def problems(source: KafkaSettings) -> Iterator[tuple[Location, str]]:
        return lint(source)

    return load(path, KafkaSettings, problems)


@pytest.mark.parametrize(("text", "message"), [row[1:] for row in MISTAKES], ids=[row[0] for row in MISTAKES])
def test_a_mistake_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        _load(tmp_path, text)
    assert message.lower() in str(raised.value).lower()


SECURITY = [
    ("neither", "", "PLAINTEXT"),
    ("TLS alone", "tls: {}\n", "SSL"),
    ("a password alone", "sasl: {mechanism: SCRAM-SHA-512, username: u, password_file: secret}\n", "SASL_PLAINTEXT"),
    ("both", "tls: {}\nsasl: {mechanism: PLAIN, username: u, password_file: secret}\n", "SASL_SSL"),
]


@pytest.mark.parametrize(("text", "protocol"), [row[1:] for row in SECURITY], ids=[row[0] for row in SECURITY])
def test_the_protocol_follows_from_what_is_given(tmp_path: Path, text: str, protocol: str) -> None:
    source = _load(tmp_path, text)
    assert configuration(source)["security.protocol"] == protocol
    assert "hush-hush" not in repr(source)
