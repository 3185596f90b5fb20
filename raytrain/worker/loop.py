"""The function that Ray Train runs on every worker: fetches the shards, joins the driver's mailbox, trains.

Runs in: every Train worker. Importing this module imports no TensorFlow: the controller may import it too.
"""

from __future__ import annotations

import contextlib
import os
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from time import time
from typing import Any

import ray
import ray.train

from raytrain.errors import Problem, UserCodeError
from raytrain.run import RunPaths
from raytrain.spec.request import JobRequest
from raytrain.worker import messages, setup
from raytrain.worker.logs import copy_output
from raytrain.worker.shards import Shards
from raytrain.worker.user_code import describe_failure


@dataclass(frozen=True, kw_only=True)
class LoopConfig:
    """What the driver hands every worker. `request`: a `JobRequest` as JSON; `shards`: where its rows are."""

    request: str
    run_directory: str
    folder: str
    shards: Shards
    mailbox: Any
    group: int


class MailboxChannel:
    """The worker's end of the driver's mailbox; sends without waiting, and `flush` waits for all that was sent."""

    def __init__(self, mailbox: Any, group: int) -> None:
        self._mailbox = mailbox
        self._group = group
        self._sent: list[ray.ObjectRef] = []

    def send(self, message: messages.Message) -> None:
        self._sent = [*self._sent[-50:], self._mailbox.put.remote(message, self._group)]

    def stop_asked(self) -> bool:
        return bool(ray.get(self._mailbox.stop_asked.remote()))

    def flush(self) -> None:
        ray.get(self._sent)


def train_loop(config: dict[str, LoopConfig]) -> None:
    """Trains this rank's share of the job; what is raised here has been reported to the driver first."""
    loop = config["config"]
    request = JobRequest.model_validate_json(loop.request)
    rank = ray.train.get_context().get_world_rank()
    paths = RunPaths(Path(loop.run_directory))
    folder = Path(loop.folder)
    channel = MailboxChannel(loop.mailbox, loop.group)
    with _reported(channel, folder, rank), _rank_log(paths, request.attempt, rank), _printed():
        channel.send(messages.PhaseDone(rank=rank, time=time(), name="workers"))
        os.chdir(folder)
        splits = loop.shards.fetch()
        setup.finish_import()
        from raytrain.worker.fit import WorkerJob, train

        reason = train(
            WorkerJob(
                spec=request.spec,
                splits=splits,
                rank=rank,
                folder=folder,
                paths=paths,
                base_model=folder / request.base_model if request.base_model else None,
            ),
            channel,
        )
        channel.send(messages.Finished(rank=rank, time=time(), reason=reason))
        channel.flush()


def _rank_log(paths: RunPaths, attempt: int, rank: int) -> contextlib.AbstractContextManager[None]:
    """Copies this rank's output into the run's directory.

    Raises:
        UserCodeError: this node does not see the directory, which the driver has made.
    """
    if not paths.spec.exists():
        node = ray.util.get_node_ip_address()
        raise UserCodeError(
            Problem(
                field="storage",
                got=f"{paths.root}, which node {node} does not see",
                expected="a directory that every node of the cluster sees",
                fix="--set storage=… an NFS mount, or the like",
            )
        )
    return copy_output(paths.rank_log(attempt, rank))


@contextlib.contextmanager
def _printed() -> Iterator[None]:
    """Leaves the traceback of what is raised in this rank's log."""
    try:
        yield
    except BaseException:
        traceback.print_exc()
        raise


@contextlib.contextmanager
def _reported(channel: MailboxChannel, folder: Path, rank: int) -> Iterator[None]:
    try:
        yield
    except (Exception, SystemExit) as error:  # noqa: BLE001  the boundary of the user's code
        failed = messages.Failed(rank=rank, time=time(), error=describe_failure(error, folder, rank=rank))
        channel.send(failed)
        channel.flush()
        raise RuntimeError(f"rank {rank}: {failed.error['kind']}: {failed.error['message']}") from None
