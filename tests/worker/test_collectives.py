"""What workers agree to sum over. No GPU is to be had here: that they see one is pretended, and TensorFlow, which takes
a collective of the CPU's over its ring whatever is asked for, stands in for NCCL. The processes and trials are real.
"""

from __future__ import annotations

import sys
from typing import Any

import pytest

from tests.worker.ranks import run_ranks

pytestmark = pytest.mark.processes

FAILS = (sys.executable, "-c", "import sys; print('misc/socket.cc:1 NCCL WARN no route to host'); sys.exit(3)")
HANGS = (sys.executable, "-c", "import time; time.sleep(600)")
ENDS_WELL_ELSEWHERE = (
    sys.executable,
    "-c",
    "import json, os, sys\n"
    "rank = json.loads(os.environ['TF_CONFIG'])['task']['index']\n"
    "print('raytrain: sums right' if rank == 0 else 'RuntimeError: NCCL invalid usage')",
)


def hints(graph: Any) -> set[str]:
    nodes = [*graph.as_graph_def().node]
    nodes += [node for function in graph.as_graph_def().library.function for node in function.node_def]
    return {node.attr["communication_hint"].s.decode() for node in nodes if node.op.startswith("Collective")}


def agree(rank: int) -> dict[str, Any]:
    """One worker: agrees with the other one under several circumstances, and traces sums before and after."""
    import tensorflow as tf

    from raytrain.errors import UserCodeError
    from raytrain.worker import collectives
    from raytrain.worker.exact.gradient_reduction import sum_over_workers
    from raytrain.worker.strategy import join, sum_vector

    strategy = join(gpus_per_worker=0)
    told: dict[str, Any] = {}

    def choose(name: str, asked: str, within_s: float = 60, sees: bool = True, **trial: Any) -> None:
        collectives.sees_gpu = lambda: sees
        try:
            chosen = collectives.choose(strategy, asked, within_s=within_s, **trial)  # type: ignore[arg-type]
            told[name] = (chosen.implementation, chosen.why)
        except UserCodeError as error:
            told[name] = str(error)

    def traced() -> Any:
        @tf.function  # type: ignore[untyped-decorator]
        def step() -> Any:
            def in_replica() -> Any:
                replica = tf.distribute.get_replica_context()
                sparse = tf.IndexedSlices(tf.ones([1, 2]), tf.constant([rank]), tf.constant([2, 2]))
                summed = replica.all_reduce(tf.distribute.ReduceOp.SUM, sparse)
                return [*sum_over_workers([tf.ones([3]), tf.ones([2**19])]), summed.values]

            return strategy.run(in_replica)

        graph = step.get_concrete_function().graph
        kinds = {operation.type for operation in graph.get_operations() if operation.type.startswith("Collective")}
        return hints(graph), kinds, [value.numpy().sum() for value in step()[:2]]

    choose("no gpu", "auto", sees=False)
    choose("no gpu, asked for", "nccl", sees=False)
    choose("one gpu", "auto", sees=rank == 0)
    choose("ring", "ring")
    choose("fails", "auto", trial=FAILS)
    choose("fails, asked for", "nccl", trial=FAILS)
    choose("hangs", "auto", within_s=2, trial=HANGS)
    choose("on one rank", "auto", trial=ENDS_WELL_ELSEWHERE)
    told["before"] = traced()
    choose("real", "auto", within_s=240)
    told["after"] = traced()
    told["between epochs"] = sum_vector(strategy, tf.constant([rank + 1.0])).numpy().tolist()
    return told


@pytest.fixture(scope="module")
def told() -> list[dict[str, Any]]:
    return run_ranks(agree, 2)


def test_every_rank_says_the_same(told: list[dict[str, Any]]) -> None:
    assert told[0] == told[1]


def test_nccl_is_taken_where_all_see_a_gpu_and_its_trial_sums_right(told: list[dict[str, Any]]) -> None:
    assert told[0]["real"] == ("nccl", "")
    hints_before, kinds_before, _ = told[0]["before"]
    hints_after, kinds_after, sums = told[0]["after"]
    assert (hints_before, hints_after) == ({"auto"}, {"nccl"})
    assert "CollectiveReduceV2" in kinds_after and kinds_before >= kinds_after
    assert sums == [6, 2**20]
    assert told[0]["between epochs"] == [3.0]


def test_a_group_that_cannot_use_it_is_told_why(told: list[dict[str, Any]]) -> None:
    assert told[0]["no gpu"] == ("ring", "")
    assert told[0]["one gpu"] == ("ring", "1 of 2 workers sees no GPU")
    assert told[0]["ring"] == ("ring", "asked for")
    failed = "NCCL failed on rank 0: it ended with exit code 3: misc/socket.cc:1 NCCL WARN no route to host"
    assert told[0]["fails"] == ("ring", failed)
    assert told[0]["hangs"] == ("ring", "NCCL failed on rank 0: no sum within 2.00s")
    assert told[0]["on one rank"][1].startswith("NCCL failed on rank 1: it ended with exit code 0: RuntimeError")


def test_who_insists_on_it_is_refused(told: list[dict[str, Any]]) -> None:
    assert "scaling.collectives: got nccl, but 2 of 2 workers see no GPU" in told[0]["no gpu, asked for"]
    assert "NCCL WARN no route to host" in told[0]["fails, asked for"]
    assert "scaling.collectives: ring" in told[0]["fails, asked for"]
