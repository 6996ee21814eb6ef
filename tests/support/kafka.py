"""A real Kafka broker for tests, in a folder of its own: one node that is its own controller, on loopback."""

import asyncio
import base64
import contextlib
import json
import secrets
import shutil
import signal
import uuid
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import trustme
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from cryptography.hazmat.primitives import serialization

from tests.support.jars import kafka_jars
from tests.support.java import java
from tests.support.ports import free_ports
from tests.support.processes import until
from tests.support.stack import ROOT

TOOLS = ROOT / ".cache" / "tools"
USER = "tocsin"
STOP_SECONDS = 30.0
ANSWER_SECONDS = 30.0
DELIVERY_SECONDS = 120.0
LOGIN = "org.apache.kafka.common.security"


class Broker:
    """One broker, stopped and started at will; its topics outlive that.

    `address` takes everybody, `signed_in` those who know `password` (TLS, and SASL by PLAIN or SCRAM), `certified` those
    who show a certificate (TLS).
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self.log = folder, folder / "kafka.log"
        ports = free_ports(4)
        self.address, self.signed_in, self.certified, self._controller = (f"127.0.0.1:{port}" for port in ports)
        self.password = secrets.token_urlsafe(12)
        self.ca_file, self.cert_file, self.key_file = (folder / name for name in ("ca.pem", "cert.pem", "key.pem"))
        # its log lines would tell of every refused connection while the broker starts
        self._admin = AdminClient({"bootstrap.servers": self.address, "log_level": 0})
        self._program, self._jars = java(TOOLS), kafka_jars(TOOLS)
        self._process: asyncio.subprocess.Process | None = None

    # --- the process

    async def initialize(self) -> None:
        """Writes the configuration and formats the node's folder."""
        self._issue()
        self._configuration.write_text("".join(f"{name}={value}\n" for name, value in self._properties().items()))
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        arguments = ["format", "-t", cluster, "-c", str(self._configuration)]
        for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512"):
            arguments += ["--add-scram", f"{mechanism}=[name={USER},password={self.password}]"]
        process = await self._java("kafka.tools.StorageTool", *arguments)
        assert await process.wait() == 0, self._log_end()

    async def start(self) -> None:
        """Starts the broker and waits until it answers."""
        self._process = await self._java("kafka.Kafka", str(self._configuration))
        await until(self._answers, "the broker answers")

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Ends the broker: SIGTERM in good order, SIGKILL like a crash."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.returncode is None:
            process.send_signal(number)
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()

    async def _java(self, program: str, *arguments: str) -> asyncio.subprocess.Process:
        options = ["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
        options += ["-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", f"{self._jars}/*"]
        with self.log.open("ab") as log:
            return await asyncio.create_subprocess_exec(
                *(str(self._program), *options, program, *arguments), cwd=self._folder, stdout=log, stderr=log
            )

    async def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.returncode is None, self._log_end()
        with contextlib.suppress(KafkaException):
            await asyncio.to_thread(self._admin.list_topics, timeout=1.0)
            return True
        return False

    def _log_end(self) -> str:
        return self.log.read_text(errors="replace")[-3000:]

    # --- its configuration

    @property
    def _configuration(self) -> Path:
        return self._folder / "server.properties"

    def _issue(self) -> None:
        """Certificates for the broker, and for a client."""
        authority = trustme.CA()
        authority.cert_pem.write_to_path(self.ca_file)
        server, client = authority.issue_cert("127.0.0.1"), authority.issue_cert("client@tocsin.test")
        self._keystore.write_bytes(_pkcs8(server.private_key_pem.bytes()) + _chain(server))
        self.key_file.write_bytes(client.private_key_pem.bytes())
        self.cert_file.write_bytes(_chain(client))

    @property
    def _keystore(self) -> Path:
        return self._folder / "broker.pem"

    def _properties(self) -> dict[str, object]:
        listeners = f"OPEN://{self.address},SIGNED://{self.signed_in},CERTIFIED://{self.certified}"
        return {
            "process.roles": "broker,controller",
            "node.id": 1,
            "log.dirs": self._folder / "data",
            "listeners": f"{listeners},CONTROLLER://{self._controller}",
            "advertised.listeners": listeners,
            "inter.broker.listener.name": "OPEN",
            "controller.listener.names": "CONTROLLER",
            "controller.quorum.voters": f"1@{self._controller}",
            "listener.security.protocol.map": "OPEN:PLAINTEXT,CONTROLLER:PLAINTEXT,SIGNED:SASL_SSL,CERTIFIED:SSL",
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": self._keystore,
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": self.ca_file,
            "listener.name.certified.ssl.client.auth": "required",
            "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
            "listener.name.signed.plain.sasl.jaas.config": (
                f'{LOGIN}.plain.PlainLoginModule required user_{USER}="{self.password}";'
            ),
            "listener.name.signed.scram-sha-256.sasl.jaas.config": f"{LOGIN}.scram.ScramLoginModule required;",
            "listener.name.signed.scram-sha-512.sasl.jaas.config": f"{LOGIN}.scram.ScramLoginModule required;",
            "offsets.topic.num.partitions": 1,
            "offsets.topic.replication.factor": 1,
            "transaction.state.log.num.partitions": 1,
            "transaction.state.log.replication.factor": 1,
            "transaction.state.log.min.isr": 1,
            "group.initial.rebalance.delay.ms": 0,
            "group.min.session.timeout.ms": 1000,
            "log.cleaner.dedupe.buffer.size": 2 * 1024 * 1024,
        }

    # --- its topics

    async def create(self, topic: str, partitions: int = 1, **config: str) -> None:
        """Makes a topic; a setting of it is written with `_` for `.`."""
        settings = {name.replace("_", "."): value for name, value in config.items()}
        new = NewTopic(topic, num_partitions=partitions, replication_factor=1, config=settings)
        await _done(self._admin.create_topics([new])[topic])

    async def drop(self, topic: str) -> None:
        """Removes a topic."""
        await _done(self._admin.delete_topics([topic])[topic])

    async def cut(self, topic: str, partition: int, offset: int) -> None:
        """Removes what stands before `offset`, as retention does."""
        (result,) = self._admin.delete_records([TopicPartition(topic, partition, offset)]).values()
        await _done(result)

    async def ends(self, topic: str, partitions: int) -> dict[int, int]:
        """By partition, the offset after the last message."""
        asking = Consumer({"bootstrap.servers": self.address, "group.id": "asking"})
        try:
            wanted = [TopicPartition(topic, number) for number in range(partitions)]
            found = [await asyncio.to_thread(asking.get_watermark_offsets, each, ANSWER_SECONDS) for each in wanted]
        finally:
            asking.close()
        return {number: high for number, (_, high) in enumerate(found)}


async def _done(result: Future[Any]) -> None:
    await asyncio.to_thread(result.result, ANSWER_SECONDS)


def _pkcs8(key: bytes) -> bytes:
    """A private key (PEM) in the form that Java reads."""
    loaded = serialization.load_pem_private_key(key, None)
    return loaded.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _chain(issued: trustme.LeafCert) -> bytes:
    return b"".join(blob.bytes() for blob in issued.cert_chain_pems)


@contextlib.asynccontextmanager
async def broker(folder: Path) -> AsyncIterator[Broker]:
    """A broker that answers within the block, and is gone after it. Raises binaries.Missing."""
    running = await asyncio.to_thread(Broker, folder)
    try:
        await running.initialize()
        await running.start()
        yield running
    finally:
        await running.stop(signal.SIGKILL)
        await asyncio.to_thread(shutil.rmtree, folder / "data", ignore_errors=True)  # much, and nobody looks at it


class Sender:
    """A producer that spreads events over a topic's partitions, and remembers what the broker has confirmed."""

    def __init__(self, address: str, **options: str) -> None:
        self._producer = Producer({"bootstrap.servers": address, "enable.idempotence": True, "log_level": 0, **options})
        self.truth: dict[str, tuple[int, int]] = {}
        self.sent = 0

    async def send(self, topic: str, count: int, kinds: int = 5) -> None:
        """Sends `count` events of `kinds` names, numbered on, and waits until the broker has them all. Whoever cancels
        it waits with `confirmed`."""
        for number in range(self.sent, self.sent + count):
            event = f"e{number % kinds}"
            await self.put(topic, json.dumps({"event": event, "n": number}).encode())
            held, total = self.truth.get(event, (0, 0))
            self.truth[event], self.sent = (held + 1, total + number), number + 1
        await self.confirmed()

    async def raw(self, topic: str, *values: bytes | None, partition: int = 0, timestamp: float = 0) -> None:
        """Sends values as they are; None is a tombstone. `timestamp` is in seconds since the epoch, 0 means now."""
        for value in values:
            self._producer.produce(topic, value, b"key", partition, timestamp=round(timestamp * 1000))
        await self.confirmed()

    async def transaction(self, topic: str, values: Sequence[bytes], commit: bool) -> None:
        """Sends values in a transaction that is committed or aborted; needs the option `transactional.id`."""
        self._producer.begin_transaction()
        for value in values:
            self._producer.produce(topic, value, partition=0)
        await self.confirmed()  # what the broker has not is not aborted there
        await asyncio.to_thread(self._producer.commit_transaction if commit else self._producer.abort_transaction)

    async def sign_in(self) -> None:
        """Makes transactions possible."""
        await asyncio.to_thread(self._producer.init_transactions)

    async def put(self, topic: str, value: bytes, key: str | None = None, timestamp: float = 0) -> None:
        """Hands one message over; `timestamp` is in seconds since the epoch, 0 means now. `confirmed` waits for it."""
        while True:
            try:
                return self._producer.produce(topic, value, key, timestamp=round(timestamp * 1000))
            except BufferError:
                await asyncio.to_thread(self._producer.poll, 0.1)

    async def confirmed(self) -> None:
        """Waits until the broker has everything."""
        assert await asyncio.to_thread(self._producer.flush, DELIVERY_SECONDS) == 0, (
            "the broker did not take everything"
        )
