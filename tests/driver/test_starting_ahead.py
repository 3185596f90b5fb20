"""Which jobs' workers start while the rows are read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from raytrain.data.sources import file_reading
from raytrain.driver.starting_ahead import may_start_ahead
from raytrain.spec.job import JobSpec

DIGITS = {"train": {"sklearn": "digits"}, "features": "image", "label": "digit"}
CSV = {"train": {"csv": "rows.csv"}, "features": ["x"], "label": "y"}


def job(folder: Path, data: dict[str, Any], **more: Any) -> JobSpec:
    (folder / "rows.csv").write_text("x,y\n1,0\n2,1\n")
    spec = {"name": "a", "model": "model.py:build", "data": data, "fit": {"epochs": 1, "global_batch_size": 2}}
    return JobSpec.model_validate(spec | more)


@pytest.mark.parametrize(
    ("data", "ahead"),
    [
        (DIGITS, True),
        (CSV, True),
        ({**CSV, "validation": {"csv": "rows.csv"}}, True),
        ({**CSV, "cache": "streaming"}, False),
        ({**CSV, "train": {"python": "rows.py:make"}}, False),
        ({**CSV, "train": {"parquet": "s3://bucket/rows"}}, False),
        ({**CSV, "train": {"csv": "gone.csv"}}, False),
        ({**CSV, "train": {"images": {"table": {"csv": "rows.csv"}, "size": [2, 2]}}}, False),
    ],
)
def test_where_no_task_reads(data: dict[str, Any], ahead: bool, tmp_path: Path) -> None:
    assert may_start_ahead(job(tmp_path, data), tmp_path) is ahead


def test_not_where_the_number_of_workers_follows_the_cluster(tmp_path: Path) -> None:
    assert not may_start_ahead(job(tmp_path, DIGITS, scaling={"workers": {"min": 1, "max": 2}}), tmp_path)


def test_not_of_files_that_tasks_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_reading, "_READ_HERE_BYTES_OF_TEXT", 10)
    assert not may_start_ahead(job(tmp_path, CSV), tmp_path)
