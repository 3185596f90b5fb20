"""The function that Ray Train runs on every worker: fetches the shards, joins the driver's mailbox, trains.

Runs in: every Train worker. Importing this module imports no TensorFlow: the controller may import it too.
"""

from __future__ import annotations

import contextlib
import traceback
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from time import time
from typing import Any

import ray

from raytrain import protocol
from raytrain.data.tiers.worker_shards import Shards
from raytrain.errors import Problem, UserCodeError
from raytrain.run.copy_output import copy_output
from raytrain.run.events import AnswerProven, Warned
from raytrain.run.run_paths import RunPaths
from raytrain.spec.request import JobRequest
from raytrain.user_code import describe_failure
from raytrain.worker import heartbeat, process_setup
from raytrain.worker.checkpoints.object_storage import go_on_with_log, mirrored
from raytrain.worker.working_directory import working_directory


@dataclass(frozen=True, kw_only=True)
class LoopConfig:
    """What the driver hands every worker.

    Attributes:
        request: a `JobRequest` as JSON.
        paths: the run's directory; where it is in an object store, each process has its own copy.
        shards: where its rows are.
        group: which worker group of the attempt this is.
        fall_backs: how often training has fallen back from a loss that was no finite number.
        proven: what workers of this run have proven before of their answer, if anything.
    """

    request: str
    paths: RunPaths
    folder: str
    shards: Shards
    mailbox: Any
    group: int
    fall_backs: int = 0
    proven: AnswerProven | None = None


class MailboxChannel:
    """The worker's end of the driver's mailbox; sends without waiting, and `flush` waits for all that was sent."""

    def __init__(self, mailbox: Any, group: int) -> None:
        self._mailbox = mailbox
        self._group = group
        self._sent: deque[ray.ObjectRef] = deque(maxlen=50)
        self._question: ray.ObjectRef | None = None
        self._answer = ""

    def send(self, message: protocol.Message) -> None:
        taken = self._mailbox.put.remote(message, self._group)
        self._sent.append(taken)
        if isinstance(message, protocol.Heartbeat):
            self._look(taken)

    def notice(self, rank: int) -> Callable[[str], None]:
        """A way to tell the user something."""
        return lambda text: self.send(protocol.Happened(rank=rank, time=time(), event=Warned(message=text)))

    def asked(self) -> str:
        """What the mailbox was last heard to ask: the training thread does not wait for it."""
        return self._answer

    def _look(self, taken: ray.ObjectRef) -> None:
        """Reads what the mailbox answered to an earlier heartbeat, if the answer has come; about once a second."""
        if self._question is not None and ray.wait([self._question], timeout=0)[0]:
            self._answer = ray.get(self._question)
            self._question = None
        if self._question is None:
            self._question = taken

    def flush(self) -> None:
        ray.get(list(self._sent))


def train_loop(config: dict[str, LoopConfig]) -> None:
    """Trains this rank's share of the job; what is raised here has been reported to the driver first."""
    loop = config["config"]
    request = JobRequest.model_validate_json(loop.request)
    rank = process_setup.own_rank()
    paths = loop.paths if loop.paths.uri is None else RunPaths.to_write(request.storage, request.run)
    folder = Path(loop.folder)
    channel = MailboxChannel(loop.mailbox, loop.group)
    position = heartbeat.Position()
    with (
        mirrored(paths, notice=channel.notice(rank)),
        _reported(channel, folder, rank),
        _rank_log(paths, request.attempt, rank),
        heartbeat.beating(position, channel.send, rank=rank),
        heartbeat.stacks_on_signal(),
        _printed(),
        working_directory(folder, rank=rank, name=f"{request.run}-{request.attempt}-{loop.group}"),
    ):
        channel.send(protocol.PhaseDone(rank=rank, time=time(), name="workers"))
        splits = loop.shards.fetch(rank, lambda rows: position.reach("setup", step=rows), position.touch)
        process_setup.finish_import()
        from raytrain.worker.fit import WorkerJob, train

        reason = train(
            WorkerJob(
                spec=request.spec,
                splits=splits,
                rank=rank,
                folder=folder,
                paths=paths,
                base_model=folder / request.base_model if request.base_model else None,
                group=loop.group,
                fall_backs=loop.fall_backs,
                proven=loop.proven,
                position=position,
            ),
            channel,
        )
        channel.send(protocol.Finished(rank=rank, time=time(), reason=reason))
        channel.flush()


def _rank_log(paths: RunPaths, attempt: int, rank: int) -> contextlib.AbstractContextManager[None]:
    """Copies this rank's output into the run's directory.

    Raises:
        UserCodeError: this node does not see the directory, which the driver has made.
    """
    if paths.uri is None and not paths.spec.exists():
        node = ray.util.get_node_ip_address()
        raise UserCodeError(
            Problem(
                field="storage",
                got=f"{paths.root}, which node {node} does not see",
                expected="a directory that every node of the cluster sees",
                fix="--set storage=… an NFS mount, or the like",
            )
        )
    log = paths.rank_log(attempt, rank)
    go_on_with_log(paths, log)
    return copy_output(log)


@contextlib.contextmanager
def _printed() -> Iterator[None]:
    """Leaves the traceback of what is raised in this rank's log."""
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError, ValueError, AttributeError):  # the user's code may have closed the output
            traceback.print_exc()
        raise


@contextlib.contextmanager
def _reported(channel: MailboxChannel, folder: Path, rank: int) -> Iterator[None]:
    try:
        yield
    except BaseException as error:  # noqa: BLE001  the boundary of the user's code, which may raise SystemExit
        failure = describe_failure(error, folder, rank=rank)
        channel.send(protocol.Failed(rank=rank, time=time(), failure=failure))
        channel.flush()
        raise RuntimeError(f"rank {rank}: {failure.kind}: {failure.message}") from None
