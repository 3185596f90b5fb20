"""How long a step takes whose gradients are summed over a slow link, packed in two ways.

Run by `make bench`, as root: two workers in two network namespaces, joined by a link that `tc` slows. Their model has
134 MB of gradients. Two ways to pack these take turns: in the order of the layers and 64 MiB at a time, and raytrain's.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from time import perf_counter
from typing import Any
from unittest import mock

from benchmarks.machine import ROOT, description

SPACES = ("raytrain-bench-0", "raytrain-bench-1")
HOSTS = ("10.213.45.1", "10.213.45.2")
PORT = 41_873
LAYERS, WIDTH, STEPS, WARM = 8, 2048, 12, 2
BAR = 0.80
ORDERS = ("forward", "raytrain")


@contextmanager
def slow_link(megabits: int) -> Iterator[None]:
    """Two network namespaces and the link between them, gone afterwards."""
    commands = [f"ip netns add {space}" for space in SPACES]
    commands.append(f"ip link add rtbench0 netns {SPACES[0]} type veth peer name rtbench1 netns {SPACES[1]}")
    for number, (space, host) in enumerate(zip(SPACES, HOSTS, strict=True)):
        within, device = f"ip netns exec {space}", f"rtbench{number}"
        commands.append(f"{within} ip address add {host}/24 dev {device}")
        commands += [f"{within} ip link set {name} up" for name in ("lo", device)]
        commands.append(f"{within} tc qdisc add dev {device} root tbf rate {megabits}mbit burst 1mb latency 100ms")
    try:
        for command in commands:
            subprocess.run(command.split(), check=True)
        yield
    finally:
        for space in SPACES:
            subprocess.run(["ip", "netns", "delete", space], check=False, capture_output=True)


def train_on_both(order: str, batch: int) -> float:
    """Seconds of a step, the slower rank's."""
    base = [sys.executable, "-m", "benchmarks.overlap", "--order", order, "--batch", str(batch)]
    ranks = [
        subprocess.Popen(
            ["ip", "netns", "exec", space, *base, "--rank", str(rank)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        for rank, space in enumerate(SPACES)
    ]
    try:
        told: list[float] = [json.loads(process.stdout.readline()) for process in ranks if process.stdout]
    finally:
        for process in ranks:
            process.kill()
    return max(told)


def be_rank(rank: int, order: str, batch: int) -> float:
    """One worker's median step: plain steps of a deep network, whose gradients are summed as raytrain sums them."""
    from raytrain.worker import process_setup

    os.environ |= process_setup.thread_environment(1)
    process_setup.configure([f"{host}:{PORT}" for host in HOSTS], rank)
    process_setup.finish_import()
    import tensorflow as tf

    from raytrain.worker.exact import gradient_reduction
    from raytrain.worker.strategy import join

    strategy = join(gpus_per_worker=0)
    if order == "forward":
        mock.patch.object(gradient_reduction, "packs", forward).start()
    with strategy.scope():
        weights = [tf.Variable(tf.random.stateless_normal([WIDTH, WIDTH], [0, n]) / WIDTH) for n in range(LAYERS)]
    rows = tf.random.stateless_normal([batch, WIDTH], [1, rank])

    @tf.function(autograph=False)  # type: ignore[untyped-decorator]
    def step() -> Any:
        def in_replica() -> Any:
            with tf.GradientTape() as tape:
                value = rows
                for weight in weights:
                    value = tf.nn.relu(value @ weight)
                loss = tf.reduce_mean(value)
            gradients = tape.gradient(loss, weights)
            for weight, total in zip(weights, gradient_reduction.sum_over_workers(gradients), strict=True):
                weight.assign_sub(total * 1e-3)
            return loss

        return strategy.run(in_replica)

    seconds = []
    for _ in range(WARM + STEPS):
        began = perf_counter()
        float(step())
        seconds.append(perf_counter() - began)
    return statistics.median(seconds[WARM:])


def forward(kinds: Sequence[Hashable], sizes: Sequence[int | None]) -> Iterator[list[int]]:
    """In the layers' order, up to 64 MiB a pack."""
    pack: list[int] = []
    for index in range(len(kinds)):
        if pack and sum(sizes[each] or 0 for each in [*pack, index]) > 64 * 2**20:
            yield pack
            pack = []
        pack.append(index)
    yield pack


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--megabits", type=int, default=2000, help="of the link, a second")
    parser.add_argument("--batch", type=int, default=256, help="rows of each worker")
    parser.add_argument("--rank", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--order", choices=ORDERS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.rank is not None:
        print(json.dumps(be_rank(given.rank, given.order, given.batch)), flush=True)  # noqa: T201
        sys.stdin.read()  # whoever leaves early would break the sums of the other; it is killed
    print(description())  # noqa: T201
    if os.geteuid() or not (shutil.which("ip") and shutil.which("tc")):
        print("overlap: left out, it takes root, ip and tc")  # noqa: T201
        return
    turns = []
    with slow_link(given.megabits):
        for _ in range(given.turns):
            turns.append({order: train_on_both(order, given.batch) for order in ORDERS})
    for order in ORDERS:
        step_s = statistics.median(turn[order] for turn in turns)
        print(f"  {order:<10} {step_s:6.2f} s a step")  # noqa: T201
    ratio = statistics.median(turn["raytrain"] / turn["forward"] for turn in turns)
    print(f"  {given.megabits} Mbit/s: {ratio:.2f}, bar {BAR:.2f}")  # noqa: T201


if __name__ == "__main__":
    main()
