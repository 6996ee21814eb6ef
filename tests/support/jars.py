"""Fetches Kafka's broker with Maven, from the repository that this machine's Maven is set to.

Every jar must have the hash in `config/kafka.sha256`; `sha256sum *.jar` writes that anew when `config/kafka-pom.xml`
changes.
"""

import fcntl
import hashlib
import shutil
import subprocess
from pathlib import Path

from tests.support.binaries import Missing
from tests.support.java import java, maven

HERE = Path(__file__).parent / "config"
POM = HERE / "kafka-pom.xml"
SUMS = HERE / "kafka.sha256"
COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.6.0:copy-dependencies"
FETCH_SECONDS = 900.0


def kafka_jars(tools: Path) -> Path:
    """The folder of the broker's jars below `tools`, fetched when need be. Raises Missing."""
    tools.mkdir(parents=True, exist_ok=True)
    jars = tools / "kafka"
    with (tools / "kafka.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two tests at once fetch it once
        if _wrong(jars):
            _fetch(jars, tools)
            if wrong := _wrong(jars):
                raise Missing(f"Maven did not fetch what {SUMS.name} lists: {', '.join(wrong[:5])}")
    return jars


def _wrong(jars: Path) -> list[str]:
    """The jars that are missing, are others than expected, or are not expected at all."""
    lines = (line.split() for line in SUMS.read_text().splitlines())
    expected = {name: digest for digest, name in lines}
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in jars.glob("*.jar")}
    return sorted(name for name in {**expected, **found} if expected.get(name) != found.get(name))


def _fetch(jars: Path, tools: Path) -> None:
    shutil.rmtree(jars, ignore_errors=True)
    repository = tools / "kafka.maven"  # one of our own: nothing in the home folder changes
    program, environment = maven(tools, java(tools))
    arguments = ["-B", "-q", f"-Dmaven.repo.local={repository}", "-f", str(POM), COPY]
    arguments += [f"-DoutputDirectory={jars}", "-DincludeScope=runtime"]
    try:
        done = subprocess.run(
            [str(program), *arguments],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=FETCH_SECONDS,
        )
    finally:
        shutil.rmtree(repository, ignore_errors=True)
    if done.returncode:
        raise Missing(f"Maven could not fetch Kafka:\n{(done.stdout + done.stderr)[-1500:]}")
