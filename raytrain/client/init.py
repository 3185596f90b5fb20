"""Writes a new job folder that runs as it is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from raytrain.spec.scaffold import scaffold


@dataclass(frozen=True, kw_only=True)
class NewJob:
    """`files`: those that were written."""

    name: str
    files: tuple[Path, ...]

    def to_dict(self) -> dict[str, Any]:
        """As `init --json` prints it."""
        return {"schema_version": 1, "name": self.name, "files": [str(file) for file in self.files]}


def init(name: str, parent: Path = Path()) -> NewJob:
    """A folder of that name in `parent`, with a commented job.yaml and a model.py.

    Raises:
        UsageError: the name cannot be a job's, one of the files is there already, or nothing can be written there.
    """
    return NewJob(name=name, files=tuple(scaffold(name, parent)))
