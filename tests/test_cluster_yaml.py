"""cluster.yaml, checked without a cloud: Ray's own validation, and what that misses.

Ray finds unknown keys at the top and in node types. It does not look into `provider` and `node_config`, and knows
nothing of the versions that this project needs.
"""

from __future__ import annotations

import copy
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import ray
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from raytrain.spec.load import load_job
from tests.jobs.test_jobs import check_command, commands_in

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "cluster.yaml").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

# Fields of the provider section (Ray's AWS node provider) and of EC2's RunInstances that this file may use.
PROVIDER_KEYS = {"type", "region", "availability_zone", "cache_stopped_nodes", "security_group"}
NODE_CONFIG_KEYS = {
    *("InstanceType", "ImageId", "BlockDeviceMappings", "InstanceMarketOptions", "IamInstanceProfile"),
    *("KeyName", "SubnetIds", "SecurityGroupIds", "TagSpecifications"),
}
NVIDIA_FAMILIES = ("g4dn", "g5", "g6", "g6e", "p4d", "p4de", "p5", "p5e", "p5en")


def validate(config: dict[str, Any]) -> dict[str, Any]:
    """The config with Ray's defaults filled in, or Ray's exception. The one place that uses this private interface."""
    from ray.autoscaler._private.util import prepare_config, validate_config

    prepared: dict[str, Any] = prepare_config(copy.deepcopy(config))
    validate_config(prepared)
    return prepared


def own_problems(config: dict[str, Any]) -> list[str]:
    """What Ray's validation lets through."""
    problems = [f"provider: {key}" for key in config["provider"].keys() - PROVIDER_KEYS]
    for name, kind in config["available_node_types"].items():
        node = kind["node_config"]
        problems += [f"{name}: {key}" for key in node.keys() - NODE_CONFIG_KEYS]
        problems += [f"{name}: no {key}" for key in {"InstanceType", "ImageId"} - node.keys()]
        if name == config["head_node_type"] and "InstanceMarketOptions" in node:
            problems.append("the head is a spot machine")
        if name != config["head_node_type"] and node.get("InstanceType", "").split(".")[0] not in NVIDIA_FAMILIES:
            problems.append(f"{name}: {node.get('InstanceType')} has no NVIDIA GPU")
    return problems


@pytest.fixture
def config() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(TEXT)
    return loaded


def requirements(config: dict[str, Any], node: str) -> dict[str, Requirement]:
    """What `pip install` is told on the head or on a worker, by name."""
    commands = [*config["setup_commands"], *config[f"{node}_setup_commands"]]
    words = [word.strip("'") for command in commands for word in command.removeprefix("pip install ").split()]
    return {(needed := Requirement(word)).name.lower(): needed for word in words}


def test_ray_accepts_it(config: dict[str, Any]) -> None:
    prepared = validate(config)
    assert prepared["head_node_type"] in prepared["available_node_types"]


def test_it_has_none_of_the_mistakes_that_ray_misses(config: dict[str, Any]) -> None:
    assert own_problems(config) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("max_worker",), 8),
        (("available_node_types", "gpu", "min_worker"), 1),
        (("available_node_types", "gpu", "resources"), {"GPU": 0.5}),
        (("available_node_types", "gpu", "min_workers"), 99),
        (("head_node_type",), "heads"),
        (("docker", "container_name"), ""),
    ],
)
def test_ray_refuses_a_mistake(config: dict[str, Any], path: tuple[str, ...], value: object) -> None:
    place = config
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(Exception):  # noqa: B017 - jsonschema's, AssertionError or ValueError, by mistake
        validate(config)


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        (("provider", "regionn"), "provider: regionn"),
        (("available_node_types", "gpu", "node_config", "InstanceTyp"), "gpu: InstanceTyp"),
        (("available_node_types", "head", "node_config", "InstanceMarketOptions"), "the head is a spot machine"),
    ],
)
def test_we_find_what_ray_misses(config: dict[str, Any], path: tuple[str, ...], problem: str) -> None:
    place = config
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = "x"
    validate(config)
    assert problem in own_problems(config)


