"""How long `raytrain list` takes with 10,000 runs on record, whole processes, in turns with `raytrain --help`.

Run by `make bench`.
"""

from __future__ import annotations

import json
import os
import statistics
import tempfile
from pathlib import Path

from benchmarks.command import PROGRAM, measure
from benchmarks.machine import description
from raytrain.client.registry import RunRecord, remember
from raytrain.run.event_json import to_line
from raytrain.run.events import Submitted
from raytrain.run.run_paths import RunPaths

RUNS = 10_000
TURNS = 7
BAR_S = 1.0


def write_runs(root: Path) -> None:
    """Runs that have ended, in a storage and in the index of a machine that submitted them."""
    storage, index = root / "runs", []
    for number in range(RUNS):
        run, moment = f"digits-20261120-{number // 60 % 24:02d}{number % 60:02d}-{number:04x}", 1.79e9 + number
        paths = RunPaths.of(storage, run)
        paths.root.mkdir(parents=True)
        submitted = Submitted(
            run=run,
            attempt=1,
            time=moment,
            name="digits",
            workers=2,
            global_batch_size=32,
            epochs=10,
            storage=str(paths.root),
            submitted_at=moment,
        )
        paths.events.write_text(to_line(submitted) + "\n")
        status = {"run": run, "name": "digits", "status": "SUCCEEDED", "reason": "completed", "attempts": 1}
        paths.status.write_text(
            json.dumps(status | {"epochs": 10, "epochs_planned": 10, "workers": 2, "metrics": {"loss": 0.1}})
        )
        index.append(json.dumps({"run": run, "name": "digits", "storage": str(storage), "submitted_at": moment}))
    (root / "runs.jsonl").write_text("\n".join(index) + "\n")
    remember(RunRecord(run=run, name="digits", storage=str(storage), submitted_at=moment), os.environ)  # takes them in


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="raytrain-bench-") as scratch:
        os.environ["RAYTRAIN_STATE_DIR"] = scratch
        write_runs(Path(scratch))
        commands = {
            "raytrain --help": [PROGRAM, "--help"],
            "raytrain list": [PROGRAM, "list"],
            "raytrain list --storage DIR": [PROGRAM, "list", "--storage", f"{scratch}/runs"],
        }
        turns = [{name: measure(arguments)[1] for name, arguments in commands.items()} for _ in range(TURNS)]
    lines = [description(), f"{RUNS:,} runs, {TURNS} turns", f"{'':<32}{'wall s':>8}{'bar':>8}"]
    for name in commands:
        seconds = statistics.median(turn[name] for turn in turns)
        bar = f"{BAR_S:>8.1f}{'' if seconds <= BAR_S else '  missed'}" if "list" in name else ""
        lines.append(f"{name:<32}{seconds:>8.3f}{bar}")
    print("\n".join(lines))  # noqa: T201


if __name__ == "__main__":
    main()
