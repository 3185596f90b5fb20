"""Reads the rows that a check trains on, and keeps them in a file for the processes that train.

Runs in: the processes of a check. Imports no TensorFlow, but for the user's own data code.
"""

from __future__ import annotations

import os
import pickle

from raytrain.check_protocol import CheckFolder, CheckRequest
from raytrain.data.packed import Arrays
from raytrain.worker.check.phase_file import Progress


def write_rows(folder: CheckFolder, request: CheckRequest, progress: Progress) -> None:
    """The first rows of each split.

    Raises:
        UserCodeError, SpecError: the data cannot be read or fed.
    """
    from raytrain.data.first_rows import first_rows

    splits = first_rows(request.spec, folder.job, steps=request.steps, tell=progress.reach)
    aside = folder.rows.with_name(f".{folder.rows.name}.{os.getpid()}")
    aside.write_bytes(pickle.dumps(splits))
    aside.replace(folder.rows)


def read_rows(folder: CheckFolder) -> dict[str, Arrays]:
    """For each split, its packed arrays."""
    splits: dict[str, Arrays] = pickle.loads(folder.rows.read_bytes())
    return splits
