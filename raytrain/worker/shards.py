"""Where a worker gets its rows from: what the driver hands it in place of the data.

Runs in: made in the driver, used in every Train worker.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import ray


class Shards(Protocol):
    """The rows of every split, as one tier holds them."""

    def fetch(self) -> dict[str, Any]:
        """What each split is fed from, `train` among them."""


@dataclass(frozen=True, kw_only=True)
class SharedShards:
    """All rows of every split in Ray's object store, once a node. `refs`: of each split's packed arrays."""

    refs: dict[str, ray.ObjectRef]

    def fetch(self) -> dict[str, Any]:
        return dict(zip(self.refs, ray.get(list(self.refs.values())), strict=True))
