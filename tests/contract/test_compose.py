"""docker-compose.yml and the Dockerfile: what a slip in them would break, found without a Docker engine."""

import fnmatch
import re
import shutil
import subprocess
import tomllib
from argparse import Namespace
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from sqlalchemy.engine import make_url

from exporter.__main__ import COMMAND as EXPORTER
from receiver.__main__ import COMMAND as RECEIVER
from receiver.stages.deliver import STOP_SECONDS
from tests.conftest import ROOT
from toolkit.cli import Command
from toolkit.httpserver import Listen
from toolkit.service import DRAIN_SECONDS
from toolkit.storage import storage_url

VARIABLE = re.compile(r"\$\{(?P<name>\w+):-(?P<default>[^}]*)\}")


def compose(variables: Mapping[str, str]) -> dict[str, Any]:
    """docker-compose.yml as docker compose reads it, with these variables in .env."""
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    found = yaml.safe_load(VARIABLE.sub(lambda match: variables.get(match["name"]) or match["default"], text))
    assert isinstance(found, dict)
    return found


COMPOSE = compose({})
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
OURS = {"exporter": EXPORTER, "receiver": RECEIVER}
SECRETS_IN_CONTAINER = "/etc/tocsin/secrets"
THE_PAGERS_KEY = "secrets/pagerduty.key"
"""Named by alertmanager.yml, and there only once somebody has a pager: Alertmanager starts without it."""


def read(name: str) -> Any:
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


def mounts(service: str) -> dict[str, str]:
    """Container path -> what is mounted there, a path of this machine or a volume's name."""
    parts = [volume.split(":") for volume in SERVICES[service].get("volumes", [])]
    return {target: source for source, target, *_ in parts}


def on_this_machine(service: str, path: str) -> Path:
    """The file of the repository that a service finds at a path of its own."""
    for target, source in mounts(service).items():
        if Path(path).is_relative_to(target) and source.startswith("./"):
            return ROOT / source / Path(path).relative_to(target)
    raise AssertionError(f"{service} has nothing at {path}")


def ports(service: str) -> set[int]:
    """The ports that other containers reach it on."""
    published = [int(port.rpartition(":")[2]) for port in SERVICES[service].get("ports", [])]
    return {*published, *(int(port) for port in SERVICES[service].get("expose", []))}


def arguments(service: str) -> Namespace:
    """The service's command as its own parser reads it; what the program does not take ends the test."""
    name, *rest = SERVICES[service]["command"]
    assert name == OURS[service].name
    return OURS[service]._parser().parse_args(rest)


def storage_folder(service: str) -> str:
    """Where a service keeps its file, in its container."""
    given = vars(arguments(service))
    url = storage_url(given["storage.url"], Path(), "") if given["storage.url"] else None
    return str(Path(str(url.database)).parent) if url else str(given["storage.path"])


@pytest.mark.parametrize("service", SERVICES)
def test_every_port_is_published_on_loopback_only(service: str) -> None:
    for port in SERVICES[service].get("ports", []):
        assert re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port), port


@pytest.mark.parametrize("service", SERVICES)
def test_every_mounted_path_and_volume_is_there(service: str) -> None:
    for source in mounts(service).values():
        if source.startswith("./"):
            assert (ROOT / source).exists(), source
        elif source.startswith("/"):
            assert (service, source) == ("node-exporter", "/")
        else:
            assert source in COMPOSE["volumes"]


@pytest.mark.parametrize("service", SERVICES)
def test_what_is_mounted_from_the_repository_cannot_be_written(service: str) -> None:
    for volume in SERVICES[service].get("volumes", []):
        assert volume.endswith(":ro") or not volume.startswith((".", "/")), volume


@pytest.mark.parametrize("service", OURS)
def test_the_commands_are_ones_that_the_programs_take(service: str) -> None:
    given = vars(arguments(service))
    assert given["command"] == "run"
    assert on_this_machine(service, str(given["config_file"])).exists()
    assert mounts(service)[storage_folder(service)] in COMPOSE["volumes"]
    assert not given["web.insecure"], "the token is asked for"
    assert Listen.parse(given["web.listen-address"]).port in ports(service)


