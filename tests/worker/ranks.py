"""Runs a function in a fresh process for each rank, all of them workers of one TensorFlow cluster."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from tests.worker.pool import free_addresses


def run_ranks(work: Callable[[int], Any], workers: int) -> list[Any]:
    """What `work(rank)` returns in each process; it finds the others in TF_CONFIG. None leaves before all are done."""
    addresses = free_addresses(workers)
    context = multiprocessing.get_context("spawn")
    pairs = [context.Pipe() for _ in addresses]
    processes = [
        context.Process(target=_be_rank, args=(work, rank, addresses, theirs)) for rank, (_, theirs) in enumerate(pairs)
    ]
    for process in processes:
        process.start()
    for _, theirs in pairs:
        theirs.close()
    try:
        answers = [ours.recv() for ours, _ in pairs]
        for ours, _ in pairs:
            ours.send(None)
    finally:
        for process in processes:
            process.join(20)
            process.kill()
    return answers


def _be_rank(work: Callable[[int], Any], rank: int, addresses: list[str], connection: Connection) -> None:
    from raytrain.worker import process_setup

    os.environ.update(process_setup.thread_environment(1) | {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"})
    process_setup.configure(addresses, rank)
    process_setup.finish_import()
    connection.send(work(rank))
    connection.recv()
