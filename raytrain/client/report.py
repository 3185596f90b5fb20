"""Writes a run's page where the user wants it."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from raytrain.client.registry import RunRecord
from raytrain.client.run_directory import directory_of
from raytrain.client.run_view import RunView
from raytrain.errors import NotFound, Problem, UsageError
from raytrain.files import write_whole
from raytrain.report.history import History
from raytrain.report.job_files import JobFiles
from raytrain.report.run_page import run_page
from raytrain.run.events import SCHEMA_VERSION
from raytrain.run.summary import RunSummary


@dataclass(frozen=True, kw_only=True)
class WrittenReport:
    """A page on this machine's disk."""

    run: str
    file: Path

    def to_dict(self) -> dict[str, Any]:
        """As `report --json` prints it."""
        size = self.file.stat().st_size
        return {"schema_version": SCHEMA_VERSION, "run": self.run, "report": str(self.file), "bytes": size}


def page_of(record: RunRecord, *, nonce: str = "") -> str:
    """The run's page as it stands now; `nonce` as for `run_page`.

    Raises:
        NotFound: nothing is known of the run but its name.
        ClusterError: only the cluster can tell, and may not be asked.
    """
    view, history = RunView(record), History()
    folded = RunSummary(run=record.run)
    heard = 0

    for event in view.look_at_events():
        folded.add(event)
        history.add(event, folded)
        heard += 1
    if not heard:
        got = f"no event of {record.run}"
        fix = "--storage names the directory that holds the runs' directories"
        raise NotFound(Problem(got=got, expected="its events.jsonl, or its cluster", fix=fix))
    return run_page(view.summary, history, JobFiles.of(directory_of(record)), now=time.time(), nonce=nonce)


def write_report(record: RunRecord, file: str | os.PathLike[str] | None = None) -> WrittenReport:
    """Writes the page, in place of one that is there.

    Args:
        record: the run.
        file: where to; `RUN.html` in the current folder when left out.

    Raises:
        NotFound, ClusterError: as `page_of`.
        UsageError: the file cannot be written.
    """
    path = Path(file).expanduser() if file is not None else Path(f"{record.run}.html")
    page = page_of(record)
    try:
        write_whole(path, page)
    except OSError as error:
        got = f"{path}: {error.strerror or error}"
        raise UsageError(Problem(got=got, expected="a file in a folder that can be written")) from error
    return WrittenReport(run=record.run, file=path.resolve())
