"""The manifests in deploy/: what a slip in them would break, found without a cluster."""

import re
import tomllib
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry
from sqlalchemy.engine import make_url

from exporter.__main__ import COMMAND as EXPORTER
from receiver.__main__ import COMMAND as RECEIVER
from receiver.stages.deliver import STOP_SECONDS
from tests.conftest import ROOT
from toolkit.cli import Command
from toolkit.httpserver import OPEN_PATHS, Authenticator, Listen, Probes, application
from toolkit.selfmetrics import ServiceMetrics
from toolkit.service import DRAIN_SECONDS
from toolkit.storage import storage_url

DEPLOY = ROOT / "deploy"
NAME = "app.kubernetes.io/name"
COMMANDS = {"tocsin-exporter": EXPORTER, "tocsin-receiver": RECEIVER}
OPERATIONS = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")


def documents(path: Path) -> list[dict[str, Any]]:
    return [one for one in yaml.safe_load_all(path.read_text(encoding="utf-8")) if one]


MANIFESTS = [one for path in sorted(DEPLOY.glob("*.yaml")) for one in documents(path)]
MONITORS = {one["metadata"]["name"]: one for one in documents(DEPLOY / "prometheus-operator" / "servicemonitors.yaml")}


def manifests(kind: str) -> dict[str, dict[str, Any]]:
    """The manifests of a kind, by name."""
    return {one["metadata"]["name"]: one for one in MANIFESTS if one["kind"] == kind}


KUSTOMIZATION = documents(DEPLOY / "kustomization.yaml")[0]
CONFIGURATION = documents(ROOT / "config" / "kustomization.yaml")[0]
WORKLOADS = {**manifests("Deployment"), **manifests("StatefulSet")}
SERVICES = manifests("Service")


def pod(name: str) -> dict[str, Any]:
    spec: dict[str, Any] = WORKLOADS[name]["spec"]["template"]["spec"]
    return spec


def container(name: str) -> dict[str, Any]:
    (one,) = pod(name)["containers"]
    assert isinstance(one, dict)
    return one


def mounts(name: str) -> dict[str, dict[str, Any]]:
    """Path in the container -> what is mounted there: a volume of the pod, or a claim of the set."""
    claims = {one["metadata"]["name"]: one for one in WORKLOADS[name]["spec"].get("volumeClaimTemplates", [])}
    volumes = {one["name"]: one for one in pod(name)["volumes"]} | claims
    return {mount["mountPath"]: volumes[mount["name"]] for mount in container(name)["volumeMounts"]}


def arguments(name: str) -> Namespace:
    """The container's command as the program's own parser reads it; what it does not take ends the test."""
    program, *rest = container(name)["command"]
    assert program == COMMANDS[name].name == name
    return COMMANDS[name]._parser().parse_args(rest)


def test_both_services_are_there_and_the_others_are_not_ours_to_run() -> None:
    assert set(WORKLOADS) == set(SERVICES) == set(MONITORS) == set(COMMANDS)
    assert set(manifests("Deployment")) == {"tocsin-receiver"}


def test_the_kustomization_takes_every_manifest_that_needs_no_operator() -> None:
    listed = set(KUSTOMIZATION["resources"])
    assert listed == {path.name for path in DEPLOY.glob("*.yaml")} - {"kustomization.yaml"} | {"../config"}
    assert KUSTOMIZATION["namespace"] == manifests("Namespace")[KUSTOMIZATION["namespace"]]["metadata"]["name"]
    apart = documents(DEPLOY / "prometheus-operator" / "kustomization.yaml")[0]
    assert apart["namespace"] == KUSTOMIZATION["namespace"]
    assert apart["resources"] == ["servicemonitors.yaml"]


def test_the_image_is_of_the_version_that_the_code_has() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert KUSTOMIZATION["images"] == [{"name": "tocsin", "newTag": version}]
    assert {container(name)["image"] for name in WORKLOADS} == {"tocsin"}


# --- what a container runs


