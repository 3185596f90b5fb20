"""The local Ray cluster that raytrain keeps on this machine: `up` and `down`."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from raytrain.cluster.auth import token_place
from raytrain.cluster.local import local_cluster


@dataclass(frozen=True, kw_only=True)
class ClusterUp:
    """The local cluster that runs; `started`: it did not before. `gpus` is None where Ray counted them itself.

    Attributes:
        token_in: where the token is that it asks for; None where whoever may use this machine may run code on it.
    """

    address: str
    started: bool
    cpus: int
    gpus: int | None
    token_in: str | None

    def to_dict(self) -> dict[str, Any]:
        """As `up --json` prints it."""
        return {"schema_version": 1, **asdict(self)}


@dataclass(frozen=True, kw_only=True)
class ClusterDown:
    """`stopped`: there was one to stop."""

    stopped: bool

    def to_dict(self) -> dict[str, Any]:
        """As `down --json` prints it."""
        return {"schema_version": 1, **asdict(self)}


def up(*, cpus: int | None = None, gpus: int | None = None, progress: Callable[[str], None] | None = None) -> ClusterUp:
    """The local cluster, ready to take a job: the one that runs already, or a new one.

    Args:
        cpus, gpus: logical ones; as many as this machine has when left out, 4 CPUs at least. Unheard where it runs.
        progress: told in a few words what is being done.

    Raises:
        ClusterError: it does not start.
    """
    before = local_cluster.running()
    cluster = local_cluster.start(cpus=cpus, gpus=gpus, progress=progress)
    return ClusterUp(
        address=cluster.url,
        started=before is None,
        cpus=cluster.cpus,
        gpus=cluster.gpus,
        token_in=token_place(os.environ) if cluster.has_token else None,
    )


def down() -> ClusterDown:
    """Ends the local cluster and the runs on it; no other cluster is touched.

    Raises:
        ClusterError: a process of it would not end.
    """
    return ClusterDown(stopped=local_cluster.stop())