def test_links_in_messages_lead_to_the_port_that_is_published() -> None:
    published = {port.rpartition(":")[0] for port in SERVICES["receiver"]["ports"]}
    url = urlsplit(vars(arguments("receiver"))["web.external-url"])
    assert (url.hostname, f"127.0.0.1:{url.port}") == ("localhost", *published)


@pytest.mark.parametrize("service", ["prometheus", "alertmanager"])
def test_the_configuration_of_the_others_is_mounted(service: str) -> None:
    flags = dict(part.split("=", 1) for part in SERVICES[service]["command"])
    assert on_this_machine(service, flags["--config.file"]).exists()


def named_hosts() -> Iterator[tuple[str, str, int]]:
    """(the file, host, port) of every address in what the containers read."""
    for path in sorted((ROOT / "config" / "targets").glob("*.yml")):
        for group in read(f"config/targets/{path.name}"):
            for target in group["targets"]:
                host, _, port = target.partition(":")
                yield f"config/targets/{path.name}", host, int(port)
    urls = [("config/receiver.yml", read("config/receiver.yml")["prometheus"]["url"])]
    for receiver in read("config/alertmanager.yml")["receivers"]:
        urls += [("config/alertmanager.yml", hook["url"]) for hook in receiver.get("webhook_configs", [])]
    datasources = "grafana/provisioning/datasources/tocsin.yml"
    urls += [(datasources, source["url"]) for source in read(datasources)["datasources"]]
    for name, url in urls:
        split = urlsplit(url)
        yield name, str(split.hostname), int(split.port or 80)


@pytest.mark.parametrize(("file", "host", "port"), list(named_hosts()))
def test_every_address_in_the_configuration_is_a_service_and_a_port_it_has(file: str, host: str, port: int) -> None:
    assert host in SERVICES, file
    assert "profiles" not in SERVICES[host], f"{file}: {host} is not started unless asked for"
    assert port in ports(host), file


def test_every_job_has_its_targets() -> None:
    jobs = {job["job_name"]: job for job in read("config/prometheus.yml")["scrape_configs"]}
    assert set(jobs) == {"prometheus", "alertmanager", "tocsin-exporter", "tocsin-receiver", "node"}
    found_by_name = jobs.pop("tocsin-receiver")
    for job in jobs.values():
        assert all((ROOT / "config" / file).exists() for file in job["file_sd_configs"][0]["files"])
    # one A record for each replica
    (by_name,) = found_by_name["dns_sd_configs"]
    assert (by_name["names"], by_name["type"]) == (["receiver"], "A")
    assert by_name["port"] in ports("receiver")


def texts(value: Any) -> Iterator[str]:
    """Every text in a configuration."""
    if isinstance(value, str):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from texts(inner)


@pytest.mark.parametrize("service", ["exporter", "receiver", "prometheus", "alertmanager"])
def test_a_service_is_given_the_secrets_that_its_configuration_names(service: str) -> None:
    named = {text for text in texts(read(f"config/{service}.yml")) if text.startswith("secrets/")} - {THE_PAGERS_KEY}
    given = {secret["target"] for secret in SERVICES[service]["secrets"]}
    assert named
    assert given == {f"{SECRETS_IN_CONTAINER}/{Path(name).name}" for name in named}


@pytest.mark.parametrize("service", ["exporter", "receiver", "prometheus", "alertmanager"])
def test_a_container_sees_no_secret_but_its_own(service: str) -> None:
    # config/ is mounted whole; an empty tmpfs lies over its folder of secrets
    assert f"{SECRETS_IN_CONTAINER}:mode=755" in SERVICES[service]["tmpfs"]
    assert mounts(service)["/etc/tocsin"] == "./config"


def test_alertmanager_starts_where_it_looks_for_the_pagers_key() -> None:
    assert SERVICES["alertmanager"]["working_dir"] == "/etc/tocsin"
    assert THE_PAGERS_KEY in set(texts(read("config/alertmanager.yml")))


