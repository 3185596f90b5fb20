"""Where a run's directory will be: what the job says, or the context, as the cluster sees it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from raytrain.cluster.address import Address
from raytrain.run.object_store import is_object_store

if TYPE_CHECKING:
    from raytrain.spec.job import JobSpec


def stored_where_said(spec: JobSpec, address: Address) -> JobSpec:
    """The spec with the storage of the context that names the cluster, where it names none of its own."""
    if address.storage is None or "storage" in spec.model_fields_set:
        return spec
    return spec.model_copy(update={"storage": address.storage})


def storage_for(storage: str, folder: Path, *, shares_this_machine: bool) -> str:
    """The directory of runs as the cluster sees it.

    On a cluster of this machine `~` is the user's home and a relative path begins at the job's folder. Elsewhere both
    are left to the cluster, whose home and paths are its own.
    """
    if is_object_store(storage) or not shares_this_machine:
        return storage
    return os.path.normpath(folder / Path(storage).expanduser())
