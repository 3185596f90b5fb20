"""The cluster that a job would go to, as far as can be known without starting anything there."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from raytrain.cluster.address import Address
from raytrain.cluster.connect import connect_to, locate
from raytrain.cluster.jobs_api import NodeInfo
from raytrain.cluster.local import local_cluster
from raytrain.cluster.local.machine import logical_cpus
from raytrain.cluster.preflight import check_cluster, placement
from raytrain.errors import ClusterUnreachable, SpecError

if TYPE_CHECKING:
    from raytrain.spec.job import ScalingSpec


@dataclass(frozen=True, kw_only=True)
class Target:
    """Where a job would go.

    Attributes:
        size: what the cluster has, in words; empty where that is unknown.
        nodes: the resources of each node, in Ray's names; none where they are unknown.
    """

    address: Address
    size: str = ""
    nodes: tuple[Mapping[str, float], ...] = ()
    warnings: tuple[str, ...] = ()


def find_target(scaling: ScalingSpec, address: str | None) -> Target:
    """The cluster that `submit` would use, asked whether the job fits; one that is away is a warning, not an error.

    Raises:
        UsageError: the address cannot be one of a dashboard.
        SpecError: more resources than the cluster can ever give.
        ClusterIncompatible: the cluster has another Ray or Python.
    """
    where = locate(address)
    if where.starts_local:
        return _to_be_started(scaling, where)
    api = connect_to(where.url)
    own = local_cluster.running()
    try:
        warnings = check_cluster(api, scaling, os.environ, is_local=own is not None and own.url == where.url)
        nodes = api.nodes()
    except ClusterUnreachable as error:
        return Target(address=where, warnings=(f"the cluster does not answer now: {error}",))
    resources = tuple(node.resources for node in nodes)
    return Target(address=where, size=f", {_size(nodes)}", nodes=resources, warnings=warnings)


def _to_be_started(scaling: ScalingSpec, where: Address) -> Target:
    """A local cluster's CPUs are known before it is started; its GPUs are for Ray to find."""
    cpus = logical_cpus()
    if scaling.gpus_per_worker or scaling.resources_per_worker:
        return Target(address=where, size=f", {cpus} CPU")
    node = NodeInfo(node_id="", ip="127.0.0.1", is_head=True, resources={"CPU": float(cpus)})
    fit = placement(scaling, [node], is_local=True)
    if fit.problems:
        raise SpecError(*fit.problems)
    return Target(address=where, size=f", {cpus} CPU", warnings=fit.warnings)


def _size(nodes: list[NodeInfo]) -> str:
    totals = {name: sum(node.resources.get(name, 0.0) for node in nodes) for name in ("CPU", "GPU")}
    amounts = ", ".join(f"{amount:g} {name}" for name, amount in totals.items() if amount)
    return f"{len(nodes)} node{'s' if len(nodes) != 1 else ''}, {amounts or 'no CPU'}"
