"""How long training stands between two epochs: from the last step to the next epoch's first, less validation.

Run by `make bench`. Two workers on a local cluster, for a small model and one of 50 million parameters; early stopping
keeps the best weights and every epoch is saved. Figures are the chief's, medians over the edges; the wait for the other
worker's last step is in `metrics` or `votes`, whichever comes first.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.machine import ROOT, description
from benchmarks.training import BIN, call, cluster

PARTS = ("metrics", "statistics", "report", "best", "votes", "checkpoint")
BLOCKING = ("metrics", "statistics", "report", "checkpoint")  # `best` and `votes` are parts of `report`


@dataclass(frozen=True, kw_only=True)
class Work:
    """A model and its training.

    Attributes:
        most_s: how long report and checkpoint may block the training thread in an epoch.
        most_of_save: what part of a synchronous save that may be.
    """

    name: str
    model_args: dict[str, Any]
    rows: int
    global_batch_size: int
    epochs: int
    most_s: float | None = None
    most_of_save: float | None = None


WORKS = {
    work.name: work
    for work in (
        Work(
            name="small",
            model_args={"hidden": [512], "inputs": 64, "outputs": 10},
            rows=20_000,
            global_batch_size=256,
            epochs=12,
            most_s=0.020,
        ),
        Work(
            name="large",
            model_args={"hidden": [7000, 7000], "inputs": 64, "outputs": 10},
            rows=192,
            global_batch_size=16,
            epochs=6,
            most_of_save=0.10,
        ),
    )
}


def run(work: Work, scratch: Path, address: str) -> dict[str, Any]:
    """What the chief's clocks say of one training."""
    folder, place = scratch / "job", scratch / "clocks"
    for path in (folder, place, scratch / "runs"):
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir()
    shutil.copyfile(ROOT / "benchmarks/edge_job.py", folder / "model.py")
    rows = f"""
import numpy as np
def load():
    generator = np.random.default_rng(0)
    x = generator.standard_normal(({work.rows}, {work.model_args["inputs"]})).astype("float32")
    return {{"x": x, "y": (x[:, 0] > 0).astype("int64")}}
"""
    (folder / "data.py").write_text(rows)
    job = {
        "name": work.name,
        "model": "model.py:build_model",
        "model_args": work.model_args,
        "callbacks": "model.py:callbacks",
        "environment": {"env_vars": {"EDGE_PLACE": str(place)}},
        "data": {"train": {"python": "data.py:load"}, "validation": 0.1, "features": "x", "label": "y"},
        "fit": {"epochs": work.epochs, "global_batch_size": work.global_batch_size},
        "early_stopping": {"monitor": "val_loss", "patience": 99, "restore_best": True},
        "scaling": {"workers": 2},
    }
    (folder / "job.yaml").write_text(json.dumps(job))
    storage = ["--storage", scratch / "runs", "--address", address]
    call([BIN / "raytrain", "submit", folder, "--json", *storage])
    return json.loads((place / "0.json").read_text())  # type: ignore[no-any-return]


def lines(turns: list[dict[str, dict[str, Any]]]) -> Iterator[str]:
    """The report: the machine, then each work's edge, its parts, and what it was to be."""
    yield description()
    yield ""
    yield f"{len(turns)} turns; milliseconds of the chief's training thread between two epochs, medians"
    yield f"{'':<8}{'parameters':>12}{'edge':>10}" + "".join(f"{part:>12}" for part in PARTS)
    for name in turns[0]:
        edges = [edge for turn in turns for edge in turn[name]["edges"]]
        cells = "".join(f"{_median_ms(edges, part):>12.1f}" for part in PARTS)
        yield f"{name:<8}{turns[0][name]['parameters']:>12,}{_median_ms(edges, 'edge'):>10.1f}{cells}"
    yield ""
    for name in turns[0]:
        blocked = [sum(edge.get(part, 0.0) for part in BLOCKING) for turn in turns for edge in turn[name]["edges"]]
        yield _verdict(
            WORKS[name], statistics.median(blocked), save_s=statistics.median(turn[name]["save_s"] for turn in turns)
        )


def _verdict(work: Work, blocked_s: float, *, save_s: float) -> str:
    is_, bar, unit = blocked_s * 1000, (work.most_s or 0.0) * 1000, "ms"
    if work.most_of_save is not None:
        is_, bar, unit = blocked_s / save_s, work.most_of_save, f"of a synchronous save, which is {save_s:.2f} s"
    missed = "" if is_ <= bar else "  missed"
    return f"{work.name}, blocked by report and checkpoint: {is_:.3g} {unit}, bar {bar:.3g}{missed}"


def _median_ms(edges: list[dict[str, float]], part: str) -> float:
    return 1000 * statistics.median(edge.get(part, 0.0) for edge in edges)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("works", nargs="*", choices=[*WORKS, []], help="all of them where none is named")
    parser.add_argument("--turns", type=int, default=2)
    options = parser.parse_args()
    works = options.works or list(WORKS)
    turns: list[dict[str, dict[str, Any]]] = []
    with tempfile.TemporaryDirectory(prefix="raytrain-bench-") as temporary, cluster(Path(temporary)) as address:
        for turn in range(options.turns):
            turns.append({name: run(WORKS[name], Path(temporary), address) for name in works})
            print(f"turn {turn + 1} done", file=sys.stderr)  # noqa: T201
    print("\n".join(lines(turns)))  # noqa: T201


if __name__ == "__main__":
    main()
