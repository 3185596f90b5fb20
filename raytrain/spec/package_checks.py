"""Packages of `environment.pip` that would take the place of what raytrain was proven on."""

from __future__ import annotations

from collections.abc import Iterator

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from raytrain.errors import Problem
from raytrain.spec.job import EnvironmentSpec

ALLOW_UNPROVEN = "RAYTRAIN_ALLOW_UNPROVEN_KERAS"
PROVEN_ON = {"keras": ("3.15",), "tensorflow": ("2.21",), "ray": ("2.60",)}
_OTHER_BUILDS = {
    **dict.fromkeys(("tensorflow-cpu", "tensorflow-gpu", "tf-nightly", "intel-tensorflow"), "tensorflow"),
    "keras-nightly": "keras",
}
_LAST_PATCH = 20


def package_problems(environment: EnvironmentSpec) -> Iterator[Problem]:
    """One for each package that pip would put in the place of a proven one."""
    if environment.env_vars.get(ALLOW_UNPROVEN, "") not in ("", "0"):
        return
    for index, text in enumerate(environment.pip):
        try:
            asked = Requirement(text)
        except InvalidRequirement:  # a path, a URL or an option of pip's
            continue
        name = canonicalize_name(asked.name)
        package = _OTHER_BUILDS.get(name, name)
        if package not in PROVEN_ON or (name == package and _admits_proven(asked, package)):
            continue
        proven = " or ".join(f"{package} {version}" for version in PROVEN_ON[package])
        yield Problem(
            field=f"environment.pip.{index}",
            got=f"{text}, which would be installed for the job in the place of the cluster's {package}",
            expected=f"{proven}, which raytrain was proven on",
            fix=f"leave it out, or try your luck with environment.env_vars {ALLOW_UNPROVEN}: '1'",
        )


def _admits_proven(asked: Requirement, package: str) -> bool:
    """Whether some release of a proven version meets the requirement, so that pip leaves the cluster's in its place."""
    if asked.url is not None:
        return False
    releases = (f"{version}.{patch}" for version in PROVEN_ON[package] for patch in range(_LAST_PATCH))
    return any(asked.specifier.contains(release) for release in releases)
