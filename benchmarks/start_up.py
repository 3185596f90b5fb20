"""What a short job costs from the command to its first step and to its verdict, process by process.

Run by `make bench`. The digits by two workers on a warm local cluster, in turns with plain Keras doing the same in one
process that has just started, and with `import ray.train`, in whose processor seconds all others are given, so that
slow days compare with fast ones.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from benchmarks.command import measure
from benchmarks.machine import ROOT, description
from benchmarks.processes import Seen, observed
from benchmarks.training import BIN, call, cluster

UNIT = [sys.executable, "-c", "import ray.train"]
PLAIN = [sys.executable, "-m", "benchmarks.contenders.digits"]
WORKER = "RayTrainWorker"
# Why each process that a run starts is there.
WHY = {
    "JobSupervisor": "Ray's, one a job: starts the driver and keeps its log",
    "driver": "reads the data, controls the workers, records the run",
    "Mailbox": "takes what workers report, whatever the driver is doing",
    WORKER: "trains",
}
BARS = {"cpu": 8.2, "verdict": 2.2}


@dataclass(frozen=True, kw_only=True)
class Turn:
    """One submit, beside what it is held against.

    Attributes:
        unit: processor seconds of `import ray.train`.
        plain_s: wall seconds of plain Keras.
        verdict_s: wall seconds of the command.
        first_step_s: wall seconds until the first step was done.
        seen: the cluster's processes.
        submitted: the moment of the command; `first_step` and `verdict` likewise.
    """

    unit: float
    plain_s: float
    verdict_s: float
    seen: list[Seen]
    submitted: float
    first_step: float
    verdict: float

    def others(self) -> float:
        """Processor seconds of all processes but the workers, in units."""
        return sum(one.cpu_until(self.verdict) for one in self.seen if one.name != WORKER) / self.unit


def turn(scratch: Path, address: str) -> Turn:
    unit, _ = measure(UNIT)
    began = perf_counter()
    subprocess.run([*PLAIN, scratch / "plain.keras"], cwd=ROOT, check=True, capture_output=True)
    plain_s = perf_counter() - began
    options = ["--json", "--storage", scratch / "runs", "--address", address]
    with observed() as seen:
        began = perf_counter()
        done = json.loads(call([BIN / "raytrain", "submit", ROOT / "jobs/digits", *options]))
        verdict_s = perf_counter() - began
    events = [json.loads(line) for line in (Path(done["storage"]) / "events.jsonl").read_text().splitlines()]
    submitted = next(event["submitted_at"] for event in events if event["type"] == "submitted")
    steps = [event["time"] for event in events if event["type"] == "phase" and event["name"] == "first_step"]
    return Turn(
        unit=unit,
        plain_s=plain_s,
        verdict_s=verdict_s,
        seen=seen,
        submitted=submitted,
        first_step=steps[0],
        verdict=events[-1]["time"],
    )


def table(done: Turn) -> list[str]:
    """A line for each name that processes have, the costliest first."""
    groups: dict[str, list[Seen]] = defaultdict(list)
    for one in done.seen:
        if one.cpu_until(float("inf")) / done.unit >= 0.01 or one.is_new:
            groups[one.name].append(one)
    lines = [f"{'process':<24}{'':>3}{'from s':>8}{'to s':>8}{'to 1st step':>13}{'to verdict':>12}  why"]
    for name, there in sorted(groups.items(), key=lambda group: -sum(one.cpu[-1][1] for one in group[1])):
        is_new = any(one.is_new for one in there)
        since = f"{min(one.began for one in there) - done.submitted:.1f}" if is_new else "before"
        until = f"{max(one.ended for one in there) - done.submitted:.1f}"
        cpu = [sum(one.cpu_until(moment) for one in there) / done.unit for moment in (done.first_step, done.verdict)]
        why = WHY.get(name, "" if is_new else "the cluster's own")
        lines.append(f"{name:<24}{len(there):>3}{since:>8}{until:>8}{cpu[0]:>13.2f}{cpu[1]:>12.2f}  {why}")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=3)
    turns = parser.parse_args().turns
    say(description())
    with tempfile.TemporaryDirectory(prefix="raytrain-bench-") as temporary, cluster(Path(temporary)) as address:
        turn(Path(temporary), address)  # the first run on a cluster unpacks what the next ones find
        done = [turn(Path(temporary), address) for _ in range(turns)]
    say(f"processor seconds in units of one import of ray.train, {statistics.median(one.unit for one in done):.1f} s")
    for line in table(done[-1]):
        say(line)
    cpu = statistics.median(one.others() for one in done)
    wall = statistics.median(one.verdict_s / one.plain_s for one in done)
    first = statistics.median(one.first_step - one.submitted for one in done)
    say(f"all but the workers, submit to verdict: {cpu:.1f} units, bar {BARS['cpu']}")
    say(f"submit to first step: {first:.1f} s")
    say(f"submit to verdict: {wall:.2f} of plain Keras in a process of its own, bar {BARS['verdict']}")


def say(line: str) -> None:
    print(line, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
