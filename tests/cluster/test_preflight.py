"""Tests of what is refused before a job is sent: a table for the versions, a table for the resources."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from raytrain.cluster import preflight
from raytrain.cluster.jobs_api import JobsApi, NodeInfo, Versions
from raytrain.cluster.preflight import check_cluster, installed_ray, placement, version_problems
from raytrain.errors import ClusterIncompatible, SpecError
from raytrain.spec.job import ScalingSpec

ROOT = Path(__file__).parents[2]


def node(**resources: float) -> NodeInfo:
    return NodeInfo(node_id="n", ip="10.0.0.1", is_head=False, resources=resources)


def versions(ray: str = "2.60.0", python: str | None = "3.11.7") -> Versions:
    return Versions(ray=ray, python=python, session="s")


@pytest.mark.parametrize(
    ("cluster", "client_ray", "client_python", "says"),
    [
        (versions(), "2.60.0", "3.11.7", []),
        (versions(), "2.60.1", "3.11.2", []),
        (versions(), None, "3.11.7", []),
        (versions(python=None), "2.60.0", "3.13.0", []),
        (versions("2.9.3"), None, "3.11.7", ["Ray 2.9.3 on the cluster, expected Ray 2.60"]),
        (versions("2.61.0"), "2.60.0", "3.11.7", ["Ray 2.61.0"]),
        (versions("3.0.0.dev0"), None, "3.11.7", ["Ray 3.0.0.dev0"]),
        (versions("2.60.0rc1"), None, "3.11.7", []),
        (versions(), "2.59.0", "3.11.7", ["expected Ray 2.59, as here"]),
        (versions(python="3.10.14"), "2.60.0", "3.11.7", ["Python 3.10.14 on the cluster, expected Python 3.11"]),
        (versions("2.50.0", "3.9.1"), None, "3.12.0", ["Ray 2.50.0", "Python 3.9.1"]),
    ],
)
def test_versions(cluster: Versions, client_ray: str | None, client_python: str, says: list[str]) -> None:
    problems = version_problems(cluster, client_ray=client_ray, client_python=client_python)

    assert len(problems) == len(says)
    for problem, words in zip(problems, says, strict=True):
        assert words in str(problem)


SMALL = [node(CPU=4.0)]
LARGE = [node(CPU=4.0), node(CPU=8.0, GPU=2.0), node(CPU=8.0, GPU=2.0, TPU=1.0)]


@pytest.mark.parametrize(
    ("scaling", "nodes", "problem", "warning"),
    [
        ({"workers": 2}, SMALL, "", ""),
        ({"workers": 3}, SMALL, "", ""),
        ({"workers": 4}, SMALL, "", "leave none to Ray Data"),
        ({"workers": 5}, SMALL, "5 workers with 1 CPU each, expected at most 4", ""),
        ({"workers": 1, "cpus_per_worker": 8}, SMALL, "8 CPU for one worker, expected at most 4", ""),
        ({"workers": 6, "cpus_per_worker": 0.5}, SMALL, "", ""),
        ({"workers": 1, "cpus_per_worker": 3.5}, SMALL, "", "leave none to Ray Data"),
        ({"workers": 1, "gpus_per_worker": 1}, SMALL, "no node of the cluster has a GPU", ""),
        ({"workers": 4, "gpus_per_worker": 1}, LARGE, "", ""),
        ({"workers": 5, "gpus_per_worker": 1}, LARGE, "5 workers with 1 CPU, 1 GPU each, expected at most 4", ""),
        ({"workers": 8, "gpus_per_worker": 0.5}, LARGE, "", ""),
        # Three nodes with 20 CPUs in all hold two workers of 6, not three: a worker never spans nodes.
        ({"workers": 3, "cpus_per_worker": 6}, LARGE, "expected at most 2", ""),
        ({"workers": 1, "cpus_per_worker": 9}, LARGE, "9 CPU for one worker, expected at most 8", ""),
        ({"workers": 1, "resources_per_worker": {"TPU": 1}}, LARGE, "", ""),
        ({"workers": 2, "resources_per_worker": {"TPU": 1}}, LARGE, "expected at most 1", ""),
        ({"workers": 1, "resources_per_worker": {"FPGA": 1}}, LARGE, "no node of the cluster has a FPGA", ""),
        ({"workers": 99}, [], "", ""),
    ],
)
def test_resources(scaling: dict[str, Any], nodes: Sequence[NodeInfo], problem: str, warning: str) -> None:
    fit = placement(ScalingSpec.model_validate(scaling), nodes)

    assert [problem in str(found) for found in fit.problems] == ([True] if problem else [])
    assert [warning in found for found in fit.warnings] == ([True] if warning else [])


def test_each_amount_is_had_somewhere_but_not_together() -> None:
    scaling = ScalingSpec(workers=1, cpus_per_worker=8, gpus_per_worker=1)
    fit = placement(scaling, [node(CPU=8.0), node(CPU=4.0, GPU=1.0)])

    assert "8 CPU, 1 GPU for one worker" in str(fit.problems[0])


def test_our_own_cluster_can_be_started_larger() -> None:
    fit = placement(ScalingSpec(workers=6), SMALL, is_local=True)

    assert "raytrain up --cpus 7" in fit.problems[0].fix


class Says(JobsApi):
    """A cluster that says what the test has it say."""

    def __init__(self, *, ray: str = "", nodes: Sequence[NodeInfo] = SMALL, grows: bool = False) -> None:
        self._ray, self._nodes, self._grows = ray, list(nodes), grows

    def versions(self) -> Versions:
        return versions(self._ray or installed_ray() or "2.60.0", preflight.this_python())

    def nodes(self) -> list[NodeInfo]:
        return self._nodes

    def autoscales(self) -> bool:
        return self._grows


def test_other_versions_are_refused_unless_the_user_insists() -> None:
    scaling = ScalingSpec(workers=1)

    with pytest.raises(ClusterIncompatible, match="RAYTRAIN_ALLOW_VERSION_SKEW=1"):
        check_cluster(Says(ray="2.9.0"), scaling, {})
    warnings = check_cluster(Says(ray="2.9.0"), scaling, {"RAYTRAIN_ALLOW_VERSION_SKEW": "1"})

    assert "Ray 2.9.0" in warnings[0]


def test_what_the_cluster_can_never_give_is_refused() -> None:
    with pytest.raises(SpecError) as caught:
        check_cluster(Says(), ScalingSpec(workers=9), {})

    assert caught.value.problems[0].field == "scaling.workers"


def test_a_cluster_that_grows_is_given_the_benefit_of_the_doubt() -> None:
    [warning] = check_cluster(Says(grows=True), ScalingSpec(workers=9), {})

    assert "9 workers" in warning
    assert "waiting for the cluster to grow" in warning


def test_the_range_is_that_of_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    [ray] = [requirement for requirement in project["dependencies"] if requirement.startswith("ray[")]
    low, high = preflight.RAY_RANGE

    assert re.findall(r"[\d.]+", ray) == [f"{low[0]}.{low[1]}", f"{high[0]}.{high[1]}"]
