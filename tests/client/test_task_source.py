"""The rows that a finished run is asked about, as a user names them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from raytrain.client.task_source import check_columns, check_there, task_source
from raytrain.errors import SpecError
from raytrain.spec.job import JobSpec


def spec_of(train: dict[str, Any], **data: Any) -> JobSpec:
    return JobSpec.model_validate(
        {
            "name": "small",
            "model": {"layers": [{"Dense": {"units": 1}}]},
            "compile": {"loss": "mse"},
            "data": {"train": train, "features": ["a", "b"], "label": "y", **data},
        }
    )


CSV = spec_of({"csv": {"path": "train.csv", "separator": ";", "decimal": ","}})
IMAGES = spec_of({"images": {"path": "pictures", "size": [8, 8], "mode": "L"}}, features="image")


@pytest.mark.parametrize(
    ("given", "spec", "kind", "paths"),
    [
        ("new.csv", CSV, "csv", "/here/new.csv"),
        ("a/*.parquet", CSV, "parquet", "/here/a/*.parquet"),
        ("/data/x.jsonl", CSV, "json", "/data/x.jsonl"),
        ("s3://bucket/x.parquet", CSV, "parquet", "s3://bucket/x.parquet"),
        ("s3://bucket/folder", CSV, "csv", "s3://bucket/folder"),
        ("{parquet: [a.parquet, /b.parquet]}", CSV, "parquet", ["/here/a.parquet", "/b.parquet"]),
        ('{"csv": {"path": "new.csv"}}', CSV, "csv", "/here/new.csv"),
        ({"numpy": {"a": "a.npy"}}, CSV, "numpy", {"a": "/here/a.npy"}),
        ({"sklearn": "digits"}, CSV, "sklearn", "digits"),
        ("one.png", IMAGES, "images", "/here/one.png"),
    ],
)
def test_what_is_given_is_a_source(given: Any, spec: JobSpec, kind: str, paths: Any) -> None:
    source = task_source(given, spec, field="--input", folder=Path("/here"))
    assert (source.kind, source.paths) == (kind, paths)


def test_a_path_is_read_as_the_train_rows_were() -> None:
    csv = task_source("new.csv", CSV, field="--input", folder=Path("/here")).details
    assert (csv.separator, csv.decimal) == (";", ",")
    images = task_source("one.png", IMAGES, field="--input", folder=Path("/here")).details
    assert (images.size, images.mode) == ([8, 8], "L")
    assert task_source({"csv": "new.csv"}, CSV, field="--input").details.separator is None


def test_a_folder_is_of_the_kind_of_its_files(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.parquet").touch()
    (tmp_path / "in/_SUCCESS").touch()
    assert task_source("in", CSV, field="--input", folder=tmp_path).kind == "parquet"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("nowhere", "--input: got nowhere, which is not there"),
        ("", "--input: got nothing"),
        ("{cvs: a.csv}", "--input.cvs"),
        ({"csv": "a.csv", "json": "b"}, "exactly one"),
    ],
)
def test_what_is_no_source_is_refused(given: Any, words: str) -> None:
    with pytest.raises(SpecError, match=words):
        task_source(given, CSV, field="--input", folder=Path("/here"))


def test_missing_columns_are_refused_before_anything_is_sent(tmp_path: Path) -> None:
    (tmp_path / "new.csv").write_text("a;bb\n1;2\n")
    source = task_source("new.csv", CSV, field="--input", folder=tmp_path)
    with pytest.raises(SpecError, match=r"--input: got no column `b` among a, bb.*did you mean `bb`"):
        check_columns(source, CSV, field="--input", labels=False)
    (tmp_path / "new.csv").write_text("a;b\n1;2\n")
    check_columns(source, CSV, field="--input", labels=False)
    with pytest.raises(SpecError, match="no column `y`"):
        check_columns(source, CSV, field="--data", labels=True)
    check_there(source, field="--input")
    (tmp_path / "new.csv").unlink()
    with pytest.raises(SpecError, match=r"--input: got .*new.csv, which is not there"):
        check_there(source, field="--input")
    check_there(task_source("s3://bucket/x.csv", CSV, field="--input"), field="--input")
