"""Where a worker's code runs: the job's folder, or for all but the first rank a copy of it that is made of links.

Runs in: every Train worker.

The user's code is code for one process, and the workers of a node have one folder: what each writes there, at the same
moment and under the same name, would meet. So the first rank's files stay, and the others' are thrown away.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

PREFIX = ".raytrain-rank-"


@contextlib.contextmanager
def working_directory(folder: Path, *, rank: int, name: str) -> Iterator[None]:
    """Works in the job's folder until the block ends, whose files are all found by the same relative paths.

    Args:
        name: tells the worker's groups and runs apart.
    """
    if rank == 0:
        os.chdir(folder)
        yield
        return
    own = folder / f"{PREFIX}{rank}-{name}"
    own.mkdir(exist_ok=True)
    for entry in folder.iterdir():
        if not entry.name.startswith(PREFIX):
            with contextlib.suppress(FileExistsError):
                (own / entry.name).symlink_to(entry)
    os.chdir(own)
    try:
        yield
    finally:
        os.chdir(folder)
        shutil.rmtree(own, ignore_errors=True)