@pytest.mark.parametrize(("name", "command"), COMMANDS.items(), ids=COMMANDS)
def test_the_command_is_one_that_the_program_takes_on_the_port_that_others_know(name: str, command: Command) -> None:
    given = vars(arguments(name))
    assert given["command"] == "run"
    assert not given["web.insecure"], "the token is asked for"
    listen = Listen.parse(given["web.listen-address"])
    assert not listen.loopback
    (named,) = container(name)["ports"]
    (served,) = SERVICES[name]["spec"]["ports"]
    assert listen.port == named["containerPort"] == served["port"] == command.port
    assert served["targetPort"] == named["name"]


def probed_paths() -> set[str]:
    """The paths that a service answers, whoever asks."""
    app = application(
        Probes(lambda: True, _nothing, lambda: None, Authenticator), ServiceMetrics(CollectorRegistry(), "x")
    )
    return {route.resource.canonical for route in app.router.routes() if route.resource} & OPEN_PATHS


async def _nothing() -> None:
    return


@pytest.mark.parametrize("name", COMMANDS)
def test_kubernetes_asks_what_the_service_answers_without_a_token(name: str) -> None:
    asked = {kind: container(name)[f"{kind}Probe"]["httpGet"] for kind in ("startup", "liveness", "readiness")}
    assert {kind: get["path"] for kind, get in asked.items()} == {
        "startup": "/-/healthy",
        "liveness": "/-/healthy",
        "readiness": "/-/ready",
    }
    assert {get["path"] for get in asked.values()} <= probed_paths()
    assert {get["port"] for get in asked.values()} == {container(name)["ports"][0]["name"]}


@pytest.mark.parametrize("name", COMMANDS)
def test_what_is_under_way_is_waited_for(name: str) -> None:
    *_, pause = container(name).get("lifecycle", {}).get("preStop", {"exec": {"command": ["0"]}})["exec"]["command"]
    assert pod(name)["terminationGracePeriodSeconds"] > int(pause) + DRAIN_SECONDS + STOP_SECONDS


