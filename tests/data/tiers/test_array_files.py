"""Rows of a live process as a job's source: counted, checked, and served without Ray Data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from raytrain.data.array_folder import write_arrays
from raytrain.data.dataset import load_dataset
from raytrain.errors import SpecError
from raytrain.spec.load import load_fields


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, str]:
    for split, rows in (("train", 10), ("validation", 4)):
        write_arrays(tmp_path / split, {"x": np.ones((rows, 2), "float32"), "y": np.arange(rows)})
    return {split: str(tmp_path / split) for split in ("train", "validation")}


def fields(folders: dict[str, str], workers: int = 2, **more: Any) -> dict[str, Any]:
    return {
        "name": "live",
        "model": {"python": "live_model.py:build_model"},
        "data": {split: {"arrays": folder} for split, folder in folders.items()}
        | {"features": "x", "label": "y"}
        | more,
        "fit": {"global_batch_size": 4},
        "scaling": {"workers": workers},
    }


def test_a_group_of_workers_is_served_the_files(folders: dict[str, str], tmp_path: Path) -> None:
    dataset = load_dataset(load_fields(fields(folders), tmp_path).spec, tmp_path)

    assert (dataset.counts.train, dataset.counts.validation, dataset.tier.tier) == (10, 4, "shared")
    assert dataset.plans["train"].steps == 3
    with dataset.serve() as shards:
        readers = shards.fetch(1)
    assert readers["train"].rows == 10
    reading = readers["train"].open(dataset.plans["train"], 1, seed=0, epoch=0, shuffle=False)
    assert reading.take(0, 2)[1].tolist() == [[2, 3], [6, 7]]


def test_too_many_workers_are_refused_on_the_cluster_too(folders: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="a global batch of 4 rows for 5 workers"):
        load_dataset(load_fields(fields(folders, workers=5), tmp_path).spec, tmp_path)


@pytest.mark.parametrize("more", [{"test": {"csv": "a.csv"}}, {"columns": {"x": {"fill": 0}}}])
def test_they_are_the_only_source_and_stay_as_they_are(
    folders: dict[str, str], tmp_path: Path, more: dict[str, Any]
) -> None:
    with pytest.raises(SpecError, match="arrays for every split"):
        load_fields(fields(folders, **more), tmp_path)
