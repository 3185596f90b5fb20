"""Worker groups of plain processes that may die: real TF_CONFIG, real collectives, real kills, no Ray.

Each group is forked from a server that has imported TensorFlow and done nothing with it, so that a new group costs a
third of a second. The test plays the driver: it notices a death, ends the group, and starts the next one.
"""

from __future__ import annotations

import json
import multiprocessing
import multiprocessing.context
import os
import threading
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from raytrain import protocol
from raytrain.run import events
from raytrain.run.run_paths import RunPaths
from raytrain.worker import process_setup
from raytrain.worker.fault_injection import ALLOW, VARIABLE
from tests.worker.pool import Case, free_addresses, told_of

_LIMIT_S = 120.0
_DEATH_S = 5.0  # an error may be heard of before the death that it comes from


@dataclass(kw_only=True)
class Group:
    """How one worker group ended.

    Attributes:
        sent: what each rank told the driver, in order.
        lost: the ranks whose process died, the first one first.
        reason: why training ended; empty where it did not come to its end.
    """

    sent: dict[int, list[protocol.Message]] = field(default_factory=dict)
    lost: list[int] = field(default_factory=list)
    reason: str = ""
    errors: list[str] = field(default_factory=list)
    weights: list[Any] = field(default_factory=list)

    def of(self, kind: type[Any], rank: int = 0) -> list[Any]:
        return told_of(self.sent.get(rank, []), kind)

    @property
    def restored(self) -> tuple[int, int] | None:
        """Whole epochs and steps of the next one that the group began with."""
        [*_, last] = [None, *self.of(protocol.GoesOn)]
        return None if last is None else (last.restored.epoch + 1, last.restored.step)


@dataclass(kw_only=True)
class Training:
    """A run over all its groups, as its history would tell it."""

    groups: list[Group]

    @property
    def last(self) -> Group:
        return self.groups[-1]

    @property
    def history(self) -> dict[int, dict[str, float]]:
        """What rank 0 said of each epoch, the last word counting."""
        return {
            done.epoch: dict(done.metrics)
            | ({} if done.learning_rate is None else {"learning_rate": done.learning_rate})
            for group in self.groups
            for done in group.of(events.EpochEnd)
        }

    def equals(self, other: Training) -> bool:
        """Bit for bit: weights, history, learning rates, why it ended."""
        ours, theirs = self.last, other.last
        return (
            ours.reason == theirs.reason
            and self.history == other.history
            and [weight.tobytes() for weight in ours.weights] == [weight.tobytes() for weight in theirs.weights]
            and [done.metrics for done in ours.of(events.TestEnd)]
            == [done.metrics for done in theirs.of(events.TestEnd)]
        )


def fork_server() -> multiprocessing.context.ForkServerContext:
    """Where the processes of these tests come from; the server is one for all of them, and imports before it forks."""
    os.environ.update(process_setup.thread_environment(1))
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["raytrain.worker.fit", "raytrain.client.submit", "raytrain.spec.load"])
    return context


class Crew:
    """Trains with groups of so many workers."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._context = fork_server()

    def train(self, case: Case, root: Path, *, faults: Sequence[str] = (), groups: int = 4) -> Training:
        """Runs groups until one comes to its end; the n-th has the n-th fault, where there are so many."""
        ended = []
        for number in range(max(groups, len(faults) + 1)):
            fault = faults[number] if number < len(faults) else ""
            (root / ".fault-fired").unlink(missing_ok=True)
            ended.append(self.group(replace(case, fault=fault), root))
            assert ended[-1].lost or not ended[-1].errors, ended[-1].errors[0]  # after a death, others' are symptoms
            if ended[-1].reason:
                break
        return Training(groups=ended)

    def group(self, case: Case, root: Path, *, number: int = 0) -> Group:
        """One group, to its end or to the first death in it, at which the others are killed."""
        folder = root.parent / f"{root.name}-job"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "model.py").write_text(case.model_py)
        addresses = free_addresses(self.workers)
        pipes = [self._context.Pipe(duplex=False) for _ in addresses]
        processes = [
            self._context.Process(target=_work, args=(case, root, folder, addresses, rank, number, theirs), daemon=True)
            for rank, (_, theirs) in enumerate(pipes)
        ]
        for process in processes:
            process.start()
        for _, theirs in pipes:
            theirs.close()
        group = Group(sent={rank: [] for rank in range(self.workers)})
        try:
            self._follow(group, [ours for ours, _ in pipes])
        finally:
            for process in processes:
                process.kill()
                process.join()
        return group

    def _follow(self, group: Group, connections: list[Connection]) -> None:
        open_ends = dict(enumerate(connections))
        while open_ends and not group.lost:
            ready = wait(list(open_ends.values()), timeout=_DEATH_S if group.errors else _LIMIT_S)
            if group.errors and not ready:
                break
            assert ready, f"the group stood still for {_LIMIT_S:.0f} s"
            for rank, connection in list(open_ends.items()):
                if connection in ready and not _take(group, rank, connection):
                    del open_ends[rank]
        for rank, connection in open_ends.items():  # what was said before the death counts
            while connection.poll() and _take(group, rank, connection):
                pass


def _take(group: Group, rank: int, connection: Connection) -> bool:
    """Reads one message; False once the rank has ended or died."""
    try:
        kind, value = connection.recv()
    except (EOFError, ConnectionResetError):
        group.lost.append(rank)
        return False
    if kind == "message":
        group.sent[rank].append(value)
        return True
    if kind == "error":
        group.errors.append(value)
    else:
        reason, weights = value
        group.reason = group.reason or reason
        group.weights = group.weights or weights
    return False


class _Channel:
    """The worker's end; each message is with the test before the next statement runs."""

    def __init__(self, connection: Connection, asks: dict[int, str]) -> None:
        self._connection, self._asks, self._questions = connection, asks, 0
        self._lock = threading.Lock()

    def send(self, message: protocol.Message) -> None:
        self.tell("message", message)

    def tell(self, kind: str, value: Any) -> None:
        with self._lock:
            self._connection.send((kind, value))

    def asked(self) -> str:
        self._questions += 1
        return self._asks.get(self._questions, "")


def _work(
    case: Case, root: Path, folder: Path, addresses: list[str], rank: int, number: int, connection: Connection
) -> None:
    """Runs in the worker's process."""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    channel = _Channel(connection, case.asks)
    try:
        process_setup.configure(addresses, rank)
        process_setup.finish_import()
        import keras

        from raytrain.worker.fit import WorkerJob, train

        spec = case.job_spec(len(addresses))
        os.environ.update({VARIABLE: case.fault, ALLOW: "1", **spec.environment.env_vars})
        paths = RunPaths(root)
        paths.root.mkdir(parents=True, exist_ok=True)
        job = WorkerJob(
            spec=spec,
            splits=case.splits,
            rank=rank,
            folder=folder,
            paths=paths,
            group=number,
            fall_backs=case.fall_backs,
        )
        reason = train(job, channel)
        model = keras.saving.load_model(paths.model) if rank == 0 and paths.model.exists() else None
        channel.tell("end", (str(reason), model.get_weights() if model else []))
    except Exception:  # noqa: BLE001  the test shows it
        channel.tell("error", f"rank {rank}, {json.dumps(case.fault)}: {traceback.format_exc()}")
