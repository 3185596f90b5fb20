"""What a run comes to, and what it would have come to had nothing befallen it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from raytrain.worker.checkpoints import checkpoint
from tests.chaos.crew import Crew
from tests.chaos.life import DATA, MODEL, Life, beside
from tests.worker.pool import Case


@dataclass(frozen=True, kw_only=True)
class End:
    """What a run came to, to be compared bit for bit: the history, and all that the last checkpoint holds."""

    history: list[dict[str, Any]]
    arrays: list[bytes]


def end_of(life: Life) -> End:
    return End(history=life.history(), arrays=_arrays(life.paths.checkpoints))


def undisturbed_end(crew: Crew, root: Path, spec: dict[str, Any], *, model: str = MODEL) -> End:
    """What the job comes to when nothing befalls it, in two plain processes without Ray."""
    namespace: dict[str, Any] = {}
    exec(DATA, namespace)
    splits = {
        name: tuple(namespace[load]().values()) for name, load in (("train", "load"), ("validation", "validation"))
    }
    beside(root, "ticks").mkdir(parents=True)
    environment = {"env_vars": {"TICKS": str(beside(root, "ticks")), "STEP_S": "0"}}
    kept = {name: part for name, part in spec.items() if name in ("fit", "checkpoint")}
    kept["fit"] = {"global_batch_size": 16} | kept["fit"]
    case = Case(
        model_py=model, splits=splits, spec=kept | {"callbacks": "model.py:callbacks", "environment": environment}
    )
    training = crew.train(case, root, groups=1)
    assert training.last.reason, training.last.lost
    history = [{"epoch": epoch, **row} for epoch, row in training.history.items()]
    return End(history=history, arrays=_arrays(root / "checkpoints"))


def _arrays(checkpoints: Path) -> list[bytes]:
    read = checkpoint.read_newest(checkpoints, skipped=lambda path, why: None)
    assert read is not None
    return [array.tobytes() for array in read[1].variables]
