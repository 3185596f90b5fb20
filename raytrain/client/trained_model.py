"""The trained model of a run, as a live object."""

from __future__ import annotations

from typing import TYPE_CHECKING

from raytrain.client.registry import RunRecord
from raytrain.client.run_directory import pull
from raytrain.client.upload.base_model import saved_model
from raytrain.run.run_paths import RunPaths

if TYPE_CHECKING:
    import keras


def trained_model(record: RunRecord) -> keras.Model:
    """Loads it from the run's directory.

    Raises:
        NotFound, UserCodeError: as `raytrain.client.run.Run.model`.
    """
    from raytrain.model.load_trained import load_model

    saved_model(record)
    paths = RunPaths.of(record.storage, record.run)
    for file in (paths.spec, paths.package):
        pull(paths, file)
    return load_model(paths)
