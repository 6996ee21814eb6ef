"""Finds Java and Maven, or unpacks Debian's packages into a private folder."""

import fcntl
import os
import re
import shutil
import ssl
import subprocess
import warnings
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import NoEncryption, pkcs12

from tests.support.binaries import Missing, _apt_of_our_own, _unpack

OLDEST = 17
ADVICE = f"Install Java {OLDEST} or newer and Maven so that java and mvn are on PATH, then try again."
JAVA_PACKAGE = r"openjdk-\d+-jre-headless"
MAVEN_PACKAGES = r"maven|lib.+-java"


def java(tools: Path) -> Path:
    """The program `java`, at least OLDEST: from PATH, or unpacked below `tools`. Raises Missing."""
    on_path = shutil.which("java")
    if on_path and _version(Path(on_path)) >= OLDEST:
        return Path(on_path)
    root = _tree(tools, "java", "default-jre-headless", JAVA_PACKAGE)
    found = sorted(root.glob("usr/lib/jvm/java-*-openjdk-*/bin/java"))
    if not found or _version(found[-1]) < OLDEST:
        raise Missing(f"Debian's packages hold no Java that is new enough. {ADVICE}")
    return found[-1]


def maven(tools: Path, java: Path) -> tuple[Path, dict[str, str]]:
    """The program `mvn`, from PATH or unpacked below `tools`, and the environment to run it in. Raises Missing."""
    on_path = shutil.which("mvn")
    if on_path:
        return Path(on_path), dict(os.environ)
    root = _tree(tools, "maven", "maven", MAVEN_PACKAGES)
    home = root / "usr/share/maven"
    environment = {**os.environ, "JAVA_HOME": str(java.resolve().parents[1]), "MAVEN_HOME": str(home)}
    environment["MAVEN_OPTS"] = f"{os.environ.get('MAVEN_OPTS', '')} {_trust(tools)}"
    return home / "bin/mvn", environment


def _version(java: Path) -> int:
    """The first number of the version that `java` tells of itself; 0 for what tells none."""
    done = subprocess.run([str(java), "-version"], capture_output=True, text=True, check=False)
    told = re.search(r'version "(\d+)', done.stderr + done.stdout)
    return int(told[1]) if told else 0


def _trust(tools: Path) -> str:
    """Options that let Java trust what this machine's Python trusts: the package that would say so is not installed."""
    store = tools / "trusted.p12"
    certificates = ssl.create_default_context().get_ca_certs(binary_form=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some of the world's authorities have serial numbers that newer rules disallow
        trusted = [pkcs12.PKCS12Certificate(x509.load_der_x509_certificate(each), None) for each in certificates]
    store.write_bytes(pkcs12.serialize_java_truststore(trusted, NoEncryption()))
    kind = "-Djavax.net.ssl.trustStoreType=PKCS12 -Djavax.net.ssl.trustStorePassword="
    return f"-Djavax.net.ssl.trustStore={store} {kind}"


def _tree(tools: Path, name: str, wanted: str, pattern: str) -> Path:
    """The folder to which those packages of `wanted` and its dependencies were unpacked whose name is `pattern`."""
    state = tools / f"{name}.apt"
    done = state / "done"
    tools.mkdir(parents=True, exist_ok=True)
    with (tools / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            with _apt_of_our_own(state, "native", ADVICE) as options:
                _unpack(_needed(wanted, pattern, options, state), options, state)
                _relink(state / "root")
            done.touch()
    return state / "root"


def _needed(wanted: str, pattern: str, options: list[str], state: Path) -> list[str]:
    """The packages to unpack, as for a machine that has none: half of them from the system and half from a private
    folder would not find one another."""
    nothing = state / "nothing-installed"
    nothing.touch()
    options = [*options, "-o", f"Dir::State::status={nothing}"]
    command = ["apt-get", *options, "--simulate", "--no-install-recommends", "install", wanted]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    names = re.findall(r"^Inst (\S+)", done.stdout, re.MULTILINE)
    packages = [name for name in names if re.fullmatch(pattern, name)]
    if not packages:
        raise Missing(f"apt would not install {wanted}: {done.stderr.strip()[-500:]} {ADVICE}")
    return packages


def _relink(root: Path) -> None:
    """Lets links to absolute paths, /etc/maven say, point below `root`."""
    for path in root.rglob("*"):
        if path.is_symlink() and path.readlink().is_absolute():
            inside = root / path.readlink().relative_to("/")
            path.unlink()
            path.symlink_to(inside)
