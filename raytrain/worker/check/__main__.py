"""Entrypoint of a process that `raytrain check` starts: `python -m raytrain.worker.check ROLE FOLDER`.

Runs in: a child process of the client. It ends with its parent, whatever becomes of that one.
"""

from __future__ import annotations

import contextlib
import faulthandler
import json
import os
import signal
import sys
import threading
import traceback
from pathlib import Path

from raytrain.check_protocol import AGAIN, COMPARE, ROWS, CheckFolder, CheckRequest, rank_of
from raytrain.errors import Failure
from raytrain.files import write_whole
from raytrain.worker import heartbeat, process_setup
from raytrain.worker.check.phase_file import Progress
from raytrain.worker.working_directory import working_directory


def main(role: str, root: Path) -> None:
    faulthandler.enable()  # the parent looks for the user's line in what it writes
    threading.Thread(target=_end_with_parent, name="raytrain-parent", daemon=True).start()
    os.environ.update(process_setup.thread_environment(1))
    folder = CheckFolder(root)
    request = CheckRequest.model_validate_json(folder.request.read_text())
    progress = Progress(folder.phase(role))
    failure: Failure | None = None
    try:
        with heartbeat.stacks_on_signal():
            _run(role, folder, request, progress)
    except BaseException as error:  # noqa: BLE001  the boundary of the user's code, which may raise SystemExit
        with contextlib.suppress(OSError, ValueError, AttributeError):  # the user's code may have closed the output
            traceback.print_exc()
        from raytrain.worker.check.explained import explained

        failure = explained(error, folder.job, rank=rank_of(role))
    write_whole(folder.end(role), json.dumps(failure and failure.to_json()))
    if rank_of(role) is not None:
        threading.Event().wait()  # for the parent: TensorFlow ends the other workers when one goes


def _run(role: str, folder: CheckFolder, request: CheckRequest, progress: Progress) -> None:
    rank = rank_of(role)
    if role == COMPARE:
        from raytrain.worker.check.differences import compare

        compare(folder)
        return
    # The first worker's files stay where they are, as in a run; nobody else's do.
    with working_directory(folder.job, rank=0 if role == ROWS else (rank or 0) + 1, name=role):
        step = _of_rows if role == ROWS else _of_plain_keras if rank is None else _of_worker
        step(role, folder, request, progress)


def _of_rows(role: str, folder: CheckFolder, request: CheckRequest, progress: Progress) -> None:
    from raytrain.worker.check.rows_file import write_rows

    write_rows(folder, request, progress)


def _of_plain_keras(role: str, folder: CheckFolder, request: CheckRequest, progress: Progress) -> None:
    progress.reach("importing TensorFlow")
    from raytrain.worker.check.plain_keras import train_in_one_process

    trained = train_in_one_process(folder, request, progress, disturbed=role == AGAIN)
    trained.write(folder.trained(role))


def _of_worker(role: str, folder: CheckFolder, request: CheckRequest, progress: Progress) -> None:
    rank, workers = rank_of(role), request.spec.scaling.workers
    assert rank is not None
    write_whole(folder.address(rank), process_setup.hold_port("127.0.0.1"))
    progress.reach("waiting for the other workers")
    progress.wait_for(folder.addresses(workers))
    process_setup.configure([path.read_text() for path in folder.addresses(workers)], rank)
    progress.reach("importing TensorFlow")
    process_setup.finish_import()
    from raytrain.worker.check.local_worker import train_as_worker

    trained = train_as_worker(folder, request, progress, rank=rank)
    if rank == 0:
        trained.write(folder.trained(role))


def _end_with_parent() -> None:
    """Standard input is a pipe that nobody writes to: it ends when the parent does, and then all that began here."""
    os.read(_control, 1)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    # What the user's code reads from its input is none of ours.
    _control = os.dup(0)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    main(sys.argv[1], Path(sys.argv[2]))
    os.killpg(0, signal.SIGKILL)  # and whatever threads and processes the user's code has left
