"""What can be known of a cluster before a job is sent there: its versions, and whether the job can ever fit.

The decisions are pure functions of what the cluster says; `check_cluster` only asks and obeys. That resources are taken
by other jobs is no reason to refuse: the job waits. That the cluster has never had so many is one, unless it grows.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING

from raytrain.cluster.jobs_api import JobsApi, NodeInfo, Versions
from raytrain.errors import ClusterIncompatible, Problem, SpecError
from raytrain.spec.placement import LITTLE, needs_in_words, needs_of, room

if TYPE_CHECKING:
    from raytrain.spec.job import ScalingSpec

ALLOW_SKEW = "RAYTRAIN_ALLOW_VERSION_SKEW"
# At least the first and below the second, as in pyproject.toml; a test holds the two together.
RAY_RANGE = ((2, 60), (2, 61))
PYTHON_RANGE = ((3, 11), (3, 14))


@dataclass(frozen=True, kw_only=True)
class Fit:
    """Whether a job's workers can ever be placed: problems that rule it out, warnings that do not."""

    problems: tuple[Problem, ...] = ()
    warnings: tuple[str, ...] = ()


def check_cluster(
    api: JobsApi, scaling: ScalingSpec, environ: Mapping[str, str], *, is_local: bool = False
) -> tuple[str, ...]:
    """Asks the cluster and refuses what cannot work; what is only doubtful comes back as warnings.

    Args:
        api: the cluster.
        scaling: what the job asks for.
        environ: `RAYTRAIN_ALLOW_VERSION_SKEW=1` turns a refusal over versions into a warning.
        is_local: it is the cluster that raytrain itself started here, which `up --cpus` makes larger.

    Raises:
        ClusterIncompatible: another Ray or Python version.
        SpecError: more resources than the cluster can ever give.
    """
    skew = version_problems(api.versions(), client_ray=installed_ray(), client_python=this_python(), is_local=is_local)
    allowed = environ.get(ALLOW_SKEW, "") not in ("", "0")
    if skew and not allowed:
        raise ClusterIncompatible(*skew)
    fit = placement(scaling, api.nodes(), is_local=is_local)
    if fit.problems and api.autoscales():
        why = "; ".join(problem.got for problem in fit.problems)
        fit = Fit(warnings=(f"{why}: waiting for the cluster to grow", *fit.warnings))
    if fit.problems:
        raise SpecError(*fit.problems)
    return (*map(str, skew), *fit.warnings)


def version_problems(
    cluster: Versions, *, client_ray: str | None, client_python: str, is_local: bool = False
) -> tuple[Problem, ...]:
    """What speaks against running on a cluster of these versions; only major and minor versions count."""
    problems = []
    override = f"{ALLOW_SKEW}=1 tries it all the same"
    fix = "raytrain down, then submit again, starts one anew" if is_local else f"install it there; {override}"
    low, high = RAY_RANGE
    ray = _minor(cluster.ray)
    if not low <= ray < high:
        problems.append(Problem(got=f"Ray {cluster.ray} on the cluster", expected=f"Ray {_dotted(low)}", fix=fix))
    elif client_ray and _minor(client_ray) != ray:
        problems.append(
            Problem(
                got=f"Ray {cluster.ray} on the cluster", expected=f"Ray {_dotted(_minor(client_ray))}, as here", fix=fix
            )
        )
    if cluster.python is None:
        return tuple(problems)
    if _minor(cluster.python) != _minor(client_python):
        problems.append(
            Problem(
                got=f"Python {cluster.python} on the cluster",
                expected=f"Python {_dotted(_minor(client_python))}, as here",
                fix=fix if is_local else f"submit from such a Python; {override}",
            )
        )
    return tuple(problems)


def placement(scaling: ScalingSpec, nodes: Sequence[NodeInfo], *, is_local: bool = False) -> Fit:
    """Whether all workers can be placed on these nodes when nothing else runs; a worker never spans two nodes."""
    if not nodes:
        return Fit()
    needs = needs_of(scaling)
    rooms = room((node.resources for node in nodes), needs)
    if not any(rooms):
        return Fit(problems=tuple(_too_large_for_every_node(needs, nodes, is_local)))
    if sum(rooms) < (scaling.min_workers or scaling.workers):
        one = needs_in_words(needs)
        return Fit(
            problems=(
                Problem(
                    got=f"{_workers(scaling)} with {one} each",
                    expected=f"at most {sum(rooms)}, which is what the cluster's {_nodes(nodes)} can hold",
                    fix=_larger(scaling.workers * scaling.cpus_per_worker, is_local, "scaling.workers"),
                    field="scaling.workers",
                ),
            )
        )
    cpus = sum(node.resources.get("CPU", 0) for node in nodes)
    if cpus - scaling.workers * scaling.cpus_per_worker < 1 - LITTLE:
        return Fit(
            warnings=(
                f"the workers take {scaling.workers * scaling.cpus_per_worker:g} of the cluster's {cpus:g} CPUs and "
                "leave none to Ray Data, which may then wait; take a worker away or a fraction of a CPU from each",
            )
        )
    return Fit()


def installed_ray() -> str | None:
    """The version of Ray on this machine, without importing it."""
    try:
        return metadata.version("ray")
    except metadata.PackageNotFoundError:
        return None


def this_python() -> str:
    return ".".join(map(str, sys.version_info[:3]))


def _workers(scaling: ScalingSpec) -> str:
    return f"{scaling.workers} workers" if scaling.min_workers is None else f"{scaling.min_workers} workers at least"


def _too_large_for_every_node(
    needs: Mapping[str, float], nodes: Sequence[NodeInfo], is_local: bool
) -> Sequence[Problem]:
    fields = {"CPU": "scaling.cpus_per_worker", "GPU": "scaling.gpus_per_worker"}
    largest = {name: max(node.resources.get(name, 0.0) for node in nodes) for name in needs}
    lacking = {name: amount for name, amount in needs.items() if largest[name] + LITTLE < amount}
    if not lacking:
        return [
            Problem(
                got=f"{needs_in_words(needs)} for one worker",
                expected=f"what one of the cluster's {_nodes(nodes)} has all of",
                fix="ask for less per worker",
                field="scaling",
            )
        ]
    return [
        Problem(
            got=f"{amount:g} {name} for one worker",
            expected=f"at most {largest[name]:g}, the most that a node of the cluster has"
            if largest[name]
            else f"none: no node of the cluster has a {name}",
            fix=_larger(amount, is_local and name == "CPU", fields.get(name, "scaling.resources_per_worker")),
            field=fields.get(name, f"scaling.resources_per_worker.{name}"),
        )
        for name, amount in lacking.items()
    ]


def _larger(cpus: float, is_local: bool, field: str) -> str:
    if is_local:
        return f"lower {field}; or raytrain down, then raytrain up --cpus {int(cpus + 1.999)}"
    return f"lower {field}, or use a larger cluster"


def _nodes(nodes: Sequence[NodeInfo]) -> str:
    return "one node" if len(nodes) == 1 else f"{len(nodes)} nodes"


def _minor(version: str) -> tuple[int, int]:
    numbers = [int("".join(filter(str.isdigit, part)) or 0) for part in version.split(".")[:2]]
    return (numbers[0], numbers[1]) if len(numbers) > 1 else (numbers[0], 0)


def _dotted(version: tuple[int, int]) -> str:
    return ".".join(map(str, version))
