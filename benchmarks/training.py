"""Whole trainings, raytrain beside what it replaces: the same data, one after the other, in turns.

Run by `make bench`. Every figure is the median over the turns; a ratio is the median of each turn's own ratio, so that
a machine that gets slower meanwhile does not favour whoever came first.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import time
from typing import Any

from benchmarks.machine import ROOT, description
from benchmarks.works import WORKS, Work, write_data

BIN = Path(sys.executable).parent
CORES = os.cpu_count() or 1
KERAS_2 = {"env_vars": {"TF_USE_LEGACY_KERAS": "1", "PYTHONPATH": str(ROOT)}}
CONTENDERS = {
    "digits": ("ray-2", "raytrain-2", "one", "raytrain-1"),
    "rows": ("ray-2", "raw-2", "raytrain-2", "one", "raytrain-1"),
    "images": ("raw-2", "raytrain-2", "one", "raytrain-1"),
    "text": ("raw-2", "raytrain-2", "one", "raytrain-1"),
}


@dataclass(frozen=True, kw_only=True)
class Bar:
    """A ratio that raytrain is to stay under. `figure`: a field of `Timing`."""

    work: str
    figure: str
    ours: str
    theirs: str
    at_most: float


BARS = (
    Bar(work="digits", figure="first_epoch_s", ours="raytrain-2", theirs="ray-2", at_most=0.60),
    Bar(work="digits", figure="total_s", ours="raytrain-2", theirs="ray-2", at_most=0.50),
    Bar(work="rows", figure="total_s", ours="raytrain-2", theirs="ray-2", at_most=0.30),
    Bar(work="rows", figure="epoch_s", ours="raytrain-2", theirs="ray-2", at_most=0.08),
    Bar(work="rows", figure="epoch_s", ours="raytrain-2", theirs="raw-2", at_most=0.20),
    Bar(work="rows", figure="epoch_s", ours="raytrain-2", theirs="one", at_most=0.80),
    Bar(work="rows", figure="epoch_s", ours="raytrain-1", theirs="one", at_most=0.50),
    Bar(work="images", figure="epoch_s", ours="raytrain-2", theirs="raw-2", at_most=0.60),
    Bar(work="text", figure="epoch_s", ours="raytrain-2", theirs="raw-2", at_most=0.60),
)


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Seconds of one training: to the end of the first epoch, of a later epoch (the median), and to the verdict."""

    first_epoch_s: float
    epoch_s: float
    total_s: float


def run(contender: str, work: Work, data: Path, scratch: Path, address: str) -> Timing:
    """Trains once, from the command to its end.

    Raises:
        SystemExit: the contender failed; its last words are shown.
    """
    kind, _, workers = contender.partition("-")
    timeline = scratch / "timeline.jsonl"
    timeline.unlink(missing_ok=True)
    arguments = [work.name, str(data), str(timeline), workers or "1"]
    module = "benchmarks.contenders"
    if kind == "raytrain":
        return _run_raytrain(work, data, scratch, workers, address)
    began = time()
    if kind == "ray":
        script = ["python", "-m", f"{module}.ray_script", *arguments]
        call(
            [
                BIN / "ray",
                "job",
                "submit",
                "--address",
                address,
                f"--runtime-env-json={json.dumps(KERAS_2)}",
                "--",
                *script,
            ]
        )
    else:
        call([sys.executable, "-m", f"{module}.{kind}", *arguments[: 4 if kind == "raw" else 3]])
    ends = [json.loads(line)["time"] for line in timeline.read_text().splitlines()]
    epochs = [later - earlier for earlier, later in itertools.pairwise(ends)]
    return Timing(first_epoch_s=ends[0] - began, epoch_s=statistics.median(epochs), total_s=time() - began)


def _run_raytrain(work: Work, data: Path, scratch: Path, workers: str, address: str) -> Timing:
    job = ROOT / "jobs/digits" if work.name == "digits" else job_folder(work, data, scratch)
    storage = scratch / "runs"
    # The same cores as the other contenders take without being told: all of them, among the workers.
    cpus = f"scaling.cpus_per_worker={max(1, CORES // int(workers))}"
    options = ["--json", "--workers", workers, "--set", cpus, "--storage", storage, "--address", address]
    began = time()
    output = call([BIN / "raytrain", "submit", job, *options])
    total_s, timing = time() - began, json.loads(output)["timing"]
    shutil.rmtree(storage)
    return Timing(
        first_epoch_s=timing["submit_to_first_epoch_s"],
        epoch_s=statistics.median(timing["epoch_s"][1:]),
        total_s=total_s,
    )


