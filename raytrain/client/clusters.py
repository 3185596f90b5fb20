"""Clusters in Python: start and stop the local one, look one over, and have its runs shown elsewhere."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from raytrain.client.doctor import Diagnosis
    from raytrain.client.local import ClusterDown, ClusterUp
    from raytrain.client.monitor import Monitoring

Path = str | os.PathLike[str]


def monitor(output: Path | None = None, *, address: str | None = None) -> Monitoring:
    """Writes what Prometheus and Grafana need to show the runs of a cluster.

    Args:
        output: the folder to write into; one in raytrain's state directory when left out.
        address: as for `submit`; no cluster is started.

    Returns:
        Its files `config` (a prometheus.yml), `rules` and `board`; `serve()` runs this machine's Prometheus on them.

    Raises:
        ClusterError: there is no cluster, or it does not answer.
        NotFound: the folder cannot be written.

    Example:
        >>> raytrain.monitor().board.name
        'raytrain-board.json'
    """
    from raytrain.client.monitor import monitor

    return monitor(output, address=address)


def doctor(
    *,
    address: str | None = None,
    storage: str | None = None,
    timeout_s: float | None = None,
    progress: Callable[[str], None] | None = None,
) -> Diagnosis:
    """Looks a cluster over: versions, GPUs, clocks, room, storage, ports, and a sum of workers on all nodes.

    Args:
        address: as for `submit`; no cluster is started.
        storage: a directory or URI that every node is to write and see; the context's when left out.
        timeout_s: how long the look from the nodes may take; 15 minutes when left out.
        progress: told in a few words what is being done.

    Returns:
        Its `findings`, each with `check`, `state` ("ok", "warn", "fail" or "skip"), `says` and `fix`; and `fails`.

    Raises:
        ClusterError: there is no cluster, or it does not answer.

    Example:
        >>> [finding.says for finding in raytrain.doctor().findings if finding.check == "collectives"]
        ['2 workers sum right with TensorFlow']
    """
    from raytrain.client.doctor import TIMEOUT_S, doctor

    return doctor(address=address, storage=storage, timeout_s=timeout_s or TIMEOUT_S, progress=progress)


def up(*, cpus: int | None = None, gpus: int | None = None, progress: Callable[[str], None] | None = None) -> ClusterUp:
    """The local Ray cluster, ready to take a job: the one that runs already, or a new one.

    Args:
        cpus, gpus: that a new one offers; as many as this machine has when left out, 4 CPUs at least.
        progress: told in a few words what is being done.

    Returns:
        Its `address`, its `cpus` and `gpus`, whether it was `started` now, and `token_in`: where the token is that it
        asks for.

    Raises:
        ClusterError: it does not start.

    Example:
        >>> raytrain.up().started
        False
    """
    from raytrain.client.local import up

    return up(cpus=cpus, gpus=gpus, progress=progress)


def down() -> ClusterDown:
    """Stops the local Ray cluster that raytrain started, and the runs on it; no other cluster is touched.

    Returns:
        Whether there was one to be `stopped`.

    Raises:
        ClusterError: a process of it would not end.

    Example:
        >>> raytrain.down().stopped  # doctest: +SKIP
        True
    """
    from raytrain.client.local import down

    return down()