def test_every_secret_is_made_by_make_and_ignored_by_git() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for secret in COMPOSE["secrets"].values():
        assert f"\n{secret['file']}:" in makefile
        assert subprocess.run(["git", "check-ignore", "-q", secret["file"]], cwd=ROOT, check=False).returncode == 0
    assert (
        subprocess.run(["git", "check-ignore", "-q", "config/secrets/README.md"], cwd=ROOT, check=False).returncode == 1
    )


EXACT = re.compile(r"[a-z0-9/-]+:v?\d+(\.\d+)+(-[a-z]+)?")


@pytest.mark.parametrize("service", SERVICES)
def test_every_image_is_of_an_exact_version(service: str) -> None:
    assert EXACT.fullmatch(SERVICES[service]["image"])


def test_our_image_is_of_the_version_that_the_code_has() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert {SERVICES[service]["image"] for service in OURS} == {f"tocsin:{version}"}


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_is_watched_and_started_again(service: str) -> None:
    assert SERVICES[service]["restart"] == "unless-stopped"
    assert service in OURS or "healthcheck" in SERVICES[service]


def test_only_what_is_used_starts_unasked() -> None:
    unasked = {name for name, service in SERVICES.items() if "profiles" not in service}
    assert unasked == {"exporter", "receiver", "prometheus", "alertmanager", "grafana", "node-exporter"}
    assert {name: SERVICES[name]["profiles"] for name in set(SERVICES) - unasked} == {
        "postgres": ["postgres"],
        "kafka": ["kafka"],
    }


@pytest.mark.parametrize("service", OURS)
def test_what_is_under_way_is_waited_for(service: str) -> None:
    assert int(SERVICES[service]["stop_grace_period"].removesuffix("s")) > DRAIN_SECONDS + STOP_SECONDS


# --- several receivers on one PostgreSQL: `make replicas`, then `docker compose --profile postgres up --scale receiver=3`


