"""What the cluster's nodes have to offer now, and which of them are going away.

Runs in: the driver. Asks Ray's global control store, for which there is no public call; a test holds each to its word.
"""

from __future__ import annotations

import ray


def free_resources() -> list[dict[str, float]]:
    """For each node that is alive and stays, what nobody has taken of it."""
    going = draining_nodes()
    free = ray._private.state.available_resources_per_node()
    return [dict(resources) for node, resources in free.items() if node not in going]


def draining_nodes() -> dict[str, int]:
    """The ids of the nodes that are being taken away, each with when it ends at the latest, in ms; 0 where unknown."""
    return dict(ray._private.state.state.get_draining_nodes())


def own_node() -> str:
    """The id of the node that this process runs on."""
    return str(ray.get_runtime_context().get_node_id())
