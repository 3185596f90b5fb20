"""Looks into, and ends, the processes of a worker group, each on the node where it runs.

Runs in: the driver, and in tasks on the workers' nodes.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from raytrain.driver.mailbox import WorkerProcess
from raytrain.files import write_whole

_DUMP_TIMEOUT_S = 15.0
# Another node may have to start a process for it. Those to be killed are also when nobody waits for it any more.
_STACKS_TIMEOUT_S = 60.0
_KILL_TIMEOUT_S = 10.0
_PROC_FILES = ("status", "wchan", "stack")
_STATUS_LINES = ("State:", "VmRSS:", "Threads:", "SigBlk:")


def save_stacks(workers: Sequence[WorkerProcess], path: Path) -> None:
    """Writes the stacks of all ranks' Python threads into one file; what cannot be read is said so there."""
    texts = dict(zip(workers, _on_nodes(workers, stacks_of, _STACKS_TIMEOUT_S), strict=True))
    parts = [
        f"=== rank {worker.rank}, process {worker.pid} on {worker.address}\n{text or 'its node does not answer'}\n"
        for worker, text in texts.items()
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, "\n".join(parts))


def kill(workers: Sequence[WorkerProcess]) -> None:
    """Ends the processes at once, also those that are stopped and those whose training thread holds every lock."""
    _on_nodes(workers, _kill, _KILL_TIMEOUT_S)


def stacks_of(pid: int) -> str:
    """The stacks of a process on this node: by py-spy, which stops nothing and reads stopped processes too.

    Where it may not look (another user's process, a kernel that forbids it), what the kernel tells, and the process is
    asked to write its own stacks into its log (`faulthandler`, which every worker registers for SIGUSR1).
    """
    spy = Path(sys.executable).with_name("py-spy")
    command = [str(spy) if spy.exists() else "py-spy", "dump", "--nonblocking", "--pid", str(pid)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_DUMP_TIMEOUT_S, check=False)
        if done.returncode == 0:
            return f"{_from_kernel(pid, _PROC_FILES[:1])}\n{done.stdout}"
        why = done.stderr.strip().splitlines()[0] if done.stderr.strip() else f"exit code {done.returncode}"
    except (OSError, subprocess.TimeoutExpired) as error:
        why = str(error)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGUSR1)
    state = _from_kernel(pid, _PROC_FILES)
    return f"py-spy could not read it ({why}); it was asked to write its stacks into its own log\n{state}\n"


def _from_kernel(pid: int, names: Sequence[str]) -> str:
    lines = []
    for name in names:
        try:
            text = Path(f"/proc/{pid}/{name}").read_text()
        except OSError as error:
            lines.append(f"{name}: {error.strerror}")
            continue
        shown = [line for line in text.splitlines() if name != "status" or line.startswith(_STATUS_LINES)]
        lines += [f"{name}: {line}" for line in shown]
    return "\n".join(lines)


def _kill(pid: int) -> str:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return "gone"
    return "killed"


def _on_nodes(workers: Sequence[WorkerProcess], act: Callable[[int], str], timeout_s: float) -> list[str]:
    """What `act` returns for each worker's pid on its node; empty where the node does not answer in time."""
    here = ray.get_runtime_context().get_node_id()
    by_node: dict[str, list[WorkerProcess]] = defaultdict(list)
    for worker in workers:
        by_node[worker.node_id].append(worker)
    tasks = {
        node: _every.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False)).remote(
            act, [worker.pid for worker in there]
        )
        for node, there in by_node.items()
        if node != here
    }
    results = {worker: act(worker.pid) for worker in by_node.get(here, [])}
    deadline = time.monotonic() + timeout_s
    for node, task in tasks.items():
        try:
            texts = ray.get(task, timeout=max(0.0, deadline - time.monotonic()))
        except ray.exceptions.RayError:  # a node that has gone has no processes left to look at or to end
            continue
        results |= dict(zip(by_node[node], texts, strict=True))
    return [results.get(worker, "") for worker in workers]


@ray.remote(num_cpus=0, max_retries=0)  # type: ignore[untyped-decorator]
def _every(act: Callable[[int], str], pids: list[int]) -> list[Any]:
    return [act(pid) for pid in pids]
