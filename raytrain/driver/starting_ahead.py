"""Whether a job's workers may start while the driver still reads its rows.

Runs in: the driver. Not where Ray Data reads them: its tasks might wait for ever for the CPUs that the workers hold.
"""

from __future__ import annotations

from pathlib import Path

from raytrain.data.sources.file_kinds import FILE_KINDS
from raytrain.data.sources.file_reading import is_read_here
from raytrain.errors import SpecError
from raytrain.spec.checks import SPLITS
from raytrain.spec.job import JobSpec
from raytrain.spec.peek.named_files import find_files
from raytrain.spec.source_kinds import Source

# Kinds of sources that the driver, or each worker, reads by itself.
_WITHOUT_TASKS = ("sklearn", "inline", "arrays")


def may_start_ahead(spec: JobSpec, folder: Path) -> bool:
    """Whether no task takes part in reading the rows, and how many workers there are does not depend on anything."""
    if spec.scaling.min_workers is not None or spec.data.cache not in ("auto", "shared"):
        return False
    sources = [source for part in SPLITS if isinstance(source := getattr(spec.data, part), Source)]
    return all(source.kind in _WITHOUT_TASKS or _are_few(source, folder) for source in sources)


def _are_few(source: Source, folder: Path) -> bool:
    """Whether its files are on this machine, and small enough for the driver to read."""
    if (
        source.kind not in FILE_KINDS
        or not isinstance(source.paths, (str, list))
        or getattr(source.details, "table", None)
    ):
        return False
    try:
        files = find_files(source.paths, folder, kind=source.kind)
        return files is not None and is_read_here(source.kind, sum(file.stat().st_size for file in files))
    except (SpecError, OSError):  # which reading them tells better
        return False
