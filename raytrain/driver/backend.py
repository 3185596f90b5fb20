"""Ray Train backend for Keras on MultiWorkerMirroredStrategy, in place of Ray's own TensorFlow backend.

Runs in: the controller, which calls the workers. Ray's `TensorflowConfig` imports TensorFlow in driver and controller,
forces the retired Keras 2, and picks ports without holding them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import ray
from ray.train.backend import Backend, BackendConfig

from raytrain.worker import setup


class KerasBackend(Backend):  # type: ignore[misc]
    """Tells every worker who the others are, before TensorFlow starts."""

    def on_start(self, worker_group: Any, backend_config: Any) -> None:
        addresses = worker_group.execute(_hold_port)
        ray.get(
            [
                worker_group.execute_single_async(rank, setup.configure, addresses, rank)
                for rank in range(len(worker_group))
            ]
        )


@dataclass
class KerasConfig(BackendConfig):  # type: ignore[misc]
    @property
    def backend_cls(self) -> type[KerasBackend]:
        return KerasBackend


def _hold_port() -> str:
    setup.import_ahead()
    return setup.hold_port(ray.util.get_node_ip_address())