@pytest.mark.parametrize("name", COMMANDS)
def test_a_container_may_do_nothing_but_its_work(name: str) -> None:
    assert container(name)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    uid, gid = re.findall(r"^USER (\d+):(\d+)$", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)[0]
    assert pod(name)["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": int(uid),
        "runAsGroup": int(gid),
        "fsGroup": int(gid),
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert pod(name)["automountServiceAccountToken"] is False
    assert pod(name)["enableServiceLinks"] is False, "Kubernetes would set variables named TOCSIN_..."


@pytest.mark.parametrize("name", COMMANDS)
def test_a_container_asks_for_memory_and_has_an_end_of_it(name: str) -> None:
    resources = container(name)["resources"]
    assert set(resources["requests"]) == {"cpu", "memory"}
    assert set(resources["limits"]) == {"memory"}, "a limit on the processor delays pages"


# --- what it reads and writes


def configmaps() -> dict[str, list[str]]:
    """The files of each generated ConfigMap, by its name."""
    return {one["name"]: one["files"] for one in CONFIGURATION["configMapGenerator"]}


def test_the_configmaps_hold_the_files_that_docker_compose_mounts() -> None:
    runbooks = [f"runbooks/{path.name}" for path in sorted((ROOT / "config" / "runbooks").glob("*.md"))]
    assert configmaps() == {
        "tocsin-exporter": ["exporter.yml"],
        "tocsin-receiver": ["receiver.yml"],
        "tocsin-runbooks": runbooks,
    }


@pytest.mark.parametrize("name", COMMANDS)
def test_every_configmap_that_is_mounted_is_made(name: str) -> None:
    mounted = {volume["configMap"]["name"] for volume in pod(name)["volumes"] if "configMap" in volume}
    assert name in mounted
    assert mounted <= set(configmaps())


@pytest.mark.parametrize("name", COMMANDS)
def test_every_path_that_the_configuration_names_is_mounted(name: str) -> None:
    path = vars(arguments(name))["config_file"]
    (mount,) = [one for one in container(name)["volumeMounts"] if one["mountPath"] == str(path)]
    assert mounts(name)[str(path)]["configMap"]["name"] == name
    assert mount["subPath"] == path.name == configmaps()[name][0]
    relative = set(paths(yaml.safe_load((ROOT / "config" / path.name).read_text(encoding="utf-8"))))
    assert relative, "it names its token at least"
    for one in relative:
        assert any((path.parent / one).is_relative_to(folder) for folder in mounts(name)), one


def paths(value: Any) -> Iterator[str]:
    """The files and folders beside it that a configuration names."""
    if isinstance(value, str) and value.partition("/")[0] in {"secrets", "runbooks"}:
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from paths(inner)


def secrets(name: str) -> set[str]:
    """The Secrets that a workload wants."""
    volumes = [volume["secret"]["secretName"] for volume in pod(name)["volumes"] if "secret" in volume]
    variables = [one["valueFrom"]["secretKeyRef"]["name"] for one in container(name).get("env", [])]
    return {*volumes, *variables}


def test_no_secret_is_in_the_repository_and_how_each_is_made_is_told() -> None:
    assert not manifests("Secret")
    assert "secretGenerator" not in KUSTOMIZATION
    wanted = secrets("tocsin-exporter") | secrets("tocsin-receiver")
    assert wanted == {"tocsin-exporter", "tocsin-receiver", "tocsin-postgres"}
    assert set(re.findall(r"create secret generic ([\w-]+)", OPERATIONS)) == wanted


def test_each_service_sees_its_own_secrets_only() -> None:
    assert secrets("tocsin-exporter") == {"tocsin-exporter"}
    assert "tocsin-exporter" not in secrets("tocsin-receiver")


def test_replicas_share_a_postgresql_whose_password_is_in_no_command_line() -> None:
    url = make_url(vars(arguments("tocsin-receiver"))["storage.url"])
    assert storage_url(url.render_as_string(hide_password=False), Path(), "").drivername == "postgresql"
    assert url.password is None
    assert [(one["name"], one["valueFrom"]["secretKeyRef"]) for one in container("tocsin-receiver")["env"]] == [
        ("PGPASSWORD", {"name": "tocsin-postgres", "key": "password"})
    ]


def test_the_exporter_is_one_with_a_disk_of_its_own() -> None:
    assert WORKLOADS["tocsin-exporter"]["spec"]["replicas"] == 1
    assert WORKLOADS["tocsin-exporter"]["spec"]["serviceName"] in SERVICES
    disk = mounts("tocsin-exporter")[vars(arguments("tocsin-exporter"))["storage.path"]]
    assert disk["spec"]["accessModes"] == ["ReadWriteOnce"]


# --- who finds whom


@pytest.mark.parametrize("name", COMMANDS)
def test_the_labels_that_select_are_those_that_are_there(name: str) -> None:
    worn = WORKLOADS[name]["spec"]["template"]["metadata"]["labels"]
    assert worn == {NAME: name}
    assert WORKLOADS[name]["spec"]["selector"] == {"matchLabels": worn}
    assert SERVICES[name]["spec"]["selector"] == worn
    for spread in pod(name).get("topologySpreadConstraints", []):
        assert spread["labelSelector"] == {"matchLabels": worn}


def test_a_drained_node_leaves_receivers_standing_and_can_be_drained() -> None:
    (budget,) = manifests("PodDisruptionBudget").values()
    assert budget["spec"]["selector"] == WORKLOADS["tocsin-receiver"]["spec"]["selector"]
    assert 1 <= budget["spec"]["minAvailable"] < WORKLOADS["tocsin-receiver"]["spec"]["replicas"]
    nodes = {one["topologyKey"] for one in pod("tocsin-receiver")["topologySpreadConstraints"]}
    assert "kubernetes.io/hostname" in nodes


@pytest.mark.parametrize("name", COMMANDS)
def test_prometheus_scrapes_it_under_the_name_and_at_the_pace_that_the_rules_know(name: str) -> None:
    shipped = yaml.safe_load((ROOT / "config" / "prometheus.yml").read_text(encoding="utf-8"))
    monitor = MONITORS[name]["spec"]
    labels = SERVICES[name]["metadata"]["labels"]
    assert monitor["selector"] == {"matchLabels": labels}
    assert labels[monitor["jobLabel"]] == name
    assert name in {job["job_name"] for job in shipped["scrape_configs"]}
    (endpoint,) = monitor["endpoints"]
    assert endpoint["port"] == SERVICES[name]["spec"]["ports"][0]["name"]
    assert endpoint["interval"] == shipped["global"]["scrape_interval"]
    token = endpoint["authorization"]["credentials"]
    assert token == {"name": name, "key": "tocsin.token"}
    assert token["name"] in secrets(name)