def test_head_is_small_and_takes_no_training(config: dict[str, Any]) -> None:
    head = config["available_node_types"][config["head_node_type"]]
    assert head["resources"] == {"CPU": 0}
    assert "-gpu" not in config["docker"]["head_image"]


def test_workers_come_and_go(config: dict[str, Any]) -> None:
    workers = {name: kind for name, kind in config["available_node_types"].items() if name != config["head_node_type"]}
    assert workers
    assert all(kind["min_workers"] == 0 < kind["max_workers"] <= config["max_workers"] for kind in workers.values())
    assert config["idle_timeout_minutes"] <= 10
    assert config["docker"]["worker_image"].endswith("-gpu")


@pytest.mark.parametrize("image", ["head_image", "worker_image"])
def test_images_have_the_ray_and_python_of_pyproject(config: dict[str, Any], image: str) -> None:
    match = re.fullmatch(r"rayproject/ray:(\d+\.\d+\.\d+)-py(\d)(\d+)-(?:cpu|gpu)", config["docker"][image])
    assert match is not None
    needed = {(requirement := Requirement(text)).name: requirement for text in PROJECT["dependencies"]}
    assert match[1] in needed["ray"].specifier
    assert match[1] == ray.__version__
    assert f"{match[2]}.{match[3]}" in SpecifierSet(PROJECT["requires-python"])


@pytest.mark.parametrize("node", ["head", "worker"])
def test_installed_versions_are_those_of_pyproject(config: dict[str, Any], node: str) -> None:
    project = {
        (needed := Requirement(text)).name.lower(): needed
        for text in [*PROJECT["dependencies"], *(PROJECT["optional-dependencies"]["gpu"] if node == "worker" else [])]
    }
    installed = requirements(config, node)
    assert {"tensorflow", "keras", "scikit-learn", "pyarrow"} <= installed.keys()
    for name, needed in installed.items():
        if name != "boto3":
            assert (needed.specifier, needed.extras) == (project[name].specifier, project[name].extras), name


def test_every_machine_has_what_a_run_imports(config: dict[str, Any]) -> None:
    """All of pyproject's dependencies, but Ray, which is in the image, and what the command line alone needs."""
    needed = {Requirement(text).name.lower() for text in PROJECT["dependencies"]}
    in_image_or_client_only = {"ray", "typer", "requests", "psutil", "filelock", "pathspec", "aiohttp", "plotext"}
    for node in ("head", "worker"):
        assert needed - in_image_or_client_only <= requirements(config, node).keys()


def test_dashboard_listens_on_localhost_alone(config: dict[str, Any]) -> None:
    start = config["head_start_ray_commands"][-1]
    assert "--dashboard-host=127.0.0.1" in start
    assert "--autoscaling-config=~/ray_bootstrap_config.yaml" in start
    assert "0.0.0.0" not in TEXT


def test_three_fields_are_marked_and_hold_placeholders() -> None:
    marked = [line for line in TEXT.splitlines() if "# <-- FILL IN" in line]
    assert len(marked) == 3
    assert "region: us-west-2" in marked[0]
    assert "ImageId: &image ami-00000000000000000" in marked[1]
    assert "fs-00000000000000000.efs." in marked[2]


def test_default_storage_is_shared_by_all_machines(config: dict[str, Any]) -> None:
    storage = load_job(str(ROOT / "jobs" / "digits")).spec.storage
    (mount,) = [option for option in config["docker"]["run_options"] if option.startswith("-v ")]
    host, container = mount.removeprefix("-v ").split(":")
    assert container == storage.replace("~", "/home/ray")
    assert any(host in command and "mount -t nfs4" in command for command in config["initialization_commands"])


def test_its_raytrain_commands_are_real() -> None:
    (command,) = commands_in(TEXT)
    check_command(command)
    assert "scaling.gpus_per_worker=1" in command
