"""What a check and the processes that it starts tell each other: by files in one folder, each written whole.

Light: the client imports it, too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic import Field

from raytrain.spec.job import JobSpec
from raytrain.spec.pydantic_bases import StrictModel

ROWS, PLAIN, AGAIN, COMPARE = "rows", "plain", "again", "compare"
MODULE = "raytrain.worker.check"


def rank_role(rank: int) -> str:
    return f"rank-{rank}"


def rank_of(role: str) -> int | None:
    """None of a process that is no worker."""
    return int(role.removeprefix("rank-")) if role.startswith("rank-") else None


class CheckRequest(StrictModel):
    """What is to be checked.

    Attributes:
        spec: the job, with as many workers as are to be tried.
        steps: how many, of training, validation and test each, at most.
        base_model: path, relative to the job's folder, of the model that it starts from; null when there is none.
    """

    spec: JobSpec
    steps: int = Field(ge=1)
    base_model: str | None = None


class Verdict(StrEnum):
    """What came of a quantity, or of all of them.

    `noise`: it differs by no more than rounding alone makes of it, such as a weight whose gradient is zero but for
    rounding, of which Adam makes whole steps. `cannot_repeat`: one process does not come to the same twice, so that
    nothing is known of several.
    """

    EQUAL = "equal"
    NOISE = "noise"
    DIFFERS = "differs"
    CANNOT_REPEAT = "cannot_repeat"


@dataclass(frozen=True, kw_only=True)
class Quantity:
    """Something that both one process and the workers came to.

    Attributes:
        kind: `gradient`, `variable` or `result`; a result is a metric, `val_` and `test_` ones among them.
        difference: the largest, relative to the quantity's own size; None where it is no finite number, or only one of
            the two has such a quantity.
    """

    kind: str
    name: str
    difference: float | None
    verdict: Verdict


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """All that was compared.

    Attributes:
        steps: of training, that were run.
        rows: of each split, that were used.
        quantities: those that differ first.
        set_aside: what was made equal for the comparison, since no two divisions of a batch have it alike.
        warnings: what the workers would tell the user of the run.
    """

    steps: int
    rows: dict[str, int]
    quantities: tuple[Quantity, ...]
    set_aside: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict:
        found = {quantity.verdict for quantity in self.quantities}
        return next((one for one in (Verdict.DIFFERS, Verdict.CANNOT_REPEAT) if one in found), Verdict.EQUAL)

    @property
    def largest(self) -> float | None:
        """The largest difference of what is not noise; None where one is no finite number."""
        sizes = [quantity.difference for quantity in self.quantities if quantity.verdict is not Verdict.NOISE]
        return max((size for size in sizes if size is not None), default=0.0) if None not in sizes else None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, body: dict[str, Any]) -> Comparison:
        quantities = (Quantity(**{**each, "verdict": Verdict(each["verdict"])}) for each in body["quantities"])
        lists = {name: tuple(body[name]) for name in ("set_aside", "warnings")}
        return cls(steps=body["steps"], rows=body["rows"], quantities=tuple(quantities), **lists)


@dataclass(frozen=True)
class CheckFolder:
    """The folder of one check; every path in it."""

    root: Path

    @property
    def job(self) -> Path:
        """The job's files as a cluster would have them."""
        return self.root / "job"

    @property
    def run(self) -> Path:
        """What would be a run's directory."""
        return self.root / "run"

    @property
    def request(self) -> Path:
        return self.root / "request.json"

    @property
    def rows(self) -> Path:
        """The rows of each split, packed."""
        return self.root / "rows.pickle"

    @property
    def comparison(self) -> Path:
        return self.root / "comparison.json"

    def trained(self, role: str) -> Path:
        """What the training of a process came to."""
        return self.root / f"{role}.pickle"

    def log(self, role: str) -> Path:
        """All that a process prints."""
        return self.root / f"{role}.log"

    def phase(self, role: str) -> Path:
        """What a process is doing, in words; written anew whenever it has come on."""
        return self.root / f"{role}.phase"

    def end(self, role: str) -> Path:
        """How a process ended: a `Failure`, or null."""
        return self.root / f"{role}.end.json"

    def address(self, rank: int) -> Path:
        """Where a worker is reached."""
        return self.root / f"{rank_role(rank)}.address"

    def addresses(self, workers: int) -> Iterator[Path]:
        return map(self.address, range(workers))
