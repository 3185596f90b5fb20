"""Starts one worker's part of a trial sum in a process of its own, which can be given up.

Runs in: every Train worker that tries NCCL, and on each node that `raytrain doctor` looks at. Imports nothing heavy.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence

from raytrain import formatting

SUMS_RIGHT = "raytrain: sums right"


def trial_command(implementation: str) -> tuple[str, ...]:
    """Of `raytrain.worker.sum_trial`, but for the seconds that it is given last."""
    return (sys.executable, "-P", "-m", "raytrain.worker.sum_trial", implementation)


def try_sum(addresses: Sequence[str], rank: int, command: Sequence[str], *, within_s: float) -> str:
    """Runs `command` as one of the workers at `addresses`; why it failed, or nothing where it says `SUMS_RIGHT`."""
    config = {"cluster": {"worker": list(addresses)}, "task": {"type": "worker", "index": rank}}
    environment = {"NCCL_DEBUG": "WARN"} | os.environ | {"TF_CONFIG": json.dumps(config), "TF_GRPC_REUSE_PORT": "1"}
    with tempfile.TemporaryFile("w+", errors="replace") as said:
        process = subprocess.Popen([*command, str(within_s)], env=environment, stdout=said, stderr=subprocess.STDOUT)
        try:
            process.wait(within_s)
            words = f"it ended with exit code {process.returncode}"
        except subprocess.TimeoutExpired:
            words = f"no sum within {formatting.seconds(within_s)}"
        finally:
            process.kill()
            process.wait()
        said.seek(0)
        lines = said.read().splitlines()
    if SUMS_RIGHT in lines:
        return ""
    print(*lines, sep="\n", file=sys.stderr)  # noqa: T201 - the log has NCCL's own words
    telling = [line for line in lines if "NCCL" in line or "Error" in line]
    return f"{words}: {telling[-1].strip()}" if telling else words
