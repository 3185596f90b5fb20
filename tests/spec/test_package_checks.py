"""Packages that would take the place of what raytrain was proven on."""

from __future__ import annotations

import pytest

from raytrain.cluster.preflight import RAY_RANGE
from raytrain.spec.job import EnvironmentSpec
from raytrain.spec.package_checks import PROVEN_ON, package_problems


@pytest.mark.parametrize(
    ("text", "package"),
    [
        ("tensorflow==2.15.0", "tensorflow"),
        ("Tensorflow < 2.20", "tensorflow"),
        ("keras<3", "keras"),
        ("keras==3.14.*", "keras"),
        ("ray[train]==2.9.0", "ray"),
        ("tensorflow-cpu==2.21.0", "tensorflow"),
        ("tf_nightly", "tensorflow"),
        ("keras @ git+https://example.com/keras.git", "keras"),
    ],
)
def test_what_would_replace_a_proven_package_is_refused(text: str, package: str) -> None:
    [problem] = package_problems(EnvironmentSpec(pip=["einops", text]))

    assert problem.field == "environment.pip.1"
    assert text in problem.got and f"the cluster's {package}" in problem.got


@pytest.mark.parametrize(
    "text",
    [
        "einops",
        "tensorflow",
        "tensorflow[and-cuda]>=2.21,<2.22",
        "keras~=3.15.0",
        "tf_keras",
        "keras-hub",
        "ray[data]>=2.40",
        "-r ${RAY_RUNTIME_ENV_CREATE_WORKING_DIR}/requirements.txt",
        "./lib",
    ],
)
def test_what_leaves_them_in_their_place_is_not(text: str) -> None:
    assert not [*package_problems(EnvironmentSpec(pip=[text]))]


def test_who_tries_their_luck_may() -> None:
    environment = EnvironmentSpec(pip=["keras<3"], env_vars={"RAYTRAIN_ALLOW_UNPROVEN_KERAS": "1"})
    assert not [*package_problems(environment)]


def test_the_proven_ray_is_the_one_that_clusters_may_have() -> None:
    low, _ = RAY_RANGE
    assert PROVEN_ON["ray"] == (f"{low[0]}.{low[1]}",)
