"""The runs submitted from this machine, one JSON line each, so that a run is found by a few letters of its id.

Only a help to memory: a run's directory and the cluster know the run without it. Several processes may append at once;
a line that one of them left torn is skipped.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from raytrain.files import state_dir


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """Where a run is to be found.

    Attributes:
        address: the dashboard's url; empty where only the run's directory is known.
        storage: the directory that holds the run's, as the cluster sees it; empty when unknown.
        submitted_at: seconds since the epoch; 0 when unknown.
        job: the job's file or folder, as absolute path; empty when unknown.
        attempt: the last one submitted from this machine.
    """

    run: str
    name: str = ""
    address: str = ""
    storage: str = ""
    submitted_at: float = 0.0
    job: str = ""
    attempt: int = 1


def index_path(environ: Mapping[str, str] | None = None) -> Path:
    return state_dir(environ) / "runs.jsonl"


def remember(record: RunRecord, environ: Mapping[str, str] | None = None) -> None:
    """Appends a run."""
    path = index_path(environ)
    path.parent.mkdir(parents=True, exist_ok=True)
    line = json.dumps(dataclasses.asdict(record)) + "\n"
    # One write to a file opened for appending lands in one piece; the newline first ends what another left torn.
    file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        size = os.fstat(file).st_size
        torn = size > 0 and os.pread(file, 1, size - 1) != b"\n"
        os.write(file, (("\n" if torn else "") + line).encode())
    finally:
        os.close(file)


def remembered(environ: Mapping[str, str] | None = None) -> list[RunRecord]:
    """Every run on record, the latest last; of several lines of one run the last counts."""
    try:
        lines = index_path(environ).read_text(errors="replace").splitlines()
    except OSError:
        return []
    records: dict[str, RunRecord] = {}
    for line in lines:
        record = _record_of(line)
        if record is not None:
            records.pop(record.run, None)
            records[record.run] = record
    return list(records.values())


def _record_of(line: str) -> RunRecord | None:
    try:
        body: Any = json.loads(line)
        known = {item.name for item in dataclasses.fields(RunRecord)}
        return RunRecord(**{key: value for key, value in body.items() if key in known})
    except (ValueError, TypeError, AttributeError):
        return None
