"""Ray Train backend for Keras on MultiWorkerMirroredStrategy, in place of Ray's own TensorFlow backend.

Runs in: the controller, which calls the workers. Ray's `TensorflowConfig` imports TensorFlow in driver and controller,
forces the retired Keras 2, and picks ports without holding them.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import ray
from ray.train.backend import Backend, BackendConfig

from raytrain.driver.mailbox import WorkerProcess
from raytrain.worker import process_setup


class KerasBackend(Backend):  # type: ignore[misc]
    """Tells every worker who the others are, before TensorFlow starts, and the driver where they are."""

    def on_start(self, worker_group: Any, backend_config: KerasConfig) -> None:
        started = worker_group.execute(_start)
        workers = [WorkerProcess(rank=rank, **place) for rank, (_, place) in enumerate(started)]
        ray.get(backend_config.mailbox.place.remote(backend_config.group, workers))
        addresses = [address for address, _ in started]
        ray.get(
            [
                worker_group.execute_single_async(rank, process_setup.configure, addresses, rank)
                for rank in range(len(worker_group))
            ]
        )


@dataclass
class KerasConfig(BackendConfig):  # type: ignore[misc]
    """`mailbox`: the driver's, told of `group`'s processes."""

    mailbox: Any = None
    group: int = 0

    @property
    def backend_cls(self) -> type[KerasBackend]:
        return KerasBackend


def _start() -> tuple[str, dict[str, Any]]:
    process_setup.import_ahead()
    address = ray.util.get_node_ip_address()
    node = ray.get_runtime_context().get_node_id()
    return process_setup.hold_port(address), {"node_id": node, "address": address, "pid": os.getpid()}
