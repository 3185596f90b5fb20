"""One worker's part of a trial: sums a small vector several times, in a loop as training does, and looks.

Runs in: a process beside each Train worker, `python -m raytrain.worker.sum_trial nccl|ring SECONDS`, with a TF_CONFIG
of its own. It ends itself after SECONDS, whoever has forgotten it and wherever it hangs.
"""

from __future__ import annotations

import math
import os
import signal
import sys

import tensorflow as tf
from tensorflow.python.eager import context

from raytrain.worker.strategy import make_strategy, see_gpus
from raytrain.worker.sum_trial_process import SUMS_RIGHT

_TIMES, _LENGTH = 3, 1024


def main(implementation: str, within_s: float) -> int:
    """0 where every sum came out right."""
    signal.alarm(math.ceil(within_s))
    see_gpus()
    over = tf.distribute.experimental.CommunicationImplementation[implementation.upper()]
    strategy = make_strategy(tf.distribute.experimental.CommunicationOptions(implementation=over))
    workers, rank = strategy.num_replicas_in_sync, strategy.cluster_resolver.task_id

    def summed(value: tf.Tensor) -> tf.Tensor:
        return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, value)

    @tf.function(autograph=False)  # type: ignore[untyped-decorator]
    def summed_again_and_again(start: tf.Tensor) -> tf.Tensor:
        def again(number: tf.Tensor, value: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            return number + 1, strategy.run(summed, (value,))

        return tf.while_loop(lambda number, _: number < _TIMES, again, (0, start))[1]

    found = summed_again_and_again(tf.fill([_LENGTH], float(rank + 1))).numpy()
    expected = workers * (workers + 1) / 2 * workers ** (_TIMES - 1)
    if not (found == expected).all():
        print(f"Error: {over.value} sums wrong: {found[:4]}, expected {expected}")  # noqa: T201
        return 1
    print(SUMS_RIGHT, flush=True)  # noqa: T201
    _leave_together(workers, rank)
    return 0


def _leave_together(workers: int, rank: int) -> None:
    """Whoever leaves early would break the sums of the others."""
    service = context.context()
    service.set_config_key_value(f"raytrain/done/{rank}", "yes")
    for other in range(workers):
        service.get_config_key_value(f"raytrain/done/{other}", 60_000)


if __name__ == "__main__":
    status = main(sys.argv[1], float(sys.argv[2]))
    sys.stdout.flush()
    os._exit(status)  # TensorFlow's own end waits for all of its threads, one of which may be NCCL's