@pytest.fixture(scope="module")
def env(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The .env that `make replicas` writes."""
    folder = tmp_path_factory.mktemp("replicas")
    shutil.copy(ROOT / "Makefile", folder)
    subprocess.run(["make", "-s", "replicas"], cwd=folder, check=True)
    return folder / ".env"


@pytest.fixture(scope="module")
def replicated(env: Path) -> dict[str, Any]:
    """The services as docker compose reads them beside that file."""
    services = compose(variables(env))["services"]
    assert isinstance(services, dict)
    return services


def variables(env: Path) -> dict[str, str]:
    lines = [line for line in env.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    return {name: value for name, _, value in (line.partition("=") for line in lines)}


def test_replicas_are_given_every_variable_that_the_file_asks_for_and_no_other(env: Path) -> None:
    asked = set(VARIABLE.findall((ROOT / "docker-compose.yml").read_text(encoding="utf-8")))
    assert set(variables(env)) == {name for name, _ in asked} | {"COMPOSE_PROFILES"}
    assert variables(env)["COMPOSE_PROFILES"] in SERVICES["postgres"]["profiles"], "later commands need not name it"


def test_the_password_of_replicas_is_a_good_one_for_the_owner_alone(env: Path) -> None:
    assert env.stat().st_mode & 0o077 == 0
    assert len(variables(env)["TOCSIN_POSTGRES_PASSWORD"]) >= 32
    assert subprocess.run(["git", "check-ignore", "-q", ".env"], cwd=ROOT, check=False).returncode == 0


def test_make_replicas_leaves_a_file_of_yours_alone_and_says_so(tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / ".env").write_text("COMPOSE_PROJECT_NAME=mine\n")
    done = subprocess.run(["make", "-s", "replicas"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "docs/operations.md" in done.stdout
    assert (tmp_path / ".env").read_text() == "COMPOSE_PROJECT_NAME=mine\n"


def test_replicas_use_the_postgresql_of_the_profile(replicated: dict[str, Any]) -> None:
    (flag,) = [part for part in replicated["receiver"]["command"] if part.startswith("--storage.url=")]
    url = make_url(flag.partition("=")[2])
    assert storage_url(url.render_as_string(), Path(), "").drivername == "postgresql"
    server = replicated[str(url.host)]
    assert server["profiles"] == ["postgres"]
    assert (url.username, url.database) == (
        server["environment"]["POSTGRES_USER"],
        server["environment"]["POSTGRES_DB"],
    )
    assert url.password is None, "it would stand in `docker compose ps`"
    assert replicated["receiver"]["environment"]["PGPASSWORD"] == server["environment"]["POSTGRES_PASSWORD"]
    assert replicated["receiver"]["depends_on"] == {"postgres": {"condition": "service_healthy", "required": False}}


def test_no_two_replicas_want_one_port_and_the_first_has_the_one_that_links_lead_to(replicated: dict[str, Any]) -> None:
    (port,) = replicated["receiver"]["ports"]
    range_ = re.fullmatch(r"127\.0\.0\.1:(\d+)-(\d+):9971", port)
    assert range_
    first, last = range_.groups()
    assert int(last) - int(first) + 1 > int(replicated["receiver"]["scale"]) > 1
    assert f":{first}" in vars(arguments("receiver"))["web.external-url"]


def test_without_that_file_there_is_one_receiver_and_no_postgresql_that_would_start() -> None:
    assert SERVICES["receiver"]["scale"] == 1
    assert not SERVICES["postgres"]["environment"]["POSTGRES_PASSWORD"], "its image refuses to start without one"


def instructions(name: str) -> list[str]:
    """The arguments of every instruction of that name, its continued lines joined."""
    joined = re.sub(r"\\\n\s*", "", DOCKERFILE)
    return re.findall(rf"^{name} (.*)$", joined, re.MULTILINE)


def test_the_image_is_built_on_an_exact_version_and_from_hashes() -> None:
    bases = [line.split()[0] for line in instructions("FROM")]
    assert bases
    assert all(EXACT.fullmatch(base) for base in bases)
    assert any("--require-hashes -r requirements.lock" in line for line in instructions("RUN"))


def test_the_image_can_speak_with_postgresql() -> None:
    extra = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    (driver,) = [re.split(r"[<>=]", one)[0] for one in extra["postgres"]]
    assert any("'.[postgres]'" in line for line in instructions("RUN"))
    assert re.search(rf"^{driver}==", (ROOT / "requirements.lock").read_text(encoding="utf-8"), re.MULTILINE)


def test_the_image_does_not_run_as_root() -> None:
    users = instructions("USER")
    assert len(users) == 1
    assert all(int(number) > 0 for number in users[0].split(":"))
    assert DOCKERFILE.rindex("\nUSER ") > DOCKERFILE.rindex("\nFROM "), "the last stage says so"
    assert not [name for name in OURS if "user" in SERVICES[name]]


def test_what_the_image_copies_is_there_and_let_through() -> None:
    allowed = [
        line[1:] for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines() if line[:1] == "!"
    ]
    sources = [source for line in instructions("COPY") if "--from" not in line for source in line.split()[:-1]]
    assert {source.removeprefix("./") for source in sources} == set(allowed)
    assert all((ROOT / source).exists() for source in sources)


def test_nothing_else_gets_into_the_image() -> None:
    rules = [
        line for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines() if line and line[0] != "#"
    ]
    assert rules[0] == "*"
    assert not [rule for rule in rules if rule[0] == "!" and fnmatch.fnmatch("config", rule[1:])]


@pytest.mark.parametrize("command", OURS.values(), ids=OURS)
def test_the_image_knows_both_commands_and_their_ports(command: Command) -> None:
    assert f"#   {command.name} run " in DOCKERFILE
    assert str(command.port) in instructions("EXPOSE")[0].split()
    assert str(command.port) in instructions("HEALTHCHECK")[0]
    assert not instructions("ENTRYPOINT"), "the command names the program"


@pytest.mark.parametrize("command", OURS.values(), ids=OURS)
def test_the_examples_in_the_dockerfile_are_commands_that_the_programs_take(command: Command) -> None:
    (line,) = re.findall(rf"^#   {command.name} (run .*)$", DOCKERFILE, re.MULTILINE)
    assert command._parser().parse_args(line.split()).command == "run"
