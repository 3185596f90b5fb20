"""What the cluster can hold, and what it could not: the numbers that the choice of a tier goes by.

Runs in: the driver.
"""

from __future__ import annotations

import shutil
import tempfile
from typing import Any

import ray

from raytrain import ray_internals
from raytrain.no_proxy import reach_directly
from raytrain.spec.tier_choice import Capacity, capacity_of


def measure(workers: int) -> Capacity:
    """The cluster as it is now, for that many workers."""
    return capacity_of([node["Resources"] for node in _nodes()], workers=workers)


def free_disk_bytes(workers: int) -> int:
    """Room on the local disks of the nodes that workers run on, taking the driver's for each."""
    return shutil.disk_usage(tempfile.gettempdir()).free * min(len(_nodes()), workers)


def spilled_bytes() -> int:
    """What the cluster's object stores have written to disk so far for want of room; 0 where Ray does not say."""
    if not ray_internals.is_there(ray_internals.SPILLING):
        return 0
    from ray._private.internal_api import get_memory_info_reply, get_state_from_address

    reach_directly(node["NodeManagerAddress"] for node in _nodes())  # one of which is asked by gRPC for Python
    state = get_state_from_address(ray.get_runtime_context().gcs_address)
    return int(get_memory_info_reply(state).store_stats.spilled_bytes_total)


def _nodes() -> list[dict[str, Any]]:
    return [node for node in ray.nodes() if node["Alive"]]