def job_folder(work: Work, data: Path, scratch: Path) -> Path:
    folder = scratch / work.name
    folder.mkdir(exist_ok=True)
    shutil.copyfile(ROOT / "benchmarks/works.py", folder / "works.py")
    job = {
        "name": work.name,
        "model": "works.py:build_model",
        "model_args": {"name": work.name},
        "data": {"train": {"parquet": f"{data}/*.parquet"}, "features": "x", "label": "y"},
        "fit": {"epochs": work.epochs, "global_batch_size": work.global_batch_size},
    }
    (folder / "job.yaml").write_text(json.dumps(job))
    return folder


def call(arguments: list[Any]) -> str:
    ended = subprocess.run([str(part) for part in arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    if ended.returncode:
        shown = "\n".join(f"{ended.stdout}{ended.stderr}".splitlines()[-30:])
        raise SystemExit(f"{arguments[0]} … ended with exit code {ended.returncode}\n{shown}")
    return ended.stdout


@contextmanager
def cluster(scratch: Path) -> Iterator[str]:
    """A local cluster for all contenders that need one; its address."""
    os.environ |= {"RAYTRAIN_STATE_DIR": str(scratch / "state"), "RAY_AUTH_MODE": "token"}
    started = json.loads(call([BIN / "raytrain", "up", "--cpus", str(CORES + 2), "--json"]))
    try:
        yield started["address"]
    finally:
        call([BIN / "raytrain", "down"])


def lines(works: list[str], turns: list[dict[tuple[str, str], Timing]]) -> Iterator[str]:
    """The report: the machine, a table of medians, a table of bars."""
    yield description()
    yield ""
    yield f"{len(turns)} turns; seconds from the command, medians"
    yield f"{'':<10}{'':<14}{'first epoch':>12}{'later epoch':>12}{'verdict':>10}"
    for name in works:
        yield WORKS[name].about
        for contender in CONTENDERS[name]:
            times = [turn[name, contender] for turn in turns]
            cells = [statistics.median(getattr(time, field) for time in times) for field in Timing.__annotations__]
            yield f"{'':<10}{contender:<14}{cells[0]:>12.2f}{cells[1]:>12.3f}{cells[2]:>10.2f}"
    yield ""
    yield f"{'ratio':<44}{'is':>8}{'bar':>8}"
    for bar in (bar for bar in BARS if bar.work in works):
        ratios = [
            getattr(turn[bar.work, bar.ours], bar.figure) / getattr(turn[bar.work, bar.theirs], bar.figure)
            for turn in turns
        ]
        name = f"{bar.work}: {bar.figure.removesuffix('_s')}, {bar.ours} / {bar.theirs}"
        ratio = statistics.median(ratios)
        yield f"{name:<44}{ratio:>8.2f}{bar.at_most:>8.2f}{'' if ratio <= bar.at_most else '  missed'}"


def _pairs(works: list[str]) -> Iterator[tuple[str, str]]:
    for name in works:
        yield from ((name, contender) for contender in CONTENDERS[name])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("works", nargs="*", choices=[*WORKS, []], help="all of them where none is named")
    parser.add_argument("--turns", type=int, default=3)
    options = parser.parse_args()
    works = options.works or list(WORKS)
    turns: list[dict[tuple[str, str], Timing]] = []
    with tempfile.TemporaryDirectory(prefix="raytrain-bench-") as temporary:
        scratch = Path(temporary)
        for name in works:
            write_data(name, scratch / "data" / name)
        with cluster(scratch) as address:
            for turn in range(options.turns):
                turns.append({})
                for name, contender in _pairs(works):
                    timing = run(contender, WORKS[name], scratch / "data" / name, scratch, address)
                    turns[-1][name, contender] = timing
                    print(f"turn {turn + 1}: {name} {contender} {timing.total_s:.1f} s", file=sys.stderr)  # noqa: T201
    print("\n".join(lines(works, turns)))  # noqa: T201


if __name__ == "__main__":
    main()
