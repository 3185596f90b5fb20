"""Over what the workers sum: NCCL where every one of them has a GPU and a trial sums right, else TensorFlow's ring.

Runs in: every Train worker, once it has joined. TensorFlow takes NCCL only where it is asked to; a group in which one
worker has no GPU fails within NCCL, and one whose network NCCL cannot use may hang. So the trial is a process of its
own beside each worker, which can be given up.
"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Sequence

import tensorflow as tf
from tensorflow.python.eager import context

from raytrain import formatting
from raytrain.errors import Problem, UserCodeError
from raytrain.run.events import CollectivesChosen
from raytrain.spec.job import Collectives
from raytrain.worker.process_setup import hold_port, own_address, release_port
from raytrain.worker.strategy import sum_over_workers
from raytrain.worker.sum_trial_process import trial_command, try_sum

TRIAL = trial_command("nccl")
_NCCL = tf.distribute.experimental.CommunicationOptions(
    implementation=tf.distribute.experimental.CommunicationImplementation.NCCL
)

_exchanges = itertools.count()  # as many on every rank; a key of the service's is set once


def choose(
    strategy: tf.distribute.MultiWorkerMirroredStrategy,
    asked: Collectives,
    *,
    within_s: float,
    trial: Sequence[str] = TRIAL,
) -> CollectivesChosen:
    """Agrees with the other workers, and has the strategy use what was agreed on; every worker must call it.

    Args:
        asked: `scaling.collectives`.
        within_s: how long a trial may take, the imports of its process included.
        trial: the command of one worker's part; it is given `within_s`, finds the others in TF_CONFIG, and prints
            `SUMS_RIGHT`.

    Raises:
        UserCodeError: "nccl" was asked for and cannot be had.
    """
    workers = strategy.num_replicas_in_sync
    if workers == 1:
        return CollectivesChosen(implementation="none", workers=1)
    if asked == "ring":
        return CollectivesChosen(implementation="ring", workers=workers, why="asked for")
    [gpus] = sum_over_workers(strategy, [float(sees_gpu())])
    lacking = workers - round(gpus)
    if lacking == workers and asked == "auto":
        return CollectivesChosen(implementation="ring", workers=workers)
    why = f"{lacking} of {formatting.plural(workers, 'worker')} {'sees' if lacking == 1 else 'see'} no GPU"
    if not lacking:
        why = _first_failure(_addresses(strategy), trial, within_s=within_s)
    if not why:
        _use_nccl(strategy)
        return CollectivesChosen(implementation="nccl", workers=workers)
    if asked == "nccl":
        raise UserCodeError(
            Problem(
                field="scaling.collectives",
                got=f"nccl, but {why}",
                expected="a GPU at every worker, and a network that NCCL can use",
                fix="see the ranks' logs, or set scaling.collectives: ring, which goes through the hosts' memory",
            )
        )
    return CollectivesChosen(implementation="ring", workers=workers, why=why)


def sees_gpu() -> bool:
    return bool(tf.config.list_physical_devices("GPU"))


def uses_nccl(strategy: tf.distribute.Strategy) -> bool:
    """Whether the strategy's collectives are NCCL's, which is the same on all workers."""
    return bool(strategy.extended._communication_options.implementation == _NCCL.implementation)


def _use_nccl(strategy: tf.distribute.MultiWorkerMirroredStrategy) -> None:
    """As if the strategy had been made with the option, which was not known to hold before the workers had joined."""
    reducing = strategy.extended._cross_device_ops
    strategy.extended._communication_options = reducing._options = _NCCL
    for launcher in reducing._launchers:
        launcher._options = _NCCL


def _addresses(strategy: tf.distribute.MultiWorkerMirroredStrategy) -> list[str]:
    """A free address of each worker's, held by it until its trial is over."""
    host = own_address().rpartition(":")[0].strip("[]")
    return _exchanged("address", hold_port(host), strategy.num_replicas_in_sync, wait_s=60)


def _first_failure(addresses: list[str], trial: Sequence[str], *, within_s: float) -> str:
    """Why the trial failed, in the words of the first rank where it did; empty where it went well on all."""
    rank = _rank()
    try:
        mine = try_sum(addresses, rank, trial, within_s=within_s)
    finally:
        release_port()
    told = _exchanged("trial", mine, len(addresses), wait_s=within_s + 60)
    return next((f"NCCL failed on rank {rank}: {words}" for rank, words in enumerate(told) if words), "")


def _exchanged(name: str, mine: str, workers: int, *, wait_s: float) -> list[str]:
    """What each rank says, by TensorFlow's coordination service."""
    service, key, wait_ms = context.context(), f"raytrain/{name}-{next(_exchanges)}", int(wait_s * 1000)
    service.set_config_key_value(f"{key}/{_rank()}", json.dumps(mine))
    return [json.loads(service.get_config_key_value(f"{key}/{rank}", wait_ms)) for rank in range(workers)]


def _rank() -> int:
    return int(json.loads(os.environ["TF_CONFIG"])["task"]["index"])
