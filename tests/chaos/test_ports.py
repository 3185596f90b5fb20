"""Workers that start while others reach for every free port: row 12."""

from __future__ import annotations

import contextlib
import os
import random
import socket
import threading
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection

import pytest

from raytrain.worker import process_setup
from tests.chaos.crew import Crew, fork_server
from tests.chaos.table import FULL, found


@contextlib.contextmanager
def port_thief() -> Iterator[None]:
    """Others who take whatever port is free, and give it back, thousands a second."""
    ended = threading.Event()

    def take() -> None:
        held: list[socket.socket] = []
        while not ended.is_set():
            taken = socket.socket()
            taken.bind(("127.0.0.1", 0))
            held.append(taken)
            if len(held) > 400:
                held.pop(random.randrange(len(held))).close()
            time.sleep(0.0002)
        for taken in held:
            taken.close()

    thread = threading.Thread(target=take)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _join(rank: int, connection: Connection) -> None:
    """Runs in a worker's process: what `KerasBackend` has it do, up to the first collective."""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    connection.send(process_setup.hold_port("127.0.0.1"))
    process_setup.configure(connection.recv(), rank)
    process_setup.finish_import()
    from raytrain.worker.strategy import join, sum_over_workers

    strategy = join(gpus_per_worker=0)
    process_setup.release_port()
    connection.send(sum_over_workers(strategy, [1.0]))
    connection.recv()  # stays while others may still fetch their part of the sum; `starts` ends it


def starts(workers: int) -> bool:
    """Whether that many workers find each other."""
    context = fork_server()
    pipes = [context.Pipe() for _ in range(workers)]
    processes = [context.Process(target=_join, args=(rank, theirs)) for rank, (_, theirs) in enumerate(pipes)]
    try:
        for process in processes:
            process.start()
        addresses = [ours.recv() for ours, _ in pipes if ours.poll(60)]
        for ours, _ in pipes:
            ours.send(addresses)
        return [ours.recv() if ours.poll(60) else None for ours, _ in pipes] == [[float(workers)]] * workers
    except (EOFError, OSError):
        return False
    finally:
        for process in processes:
            process.kill()
            process.join()


@pytest.mark.timeout(1200)
def test_ports_that_others_reach_for(crew: Crew) -> None:
    count = 200 if FULL else 5
    with port_thief():
        failed = sum(not starts(crew.workers) for _ in range(count))
    found(
        12,
        f"{failed} of {count} starts of {crew.workers} workers failed while others took every free port",
        held=not failed,
    )
