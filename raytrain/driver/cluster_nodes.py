"""What the cluster's nodes have to offer now, and which of them are going away.

Runs in: the driver. Ray has no public call for most of it; a test holds each to its word.
"""

from __future__ import annotations

from pathlib import Path

import ray

from raytrain import ray_internals


def free_resources() -> list[dict[str, float]]:
    """For each node that is alive and stays, what nobody has taken of it; for all as one where Ray says no more."""
    if not ray_internals.is_there(ray_internals.FREE_RESOURCES):
        return [dict(ray.available_resources())]
    going = draining_nodes()
    free = ray._private.state.available_resources_per_node()
    return [dict(resources) for node, resources in free.items() if node not in going]


def draining_nodes() -> dict[str, int]:
    """The ids of the nodes that are being taken away, each with when it ends at the latest, in ms; 0 where unknown."""
    if not ray_internals.is_there(ray_internals.DRAINING):
        return {}
    return dict(ray._private.state.state.get_draining_nodes())


def own_node() -> str:
    """The id of the node that this process runs on."""
    return str(ray.get_runtime_context().get_node_id())


def session_logs() -> Path | None:
    """Where Ray's processes on this node write their logs, which the dashboard serves; None where it does not say."""
    if not ray_internals.is_there(ray_internals.SESSION_LOGS):
        return None
    return Path(ray._private.worker._global_node.get_logs_dir_path())
